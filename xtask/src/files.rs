//! Finding and reading the project's own files.

use std::fs;
use std::path::{Path, PathBuf};

/// Files below `folder` with this extension, sorted. Skips what is built, fetched or hidden. A folder that is not there
/// has no files.
pub(crate) fn below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    all_below(folder, &mut found);
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found.sort();
    found
}

/// The text of a file; what is not UTF-8 is replaced, what cannot be read is empty.
pub(crate) fn text(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The path as a reader of the project knows it.
pub(crate) fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Files of every kind below `folder`, in no order.
pub(crate) fn all_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        if is_hidden(&path) || name == "target" || name == "node_modules" {
            continue;
        }
        // A link is not followed: it leads to a file that is found anyway, or out of the project.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => all_below(&path, found),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}

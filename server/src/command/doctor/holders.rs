//! Who holds a port or a file, as far as Linux tells us.

use std::fs;
use std::path::{Path, PathBuf};

/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// Who listens on a port, such as `nginx (process 123)`; None: it cannot be found out.
pub(super) fn who_listens(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes = tables.into_iter().flat_map(|table| inodes(table, port));
    let sockets: Vec<PathBuf> = inodes.map(|inode| format!("socket:[{inode}]").into()).collect();
    who_holds(&sockets)
}

/// Who has one of these files or sockets open.
pub(super) fn who_holds(files: &[PathBuf]) -> Option<String> {
    let mut processes = fs::read_dir("/proc").ok()?.flatten().map(|process| process.path());
    processes.find(|process| holds(process, files)).map(|process| {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        let id = process.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default();
        format!("{} (process {id})", name.trim())
    })
}

fn inodes(table: &str, port: u16) -> Vec<String> {
    let text = fs::read_to_string(table).unwrap_or_default();
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        let (_, local) = (columns.next()?, columns.next()?);
        let (_, state) = (columns.next()?, columns.next()?);
        let listens = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()? == port && state == LISTENING;
        listens.then(|| columns.nth(5).map(str::to_owned)).flatten()
    };
    text.lines().skip(1).filter_map(row).collect()
}

fn holds(process: &Path, files: &[PathBuf]) -> bool {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    open.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| files.contains(&target))
}

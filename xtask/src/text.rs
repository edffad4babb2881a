//! Rules about the text of the project that neither the compiler nor clippy holds.

use std::collections::BTreeSet;
use std::path::Path;

use crate::files;
use crate::workspace::Workspace;

/// A file much longer than this has probably become two things. A hint, not a rule.
const LONG_FILE_LINES: usize = 700;

/// What every protocol's folder offers; of two names, either will do.
const PROTOCOL_SHAPE: &[&[&str]] = &[
    &["README.md"],
    &["src/lib.rs"],
    &["src/config.rs"],
    &["src/lens.rs"],
    &["src/refusal.rs"],
    &["src/wire", "src/wire.rs"],
    &["src/facade", "src/facade.rs"],
];

/// A rule's name and what breaks it.
pub(crate) type Finding = (&'static str, Vec<String>);

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let root = &workspace.root;
    vec![
        ("every crate says what it is", crate_docs(workspace)),
        ("every protocol opens like the others", protocol_shape(root)),
        ("refusals are exhaustive", refusals(root)),
        ("every invariant names its test", invariants(root)),
        ("there is a changelog", missing(root, "CHANGELOG.md")),
    ]
}

/// Files that are better read in two parts; never a failure.
pub(crate) fn long_files(root: &Path) -> Vec<String> {
    let paths = files::below(root, "rs").into_iter().filter(|path| !is_test_file(&files::shown(root, path)));
    let sized = paths.map(|path| (files::text(&path).lines().count(), path));
    let long = sized.filter(|(lines, _)| *lines > LONG_FILE_LINES);
    long.map(|(lines, path)| format!("{}: {lines} lines", files::shown(root, &path))).collect()
}

fn crate_docs(workspace: &Workspace) -> Vec<String> {
    let roots = workspace.crates.iter().flat_map(|of| &of.roots);
    let undocumented = roots.filter(|path| !has_crate_doc(&files::text(path)));
    undocumented
        .map(|path| format!("{}: opens without a `//!` line", files::shown(&workspace.root, path)))
        .collect()
}

/// Inner attributes may stand before it.
fn has_crate_doc(source: &str) -> bool {
    let mut lines = source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("#!["));
    lines.next().is_some_and(|line| line.starts_with("//!"))
}

fn protocol_shape(root: &Path) -> Vec<String> {
    let protocols = std::fs::read_dir(root.join("protocols")).into_iter().flatten().filter_map(Result::ok);
    let mut found = Vec::new();
    for folder in protocols.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        for names in
            PROTOCOL_SHAPE.iter().filter(|names| !names.iter().any(|name| folder.join(name).exists()))
        {
            found.push(format!("{}: no {}", files::shown(root, &folder), names.join(" or ")));
        }
    }
    found
}

fn refusals(root: &Path) -> Vec<String> {
    let paths = files::below(&root.join("protocols"), "rs");
    let refusals = paths.iter().filter(|path| path.file_name().is_some_and(|name| name == "refusal.rs"));
    let mut found = Vec::new();
    for path in refusals {
        let lines = wildcard_arms(&files::text(path));
        found.extend(lines.iter().map(|line| {
            format!(
                "{}:{line}: `_ =>` would give a new rejection an answer nobody chose",
                files::shown(root, path)
            )
        }));
    }
    found
}

fn wildcard_arms(source: &str) -> Vec<usize> {
    let code = (1..).zip(source.lines().map(|line| line.split("//").next().unwrap_or_default()));
    let wild = code.filter(|(_, line)| line.trim_start().starts_with("_ =>") || line.contains(" _ =>"));
    wild.map(|(number, _)| number).collect()
}

fn invariants(root: &Path) -> Vec<String> {
    let page = files::text(&root.join("ARCHITECTURE.md"));
    if page.is_empty() {
        return vec!["ARCHITECTURE.md: there is none".to_owned()];
    }
    let mut functions = BTreeSet::new();
    for path in files::below(root, "rs") {
        functions.extend(function_names(&files::text(&path)));
    }
    invariant_violations(&page, &functions)
}

fn invariant_violations(page: &str, functions: &BTreeSet<String>) -> Vec<String> {
    let invariants = numbered_invariants(page);
    if invariants.is_empty() {
        return vec!["ARCHITECTURE.md: no heading with \"Invariants\" over a numbered list".to_owned()];
    }
    let mut found = Vec::new();
    for (number, text) in invariants {
        let tests: Vec<&str> = text.split('`').skip(1).step_by(2).filter_map(test_name).collect();
        if tests.is_empty() {
            found.push(format!("ARCHITECTURE.md: invariant {number} names no `path::to::test`"));
        }
        let lost = tests.iter().filter(|name| !functions.contains(**name));
        found.extend(
            lost.map(|name| format!("ARCHITECTURE.md: invariant {number}: no function {name} in any *.rs")),
        );
    }
    found
}

/// The numbered items below a heading that says "invariants", each with the lines that belong to it.
fn numbered_invariants(page: &str) -> Vec<(u32, String)> {
    let mut inside = false;
    let mut items: Vec<(u32, String)> = Vec::new();
    for line in page.lines() {
        if line.starts_with('#') {
            inside = line.to_ascii_lowercase().contains("invariant");
        } else if inside {
            let number = line.split_once(". ").and_then(|(number, _)| number.parse().ok());
            match (number, items.last_mut()) {
                (Some(number), _) => items.push((number, line.to_owned())),
                (None, Some((_, text))) => {
                    text.push('\n');
                    text.push_str(line);
                }
                (None, None) => {}
            }
        }
    }
    items
}

/// The last part of a path in lower case, as a test's name is; a type's method like `Registry::submit` names no test,
/// nor does a module path that ends in a type.
fn test_name(code: &str) -> Option<&str> {
    let (path, name) = code.trim_end_matches("()").rsplit_once("::")?;
    let plain = |text: &str| {
        text.chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_:".contains(letter))
    };
    (plain(path) && plain(name) && !name.is_empty()).then_some(name)
}

fn function_names(source: &str) -> Vec<String> {
    let after_fn = source.lines().filter_map(|line| {
        let start = line
            .find("fn ")
            .filter(|start| *start == 0 || line.get(..*start).is_some_and(|before| before.ends_with(' ')))?;
        line.get(start + 3..)
    });
    let names = after_fn
        .filter_map(|rest| rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn missing(root: &Path, name: &str) -> Vec<String> {
    if root.join(name).exists() { Vec::new() } else { vec![format!("{name}: there is none")] }
}

fn is_test_file(shown: &str) -> bool {
    shown.split('/').any(|part| part == "tests" || part == "tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crate_doc_may_follow_attributes() {
        assert!(has_crate_doc("#![no_std]\n\n//! What it is.\n"));
        assert!(!has_crate_doc("use std::fmt;\n//! Too late.\n"));
        assert!(!has_crate_doc(""));
    }

    #[test]
    fn wildcard_arms_are_found_in_code_only() {
        assert_eq!(wildcard_arms("match x {\n    A => 1,\n    _ => 2,\n}"), [3]);
        assert_eq!(wildcard_arms("// no `_ =>` here\nlet _ = x;\nA(_) => 1,"), Vec::<usize>::new());
    }

    fn check_invariants(page: &str, expected: &[&str]) {
        let functions =
            function_names("    async fn revision_never_goes_back() {\nfn lease_is_whole(x: u8) {}\n");
        assert_eq!(invariant_violations(page, &functions.into_iter().collect()), expected);
    }

    #[test]
    fn invariants_name_existing_tests() {
        check_invariants(
            "## Invariants\n\n1. The revision never goes back\n   (`registry::tests::revision_never_goes_back`).\n2. A lease is whole: `leases::lease_is_whole`, by `Registry::submit`.\n\n## Else\n\n1. Free.",
            &[],
        );
    }

    #[test]
    fn an_invariant_without_its_test_is_found() {
        check_invariants(
            "# Invariants\n1. Nothing holds this.\n2. `store::gone_test` holds this.",
            &[
                "ARCHITECTURE.md: invariant 1 names no `path::to::test`",
                "ARCHITECTURE.md: invariant 2: no function gone_test in any *.rs",
            ],
        );
    }

    #[test]
    fn a_page_without_invariants_is_found() {
        check_invariants(
            "# Shape\n1. One.",
            &["ARCHITECTURE.md: no heading with \"Invariants\" over a numbered list"],
        );
    }

    #[test]
    fn tests_are_not_long_files() {
        assert!(is_test_file("core/store/tests/suite.rs"));
        assert!(is_test_file("core/store/src/plan/tests.rs"));
        assert!(!is_test_file("core/store/src/contests.rs"));
    }
}

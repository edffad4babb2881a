//! `cargo xtask test`: every layer in turn, and one honest sum.

use std::time::Duration;

use clap::ValueEnum;

use crate::process;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{conformance, links, recipe, tidy};

/// From the quickest answer to the slowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layer {
    /// Formatting, clippy, arrows, licences, rules about text.
    Tidy,
    /// `cargo test` over the workspace, examples in documentation included.
    Unit,
    /// Links between the pages.
    Docs,
    /// The recipe for a protocol, followed word for word in a copy of the project.
    Recipe,
    /// Clients written by others against the real binary; few generated examples.
    Conformance,
}

/// Whether everything that ran passed and, with `require_all`, whether everything ran.
pub(crate) fn run(workspace: &Workspace, only: Option<Layer>, require_all: bool) -> anyhow::Result<bool> {
    let mut all = Tally::default();
    let mut table = Vec::new();
    for layer in Layer::value_variants().iter().filter(|layer| only.is_none_or(|only| only == **layer)) {
        let name = format!("{layer:?}").to_lowercase();
        println!("\n== {name}");
        let tally = run_layer(workspace, *layer).unwrap_or_else(|error| {
            // One layer that cannot even start must not hide what the others would have said.
            println!("not ok - {name}: {error:#}");
            Tally { failed: 1, ..Tally::default() }
        });
        table.push(format!("{name:<12} {}", tally.totals(require_all)));
        all.add(tally);
    }
    println!("\n== totals");
    table.iter().for_each(|line| println!("{line}"));
    all.print_not_run(require_all);
    let totals = all.totals(require_all);
    println!("{totals}");
    Ok(totals.failed == 0)
}

fn run_layer(workspace: &Workspace, layer: Layer) -> anyhow::Result<Tally> {
    match layer {
        Layer::Tidy => tidy::run(workspace),
        Layer::Unit => unit(workspace),
        Layer::Docs => Ok(docs(workspace)),
        Layer::Recipe => recipe::run(workspace),
        Layer::Conformance => conformance::run(workspace, "all", false),
    }
}

fn unit(workspace: &Workspace) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut cargo = process::cargo();
    cargo.current_dir(&workspace.root).args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    let passed = process::lines(&mut cargo, Duration::from_secs(3600), |line| {
        tally.add(test_result(line));
        tally.not_run.extend(not_run(line).map(str::to_owned));
    })?;
    // The harness knows only passed and failed, so a test that says so has been counted as passed.
    tally.passed = tally.passed.saturating_sub(tally.not_run.len());
    if !passed && tally.failed == 0 {
        // It did not compile, or a test binary died before it could count.
        tally.failed = 1;
    }
    Ok(tally)
}

/// The counts in `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; ...`.
fn test_result(line: &str) -> Tally {
    let Some(rest) = line.strip_prefix("test result: ") else { return Tally::default() };
    let count = |word: &str| {
        let part = rest.split(['.', ';']).map(str::trim).find_map(|part| part.strip_suffix(word));
        part.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
    };
    Tally {
        passed: count(" passed"),
        failed: count(" failed"),
        ignored: count(" ignored"),
        not_run: Vec::new(),
    }
}

/// What a test says that found something missing: `not run - name: why`.
fn not_run(line: &str) -> Option<&str> {
    line.strip_prefix("not run - ")
}

fn docs(workspace: &Workspace) -> Tally {
    let mut tally = Tally::default();
    let (seen, broken) = links::check(&workspace.root);
    tidy::finding(&mut tally, &format!("{seen} links between pages lead somewhere"), &broken);
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_cargo() {
        let tally = test_result(
            "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s",
        );
        assert_eq!((tally.passed, tally.failed, tally.ignored), (12, 3, 1));
    }

    #[test]
    fn tests_that_did_not_run_are_told_apart() {
        assert_eq!(not_run("not run - clock::jump: no libfaketime"), Some("clock::jump: no libfaketime"));
        assert_eq!(not_run("test clock::jump ... ok"), None);
    }

    #[test]
    fn other_lines_count_nothing() {
        let tally = test_result("test says_3_passed ... ok");
        assert_eq!((tally.passed, tally.failed, tally.ignored), (0, 0, 0));
    }
}

//! The tidy layer: everything about the text that a machine can hold.

use crate::process;
use crate::tally::Tally;
use crate::text;
use crate::workspace::Workspace;
use crate::{arrows, licences, pure};

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    component(&mut tally, workspace, "rustfmt", "fmt", &["fmt", "--all", "--check"])?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    component(&mut tally, workspace, "clippy", "clippy", &clippy)?;
    finding(&mut tally, "arrows point down", &arrows::check(workspace));
    finding(&mut tally, "the core names no protocol and no encoding", &pure::check(&workspace.root));
    finding(&mut tally, "licences and unwanted crates", &licences::check(workspace)?);
    for (rule, violations) in text::check(workspace) {
        finding(&mut tally, rule, &violations);
    }
    for hint in text::long_files(&workspace.root) {
        println!("hint - {hint}");
    }
    Ok(tally)
}

/// A part of the toolchain that a minimal installation lacks.
fn component(
    tally: &mut Tally,
    workspace: &Workspace,
    name: &str,
    command: &str,
    args: &[&str],
) -> anyhow::Result<()> {
    if !process::cargo().args([command, "--version"]).output()?.status.success() {
        tally.not_run.push(format!("{name}: add it with `rustup component add {name}`"));
        return Ok(());
    }
    let passed = process::succeeds(process::cargo().current_dir(&workspace.root).args(args))?;
    println!("{} - cargo {command}", if passed { "ok" } else { "not ok" });
    tally.record(passed);
    Ok(())
}

pub(crate) fn finding(tally: &mut Tally, rule: &str, violations: &[String]) {
    println!("{} - {rule}", if violations.is_empty() { "ok" } else { "not ok" });
    violations.iter().for_each(|violation| println!("    {violation}"));
    tally.record(violations.is_empty());
}

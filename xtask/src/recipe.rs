//! `cargo xtask recipe`: follows docs/recipes/add-a-protocol.md word for word in a copy of the project, so that the page
//! cannot say what no longer works.

mod page;
mod smoke;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::process;
use crate::tally::Tally;
use crate::tidy::finding;
use crate::workspace::Workspace;
use crate::{arrows, files, text};
use page::{Block, Files, Kind};
use smoke::Smoke;

const PAGE: &str = "docs/recipes/add-a-protocol.md";

/// Lines that may be added by hand outside the new folder. The third place, Cargo.lock, is cargo's to write.
const LINES_ELSEWHERE: usize = 2;

/// What the copy's binary is called.
const BINARY: &str = "switchboard-recipe";

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<Tally> {
    let blocks = page::blocks(&files::text(&workspace.root.join(PAGE)))?;
    let name = protocol(&blocks)?;
    let mut files = project(workspace)?;
    let before = files.get("Cargo.lock").cloned().unwrap_or_default();
    let added = page::follow(&mut files, &blocks)?;
    tell_apart(&mut files)?;
    let copy = workspace.target.join("recipe");
    sync(&copy, &files)?;

    let mut tally = Tally::default();
    finding(&mut tally, "at most two lines by hand outside the folder", &elsewhere(&blocks, &name, added));
    let cargo = || {
        let mut cargo = process::cargo();
        cargo.current_dir(&copy).env("CARGO_TARGET_DIR", &workspace.target);
        cargo
    };
    let package = format!("switchboard-protocol-{name}");
    let package = package.as_str();
    // The order of the recipe. What cargo prints is enough to find the place; the page's line is the block's.
    step(&mut tally, cargo().args(["test", "--offline", "--package", package]))?;
    let server = ["--offline", "--package", "switchboard-server", "--bin", BINARY];
    step(&mut tally, cargo().arg("test").args(server).arg("config::").env("REGENERATE", "1"))?;
    step(&mut tally, cargo().arg("build").args(server))?;
    step(
        &mut tally,
        cargo().args(["fmt", "--check", "--package", package, "--package", "switchboard-server"]),
    )?;
    let clippy = ["clippy", "--offline", "--no-deps", "--all-targets", "--package", package];
    step(&mut tally, cargo().args(clippy).args(["--", "-D", "warnings"]))?;

    let after = files::text(&copy.join("Cargo.lock"));
    finding(&mut tally, "no foreign crate comes with it", &new_packages(&before, &after, package));
    let rules = broken(&Workspace::load_in(&copy)?, &broken(workspace, &[]));
    finding(&mut tally, "it keeps the rules about arrows and text", &rules);
    let binary = workspace.target.join("debug").join(BINARY);
    let smoke = try_out(&blocks, &name, &binary, &workspace.target.join("recipe-smoke"));
    let said = smoke.err().map(|error| format!("{error:#}"));
    finding(&mut tally, "the binary speaks it", said.as_slice());
    Ok(tally)
}

/// The one folder that all files lie in says the protocol's name.
fn protocol(blocks: &[Block]) -> anyhow::Result<String> {
    let mut files = blocks.iter().filter(|block| block.kind == Kind::File);
    let first = files.next().with_context(|| format!("{PAGE} has no block with a file"))?;
    let name = first.name.strip_prefix("protocols/").and_then(|rest| rest.split_once('/'));
    Ok(name.with_context(|| format!("{} lies outside protocols/", first.name))?.0.to_owned())
}

fn elsewhere(blocks: &[Block], name: &str, added: usize) -> Vec<String> {
    let folder = format!("protocols/{name}/");
    let strays = blocks.iter().filter(|block| block.kind == Kind::File && !block.name.starts_with(&folder));
    let strays = strays.map(|block| format!("{} is outside {folder}", block.name));
    let too_many = (added > LINES_ELSEWHERE).then(|| format!("{added} lines are added outside {folder}"));
    strays.chain(too_many).collect()
}

/// What the copy is made of: the crates, and the files beside them.
fn project(workspace: &Workspace) -> anyhow::Result<Files> {
    let mut paths = Vec::new();
    for of in &workspace.crates {
        files::all_below(&workspace.root.join(&of.folder), &mut paths);
    }
    let beside = std::fs::read_dir(&workspace.root)?.filter_map(Result::ok).map(|entry| entry.path());
    paths.extend(beside.filter(|path| path.is_file() && !files::is_hidden(path)));
    let read = |path: &PathBuf| Ok((files::shown(&workspace.root, path), std::fs::read(path)?));
    paths.iter().map(read).collect()
}

/// The copy shares the target folder, so that crates from elsewhere are built once. Its own crates get another version, or
/// cargo would take what was built from the copy for what was built from the project; its binary gets another name.
fn tell_apart(files: &mut Files) -> anyhow::Result<()> {
    let mut edit = |name: &str, from: &str, to: &str| -> anyhow::Result<()> {
        let file = files.get_mut(name).with_context(|| format!("there is no {name}"))?;
        let text = std::str::from_utf8(file)?;
        if !text.contains(from) {
            bail!("{name} does not hold {from:?}");
        }
        *file = text.replacen(from, to, 1).into_bytes();
        Ok(())
    };
    edit("Cargo.toml", "[workspace.package]\nversion = \"", "[workspace.package]\nversion = \"99")?;
    edit("server/Cargo.toml", "name = \"switchboard\"\n", &format!("name = \"{BINARY}\"\n"))
}

/// Makes the folder hold exactly these files. What is the same is not touched, so that cargo builds only what changed.
fn sync(folder: &Path, files: &Files) -> anyhow::Result<()> {
    let mut there = Vec::new();
    files::all_below(folder, &mut there);
    for path in there.iter().filter(|path| !files.contains_key(&files::shown(folder, path))) {
        std::fs::remove_file(path)?;
    }
    for (name, content) in files {
        let path = folder.join(name);
        if std::fs::read(&path).is_ok_and(|old| old == *content) {
            continue;
        }
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// What breaks a rule, apart from what is known to.
fn broken(workspace: &Workspace, known: &[String]) -> Vec<String> {
    let text = text::check(workspace).into_iter().flat_map(|(_, violations)| violations);
    arrows::check(workspace).into_iter().chain(text).filter(|violation| !known.contains(violation)).collect()
}

fn step(tally: &mut Tally, command: &mut Command) -> anyhow::Result<()> {
    let passed = process::succeeds(command)?;
    tally.record(passed);
    Ok(())
}

/// Packages that the lock file names now and did not name before, without the protocol itself.
fn new_packages(before: &[u8], after: &str, package: &str) -> Vec<String> {
    let before = String::from_utf8_lossy(before);
    let names = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix("name = "))
            .map(|name| name.replace('"', ""))
            .collect()
    };
    let known = names(&before);
    names(after).into_iter().filter(|name| !known.contains(name) && name != package).collect()
}

fn try_out(blocks: &[Block], name: &str, binary: &Path, folder: &Path) -> anyhow::Result<()> {
    let smoke = Smoke::start(binary, folder, name)?;
    for block in blocks {
        match block.kind {
            Kind::Talk => smoke.talk(&block.text)?,
            Kind::Run => smoke.run(binary, &block.text)?,
            Kind::File | Kind::Patch => {}
        }
    }
    drop(smoke);
    smoke::disabled(binary, folder, name)
}

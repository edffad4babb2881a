//! Tests that others wrote in Go, run as they are out of the module that they were published with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::Value;

use super::tests_of::{Expected, Tests};
use crate::files;
use crate::launch::{self, Program};
use crate::process::{self, installed};
use crate::tally::Tally;

/// How many tests run at the same time: most of them wait.
const PARALLEL: &str = "4";
/// Lines of a test's output that are shown when it failed.
const SHOWN: usize = 12;

/// What a run needs besides the list of tests.
pub(crate) struct Place<'a> {
    pub(crate) scratch: &'a Path,
    pub(crate) binary: &'a Path,
    pub(crate) urls: &'a [(&'static str, String)],
    pub(crate) limit: Duration,
    /// All tests, and not only the quick ones.
    pub(crate) whole: bool,
}

/// Runs what the file lists; Err: why it cannot be run here.
pub(crate) fn run(list: &Path, place: &Place<'_>) -> Result<Tally, String> {
    let tests = Tests::parse(&files::text(list)).map_err(|why| format!("{}: {why}", list.display()))?;
    let module = prepared(list.parent().unwrap_or(list), place.scratch)?;
    let mut tally = Tally::default();
    unlisted(&tests, &names(&module, &tests)?).iter().for_each(|name| {
        println!("not ok - {name}: it is in no section of {}", list.display());
        tally.failed += 1;
    });
    let mut command = command(&module, &tests, place).map_err(|error| error.to_string())?;
    if let Some(listen) = &tests.alone {
        command = alone(&command, listen, list, place.binary)?;
    }
    let results = results(command, place.limit).map_err(|error| error.to_string())?;
    let chosen: BTreeSet<&str> = tests.chosen(place.whole).collect();
    for (name, expected) in tests.expected.iter().filter(|(name, _)| chosen.contains(name.as_str())) {
        judge(name, expected, results.get(name), &mut tally);
    }
    said_of_the_rest(&tests, chosen.len());
    Ok(tally)
}

/// A copy of the module, since running its tests may write into it.
fn prepared(folder: &Path, scratch: &Path) -> Result<PathBuf, String> {
    if !installed("go", "version") {
        return Err("go is not installed".to_owned());
    }
    let name: Vec<_> = folder.iter().rev().take(3).map(|part| part.to_string_lossy()).collect();
    let copy = scratch.join("go").join(name.into_iter().rev().collect::<Vec<_>>().join("-"));
    let made = std::fs::create_dir_all(&copy).and_then(|()| {
        ["go.mod", "go.sum"]
            .iter()
            .try_for_each(|name| std::fs::copy(folder.join(name), copy.join(name)).map(drop))
    });
    made.map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(copy)
}

fn go(module: &Path, tests: &Tests) -> Command {
    let mut go = Command::new("go");
    go.current_dir(module).env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    go.args(["test", "-vet=off", "-count=1"]);
    if !tests.tags.is_empty() {
        go.args(["-tags", &tests.tags]);
    }
    go
}

/// All tests that there are. Compiles them, and needs the module proxy once.
fn names(module: &Path, tests: &Tests) -> Result<Vec<String>, String> {
    let output = go(module, tests).args(["-list", "^Test", &tests.package]).output();
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("go cannot build {}: {}", tests.package, said.trim().replace('\n', "; ")));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let tests = text.lines().filter(|line| line.starts_with("Test") && !line.contains(char::is_whitespace));
    Ok(tests.map(str::to_owned).collect())
}

fn unlisted<'a>(tests: &Tests, names: &'a [String]) -> Vec<&'a str> {
    names.iter().map(String::as_str).filter(|name| !tests.expected.contains_key(*name)).collect()
}

fn command(module: &Path, tests: &Tests, place: &Place<'_>) -> anyhow::Result<Command> {
    let mut go = go(module, tests);
    if let Some(program) = &tests.launch {
        let program = Program::from_str(program, true).map_err(anyhow::Error::msg)?;
        let first = launch::install(program, place.binary, place.scratch)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(first).chain(std::env::split_paths(&path));
        go.env("PATH", std::env::join_paths(folders)?);
    }
    for (theirs, ours) in &tests.set {
        let value = place.urls.iter().find(|(name, _)| name == ours);
        let (_, value) = value.ok_or_else(|| anyhow::anyhow!("{ours} is not a variable of ours"))?;
        go.env(theirs, value);
    }
    let chosen: Vec<&str> = tests.chosen(place.whole).collect();
    let timeout = format!("{}s", place.limit.as_secs());
    go.args(["-json", "-parallel", PARALLEL, "-timeout", &timeout]);
    go.args(["-run", &format!("^({})$", chosen.join("|")), &tests.package]);
    Ok(go)
}

/// The same beside a server of its own, at the address that the tests have in their source.
fn alone(tests: &Command, listen: &str, list: &Path, binary: &Path) -> Result<Command, String> {
    if !installed("python3", "--version") {
        return Err("python3 is not installed, which starts a server at a fixed address".to_owned());
    }
    let conformance = list.ancestors().nth(3).unwrap_or(list);
    let mut command = Command::new("python3");
    command.arg("-B").arg(conformance.join("alone.py")).args([listen, "--"]);
    command.arg(tests.get_program()).args(tests.get_args());
    command.current_dir(tests.get_current_dir().unwrap_or(conformance));
    let set = tests.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.envs(set).env("SWITCHBOARD_BINARY", binary);
    Ok(command)
}

/// What became of a test.
#[derive(Debug, Default, Clone)]
struct Outcome {
    /// `pass`, `fail` or `skip`; empty: it did not end.
    word: String,
    said: Vec<String>,
}

fn results(mut command: Command, limit: Duration) -> anyhow::Result<BTreeMap<String, Outcome>> {
    let mut results: BTreeMap<String, Outcome> = BTreeMap::new();
    process::each_line(&mut command, limit, |line| {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            println!("{line}");
            return;
        };
        let field = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        // A test's parts are told with the whole.
        let (test, part) = field("Test").split_once('/').unwrap_or((field("Test"), ""));
        let outcome = results.entry(test.to_owned()).or_default();
        match field("Action") {
            "output" => outcome.said.push(field("Output").trim_end().to_owned()),
            word @ ("pass" | "fail" | "skip") if part.is_empty() => word.clone_into(&mut outcome.word),
            _ => {}
        }
    })?;
    Ok(results)
}

fn judge(name: &str, expected: &Expected, outcome: Option<&Outcome>, tally: &mut Tally) {
    let outcome = outcome.cloned().unwrap_or_default();
    match (expected, outcome.word.as_str()) {
        (Expected::Awaits(_) | Expected::Out(_), _) => return,
        (Expected::Pass, "pass") => println!("ok - {name}"),
        (Expected::Fail(why), "fail") => println!("ok - {name} fails as it is expected to: {why}"),
        (Expected::Fail(why), "pass") => {
            println!("not ok - {name}: it passes, and is listed as failing: {why}");
            return tally.failed += 1;
        }
        (_, word) => {
            let word = if word.is_empty() { "it did not end" } else { word };
            println!("not ok - {name}: {word}");
            show(&outcome.said);
            return tally.failed += 1;
        }
    }
    tally.passed += 1;
}

/// What the test says itself: its lines begin with where they are in its source, and go on further to the right.
fn show(said: &[String]) {
    let mut is_own = false;
    let told = said.iter().filter(|line| {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let names_source =
            text.split_once(".go:").is_some_and(|(file, _)| !file.contains(char::is_whitespace));
        is_own = indent >= 4 && (names_source || is_own) && !text.contains("CONFIG JSON:");
        is_own && !text.is_empty()
    });
    let lines: Vec<&String> = told.collect();
    lines.iter().take(SHOWN).for_each(|line| println!("   | {line}"));
    if lines.is_empty() {
        said.iter().skip(said.len().saturating_sub(SHOWN)).for_each(|line| println!("   | {line}"));
    }
}

/// Nobody shall believe that what did not run passed.
fn said_of_the_rest(tests: &Tests, chosen: usize) {
    let mut rest: BTreeMap<String, usize> = BTreeMap::new();
    let slow = tests.chosen(true).count() - chosen;
    if slow > 0 {
        rest.insert("they take their time, and run with the whole suite".to_owned(), slow);
    }
    for expected in tests.expected.values() {
        match expected {
            Expected::Awaits(what) => *rest.entry(format!("awaiting {what}")).or_default() += 1,
            Expected::Out(what) => *rest.entry(format!("out of scope, {what}")).or_default() += 1,
            Expected::Pass | Expected::Fail(_) => {}
        }
    }
    rest.iter().for_each(|(why, count)| println!("   {count} tests not run: {why}"));
}

//! The toolchains that drivers are written for: what each needs, and how a driver is made runnable.
//!
//! Every function gives a command, or why this machine cannot run it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files;
use crate::process::{installed, quietly};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Python,
    Go,
    Java,
    Node,
    /// Tests of somebody else's, in Go: the program is the list of them.
    GoTest,
}

pub(crate) fn command(tool: Tool, suite: &Path, program: &str, scratch: &Path) -> Result<Command, String> {
    let program = suite.join(program);
    match tool {
        Tool::Python => python(suite, &program, scratch),
        Tool::Go => go(suite, &program, scratch),
        Tool::Java => java(&program),
        Tool::Node => node(suite, &program, scratch),
        Tool::GoTest => Err("tests in Go are no program".to_owned()),
    }
}

/// A virtual environment with the suite's pinned packages. Needs the package registry once.
fn python(suite: &Path, program: &Path, scratch: &Path) -> Result<Command, String> {
    if !installed("python3", "--version") {
        return Err("python3 is not installed".to_owned());
    }
    let venv = own(scratch, "venv", suite);
    let requirements = suite.join("requirements.txt");
    let pins = [requirements.clone(), suite.join("constraints.txt")];
    once(&venv, &pins, || {
        quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))
            .map_err(|why| format!("no python3 venv ({why})"))?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        quietly(pip.arg(&requirements)).map_err(|why| format!("no Python packages ({why})"))
    })?;
    let mut command = Command::new(venv.join("bin/python"));
    command.arg("-B").arg(program);
    // What all suites share lies beside them.
    command.env("PYTHONPATH", suite.parent().unwrap_or(suite));
    Ok(command)
}

/// Built first and run by its own handle: stopping `go run` would leave the program behind.
/// Needs the module proxy once, if there is a `go.mod` beside it.
fn go(suite: &Path, program: &Path, scratch: &Path) -> Result<Command, String> {
    if !installed("go", "version") {
        return Err("go is not installed".to_owned());
    }
    let folder = program.parent().unwrap_or(suite);
    let [suite_name, name] =
        [suite, program].map(|path| path.file_name().unwrap_or_default().to_string_lossy());
    let binary = own(scratch, &format!("go-driver-{suite_name}-{name}"), folder);
    let mut build = Command::new("go");
    // A missing toolchain must not be downloaded, and modules only as `go.sum` has them.
    build.env("GOTOOLCHAIN", "local").env("GOFLAGS", "").env("GOWORK", "off");
    build.current_dir(folder).args(["build", "-o"]).arg(&binary).arg(program);
    quietly(&mut build)?;
    let mut command = Command::new(binary);
    command.current_dir(folder);
    Ok(command)
}

fn java(program: &Path) -> Result<Command, String> {
    if !installed("java", "-version") {
        return Err("java is not installed".to_owned());
    }
    if !installed("javac", "-version") {
        return Err("java is a runtime only; running a source file needs a JDK".to_owned());
    }
    let mut command = Command::new("java");
    command.arg(program);
    Ok(command)
}

/// The folder is copied, so that installing never writes into the sources.
fn node(suite: &Path, program: &Path, scratch: &Path) -> Result<Command, String> {
    if !installed("node", "--version") || !installed("npm", "--version") {
        return Err("node or npm is not installed".to_owned());
    }
    let Some(folder) = program.parent() else { return Err("a driver without a folder".to_owned()) };
    let copy = own(scratch, "node", suite);
    let manifest = ["package.json", "package-lock.json"].map(|name| folder.join(name));
    once(&copy, &manifest, || {
        std::fs::create_dir_all(&copy).map_err(|error| error.to_string())?;
        manifest.iter().try_for_each(|file| copy_into(&copy, file))?;
        let mut npm = Command::new("npm");
        npm.current_dir(&copy).args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
        quietly(&mut npm).map_err(|why| format!("no Node packages ({why})"))
    })?;
    copy_into(&copy, program)?;
    let mut command = Command::new("node");
    command.current_dir(&copy).arg(copy.join(program.file_name().unwrap_or_default()));
    Ok(command)
}

/// Where something is kept for one suite alone.
fn own(scratch: &Path, what: &str, suite: &Path) -> PathBuf {
    scratch.join(format!("{what}-{}", suite.file_name().unwrap_or_default().to_string_lossy()))
}

/// Prepares `folder` unless it was prepared from the same pins before.
fn once(folder: &Path, pins: &[PathBuf], prepare: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let wanted: String = pins.iter().map(|path| files::text(path)).collect();
    let stamp = folder.join("prepared-from");
    if stamp.exists() && files::text(&stamp) == wanted {
        return Ok(());
    }
    prepare()?;
    std::fs::write(&stamp, wanted).map_err(|error| error.to_string())
}

fn copy_into(folder: &Path, file: &Path) -> Result<(), String> {
    let name = file.file_name().unwrap_or_default();
    std::fs::copy(file, folder.join(name)).map(drop).map_err(|error| format!("{}: {error}", file.display()))
}

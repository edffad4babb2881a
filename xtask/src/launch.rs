//! Standing in for somebody else's server program, so that suites which start one by name start ours.

mod consul;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use clap::ValueEnum;

use crate::process;

/// Whose program it is that a suite believes to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Program {
    Consul,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Program::Consul => "consul",
        }
    }
}

/// Becomes the server; returns only when that was not asked for, or is not possible.
pub(crate) fn run(program: Program, binary: &Path, arguments: &[String]) -> anyhow::Result<()> {
    match program {
        Program::Consul => consul::run(binary, arguments),
    }
}

/// A folder to put first into the PATH: in it the program is this one.
pub(crate) fn install(program: Program, binary: &Path, scratch: &Path) -> anyhow::Result<PathBuf> {
    let folder = scratch.join(format!("bin-{}", program.name()));
    std::fs::create_dir_all(&folder)?;
    let own = std::env::current_exe()?;
    let script = format!(
        "#!/bin/sh\nexec '{}' launch {} '{}' -- \"$@\"\n",
        own.display(),
        program.name(),
        binary.display()
    );
    let path = folder.join(program.name());
    std::fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))?;
    process::quietly(Command::new("chmod").arg("755").arg(&path)).map_err(anyhow::Error::msg)?;
    Ok(folder)
}

/// Replaces this process by the server, which ends when the suite that started it does.
fn become_server(server: &mut Command) -> anyhow::Error {
    use std::os::unix::process::CommandExt;

    if !process::installed("setpriv", "--version") {
        return anyhow::Error::new(server.exec());
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(server.get_program()).args(server.get_args());
    process::without(&mut command, |name| name.starts_with("SWITCHBOARD_"));
    anyhow::Error::new(command.exec())
}

//! Starting other programs: cargo without inherited package variables, output counted while it streams, and a deadline.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// Cargo as called by hand. `cargo run` sets the variables of this package, and build scripts that look at them
/// (ring's does) would otherwise be rebuilt each time the caller changes between `cargo` and `cargo xtask`.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    without(&mut command, |name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
    command
}

/// Takes variables of these names out of what the command inherits.
pub(crate) fn without(command: &mut Command, named: impl Fn(&str) -> bool) {
    for (key, _) in std::env::vars_os().filter(|(key, _)| named(&key.to_string_lossy())) {
        command.env_remove(key);
    }
}

/// Runs to the end with output passed through; whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> anyhow::Result<bool> {
    print_command(command);
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {}", shown(command)))?;
    Ok(status.success())
}

/// Runs quietly; on failure the error is the last line it had to say.
pub(crate) fn quietly(command: &mut Command) -> Result<(), String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{}: {error}", shown(command)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output");
    Err(format!("{} failed: {last}", shown(command)))
}

/// Runs with each line of standard output printed and handed to `line`; whether it succeeded within `limit`.
pub(crate) fn lines(
    command: &mut Command,
    limit: Duration,
    mut line: impl FnMut(&str),
) -> anyhow::Result<bool> {
    each_line(command, limit, |text| {
        println!("{text}");
        line(text);
    })
}

/// Runs with each line of standard output handed to `line` and not printed; whether it succeeded within `limit`.
pub(crate) fn each_line(
    command: &mut Command,
    limit: Duration,
    mut line: impl FnMut(&str),
) -> anyhow::Result<bool> {
    print_command(command);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = Reaped(child.with_context(|| format!("cannot run {}", shown(command)))?);
    let output = child.0.stdout.take().context("no pipe to read from")?;
    let (send, receive) = std::sync::mpsc::sync_channel(64);
    // Detached on purpose: a grandchild may hold the pipe open after the deadline, and nobody should wait for it.
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + limit;
    loop {
        match receive.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) => line(&text),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Ok(child.0.wait()?.success()),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                println!("stopped after {} s", limit.as_secs());
                return Ok(false);
            }
        }
    }
}

/// A child that does not outlive its owner, whichever way the owner's function ends.
pub(crate) struct Reaped(pub(crate) Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail only when the child is already gone, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a program of this name can be started here.
pub(crate) fn installed(program: &str, version_flag: &str) -> bool {
    Command::new(program)
        .arg(version_flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn print_command(command: &Command) {
    println!("$ {}", shown(command));
}

fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let words = std::iter::once(program.file_name().unwrap_or(program.as_os_str())).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

//! The binary with the new protocol in it, as whoever followed the recipe would try it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::files;
use crate::process::{self, Reaped};

const PATIENCE: Duration = Duration::from_secs(20);

/// A registry that speaks the native API and the new protocol.
pub(super) struct Smoke {
    _child: Reaped,
    native: String,
    protocol: String,
}

impl Smoke {
    /// Every protocol that is left in listens on a free port.
    pub(super) fn start(binary: &Path, folder: &Path, name: &str) -> anyhow::Result<Smoke> {
        let (ports, child) = run(binary, folder, &["native", name], &[])?;
        let address = |of: &str| {
            let line = ports.lines().find_map(|line| line.strip_prefix(of)?.strip_prefix('='));
            line.map(str::to_owned).with_context(|| format!("{of} listens nowhere: {ports}"))
        };
        let (native, protocol) = (address("native")?, address(name)?);
        let panel = files::text(&folder.join("out"));
        if !panel.contains(&protocol) {
            bail!("the panel does not say where {name} listens:\n{panel}");
        }
        Ok(Smoke { _child: child, native, protocol })
    }

    /// Lines with `>` are said, lines with `<` are what must come.
    pub(super) fn talk(&self, script: &str) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(&self.protocol)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut answers = BufReader::new(stream.try_clone()?);
        for line in script.lines() {
            if let Some(said) = line.strip_prefix("> ") {
                writeln!(stream, "{said}")?;
            } else if let Some(expected) = line.strip_prefix("< ") {
                let mut heard = String::new();
                answers.read_line(&mut heard)?;
                if heard.trim_end() != expected {
                    bail!("expected {expected:?}, heard {:?}", heard.trim_end());
                }
            }
        }
        Ok(())
    }

    /// What stands behind `--` is said to the command line, which speaks the native API; every word of a comment must be
    /// in the answer before it.
    pub(super) fn run(&self, binary: &Path, script: &str) -> anyhow::Result<()> {
        let mut answer = String::new();
        for line in script.lines() {
            if let Some((_, arguments)) = line.split_once(" -- ") {
                answer = self.ask(binary, arguments)?;
            } else if let Some(word) = line.split_whitespace().skip(1).find(|word| !answer.contains(word)) {
                bail!("no {word:?} in {answer}");
            }
        }
        Ok(())
    }

    fn ask(&self, binary: &Path, arguments: &str) -> anyhow::Result<String> {
        let mut command = command(binary);
        command.args(arguments.split(' ')).args(["--server", &format!("http://{}", self.native)]);
        let output = command.output()?;
        if !output.status.success() {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Whether a protocol that is disabled is not spoken.
pub(super) fn disabled(binary: &Path, folder: &Path, name: &str) -> anyhow::Result<()> {
    let (ports, _child) = run(binary, folder, &["native", name], &["--disable", name])?;
    if ports.contains(name) {
        bail!("{name} is disabled, and listens all the same: {ports}");
    }
    Ok(())
}

/// Starts a registry and waits for it. Returns what listens where.
fn run(binary: &Path, folder: &Path, only: &[&str], more: &[&str]) -> anyhow::Result<(String, Reaped)> {
    std::fs::create_dir_all(folder)?;
    let port_file = folder.join("ports");
    let _ = std::fs::remove_file(&port_file);
    let mut command = command(binary);
    command.current_dir(folder).args(["serve", "--engine", "memory", "--port-file", "ports"]);
    for name in only {
        command.args(["--only", name, "--listen", &format!("{name}=127.0.0.1:0")]);
    }
    command.args(more).stdout(File::create(folder.join("out"))?).stderr(File::create(folder.join("err"))?);
    let mut child = Reaped(command.spawn().with_context(|| format!("cannot start {}", binary.display()))?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(ports) = std::fs::read_to_string(&port_file) {
            return Ok((ports, child));
        }
        if child.0.try_wait()?.is_some() || Instant::now() > deadline {
            bail!("the server was not ready: {}", files::text(&folder.join("err")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Without what the caller's environment says.
fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    process::without(&mut command, |name| name.starts_with("SWITCHBOARD_"));
    command.stdin(Stdio::null());
    command
}

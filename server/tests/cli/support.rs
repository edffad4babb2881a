use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, without what the environment of the tests says.
pub(crate) fn switchboard(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("SWITCHBOARD_")) {
        command.env_remove(key);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Said {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    #[track_caller]
    pub(crate) fn err_says(&self, words: &[&str]) {
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {}", self.err);
        }
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a command in a folder to its end.
pub(crate) fn run_in(folder: &Path, arguments: &[&str]) -> Said {
    switchboard(arguments).current_dir(folder).output().unwrap().into()
}

/// A registry that runs.
pub(crate) struct Served {
    pub(crate) folder: TempDir,
    pub(crate) address: String,
    ports: String,
    child: Child,
}

impl Served {
    pub(crate) fn start() -> Served {
        Served::start_in(tempfile::tempdir().unwrap(), &[])
    }

    pub(crate) fn start_in(folder: TempDir, arguments: &[&str]) -> Served {
        let port_file = folder.path().join("ports");
        let mut command = switchboard(&[
            "serve",
            "--only",
            "native",
            "--listen",
            "native=127.0.0.1:0",
            "--port-file",
            "ports",
        ]);
        command.args(arguments).current_dir(&folder);
        let log = |name: &str| std::fs::File::create(folder.path().join(name)).unwrap();
        let mut child = command.stdout(log("out")).stderr(log("err")).spawn().unwrap();
        let begin = Instant::now();
        let ports = loop {
            match std::fs::read_to_string(&port_file) {
                Ok(ports) => break ports,
                Err(_) if child.try_wait().unwrap().is_none() && begin.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(_) => {
                    panic!("not ready: {}", std::fs::read_to_string(folder.path().join("err")).unwrap())
                }
            }
        };
        std::fs::remove_file(port_file).unwrap();
        let native = ports.lines().find_map(|line| line.strip_prefix("native=")).unwrap().to_owned();
        Served { folder, address: native, ports, child }
    }

    /// Where a protocol listens.
    pub(crate) fn at(&self, protocol: &str) -> &str {
        let found = self.ports.lines().find_map(|line| line.strip_prefix(protocol)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("{protocol} is not in {}", self.ports))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a client command against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let url = self.url();
        run_in(self.folder.path(), &[arguments, &["--server", &url]].concat())
    }

    /// What it wrote so far: `out` or `err`.
    pub(crate) fn wrote(&self, what: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(what)).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), id]).status().unwrap().success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Stops it and gives its folder back.
    pub(crate) fn stop(mut self) -> TempDir {
        self.signal("TERM");
        assert!(self.wait().success(), "{}", self.wrote("err"));
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    panic!("the process did not end");
}

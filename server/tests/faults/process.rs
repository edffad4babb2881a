use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::http::Client;

/// Far above what anything here takes, so that only what hangs runs into it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that registries run in, one after the other.
pub(crate) struct Place {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// Every registry that is started here from now on sees this variable.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.push((name, value.into()));
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("switchboard-data")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("switchboard.redb")
    }

    /// What the last registry here had to say.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("err")).unwrap()
    }

    /// Starts a registry and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        self.start_on(&[("native", "127.0.0.1:0")])
    }

    /// The same, with these protocols at these addresses.
    pub(crate) fn start_on(&self, protocols: &[(&str, &str)]) -> Server {
        let mut process = self.spawn_on(protocols);
        let file = self.port_file();
        let begin = Instant::now();
        let ports = loop {
            match std::fs::read_to_string(&file) {
                Ok(ports) => break ports,
                Err(_) if process.is_running() && begin.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(_) => panic!("not ready: {}", self.log()),
            }
        };
        let addresses = ports.lines().filter_map(|line| line.split_once('='));
        let addresses = addresses.map(|(name, address)| (name.to_owned(), address.to_owned())).collect();
        let mut server = Server { process, address: String::new(), addresses };
        server.address = server.address_of("native").to_owned();
        server
    }

    /// Starts a registry and waits for nothing.
    pub(crate) fn spawn(&self) -> Process {
        self.spawn_on(&[("native", "127.0.0.1:0")])
    }

    fn spawn_on(&self, protocols: &[(&str, &str)]) -> Process {
        // Whoever was killed left its own behind.
        let _ = std::fs::remove_file(self.port_file());
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
        for (key, _) in
            std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("SWITCHBOARD_"))
        {
            command.env_remove(key);
        }
        command.args(["serve", "--port-file", "ports"]);
        for (name, address) in protocols {
            command.args(["--only", name, "--listen", &format!("{name}={address}")]);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let log = |name: &str| std::fs::File::create(self.path().join(name)).unwrap();
        command.current_dir(self.path()).stdin(Stdio::null()).stdout(log("out")).stderr(log("err"));
        Process(command.spawn().unwrap())
    }

    fn port_file(&self) -> PathBuf {
        self.path().join("ports")
    }
}

/// A registry that answers.
pub(crate) struct Server {
    pub(crate) process: Process,
    /// Of the native protocol.
    pub(crate) address: String,
    addresses: Vec<(String, String)>,
}

impl Server {
    pub(crate) fn address_of(&self, protocol: &str) -> &str {
        let found = self.addresses.iter().find(|(name, _)| name == protocol);
        &found.unwrap_or_else(|| panic!("{protocol} does not listen: {:?}", self.addresses)).1
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address)
    }

    pub(crate) fn stop(mut self) {
        self.process.signal(Signal::TERM);
        assert!(self.process.wait().success());
    }
}

/// A child that does not outlive the test, also when that fails or when the child is frozen.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill_nine(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the registry did not end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

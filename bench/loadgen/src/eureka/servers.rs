//! The two servers. What the registry acknowledges is on the disk; the real one keeps everything in memory.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Setup;
use super::words::Fetch;
use crate::client::OwnedReply;
use crate::common::Each;
use crate::load::{self, Extent, Load, Outcome, Scripts};
use crate::server_process::{Server, free_address, last_words, new_data_dir, registry_command};

const PATIENCE: Duration = Duration::from_secs(180);
pub(super) const CONNECTIONS: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Registry,
    Eureka,
}

pub(super) struct Running {
    pub(super) server: Server,
}

/// Where a server is, and the others of its cluster.
pub(super) struct Place {
    pub(super) address: SocketAddr,
    pub(super) others: Vec<SocketAddr>,
}

impl Place {
    pub(super) fn alone() -> Result<Place> {
        Ok(Place { address: free_address()?, others: Vec::new() })
    }

    /// Two of a cluster. The real ones tell each other apart by their hosts.
    pub(super) fn two() -> Result<[Place; 2]> {
        let at = |host: u8| -> Result<SocketAddr> {
            Ok(TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), 0))?.local_addr()?)
        };
        let (one, two) = (at(11)?, at(12)?);
        Ok([Place { address: one, others: vec![two] }, Place { address: two, others: vec![one] }])
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/eureka/")
}

impl Setup {
    pub(super) fn start(&self, side: Side, row: &str, place: &Place) -> Result<Running> {
        let name = match side {
            Side::Registry => "registry",
            Side::Eureka => "eureka",
        };
        let data_dir = new_data_dir(&self.scratch, &format!("{row}-{name}"))?;
        let mut command = match side {
            Side::Registry => self.registry(&data_dir, place)?,
            Side::Eureka => self.eureka(place),
        };
        let log = data_dir.with_extension("log");
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let server = Server::start(&mut command, place.address, "/eureka/apps", PATIENCE)
            .with_context(|| format!("{name} did not get ready; its last words: {}", last_words(&log)))?;
        Ok(Running { server })
    }

    fn registry(&self, data_dir: &std::path::Path, place: &Place) -> Result<Command> {
        let mut command = registry_command(&self.server_binary, data_dir, &[("eureka", place.address)]);
        if !place.others.is_empty() {
            let config = data_dir.with_extension("toml");
            let peers: Vec<String> = place.others.iter().copied().map(url).collect();
            std::fs::write(&config, format!("[eureka]\npeers = {}\n", serde_json::to_string(&peers)?))?;
            command.arg("--config").arg(config);
        }
        Ok(command)
    }

    fn eureka(&self, place: &Place) -> Command {
        let mut command = Command::new("java");
        command.arg("-Xmx1g").arg("-jar").arg(&self.eureka_jar);
        let mut set = |key: &str, value: &str| {
            command.arg(format!("--{key}={value}"));
        };
        set("server.address", &place.address.ip().to_string());
        set("server.port", &place.address.port().to_string());
        // Otherwise a connection ends after a hundred requests.
        set("server.tomcat.max-keep-alive-requests", "-1");
        set("logging.level.root", "warn");
        set("eureka.client.register-with-eureka", "false");
        set("eureka.client.fetch-registry", "false");
        set("eureka.server.enable-self-preservation", "false");
        if !place.others.is_empty() {
            let all: Vec<String> = [place.address].iter().chain(&place.others).copied().map(url).collect();
            set("eureka.client.service-url.defaultZone", &all.join(","));
            set("eureka.instance.hostname", &place.address.ip().to_string());
            set("eureka.server.use-read-only-response-cache", "false");
            // The default gives a peer on a busy machine a fifth of a second.
            set("eureka.server.peer-node-read-timeout-ms", "5000");
            set("eureka.server.peer-node-connect-timeout-ms", "1000");
        }
        command
    }
}

impl Running {
    pub(super) fn send(&self, request: &[u8]) -> Result<OwnedReply> {
        self.server.caller()?.call(request)
    }

    /// How many instances it shows at a path.
    pub(super) fn count(&self, path: &str, fetch: Fetch) -> Result<usize> {
        Ok(fetch.count(&self.send(&fetch.request(path))?.body))
    }

    /// The real one keeps what it shows for half a minute.
    pub(super) fn wait_for(&self, path: &str, fetch: Fetch, is_right: impl Fn(usize) -> bool) -> Result<()> {
        let begin = std::time::Instant::now();
        loop {
            let count = self.count(path, fetch)?;
            if is_right(count) {
                return Ok(());
            }
            ensure!(begin.elapsed() < PATIENCE, "{path} shows {count} instances");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Sends the first `count` requests of a sequence over many connections.
    pub(super) fn fill(
        &self,
        setup: &Setup,
        count: u64,
        request: impl Fn(u64) -> Vec<u8> + Clone + Send + Sync + 'static,
    ) -> Result<Outcome> {
        let counter = Arc::new(AtomicU64::new(0));
        let scripts: Scripts = Arc::new(move |_| {
            Box::new(Each { counter: Arc::clone(&counter), limit: count, request: request.clone() })
        });
        let extent = Extent::UntilDone { patience: Duration::from_secs(600), total: count };
        self.load(setup, scripts, extent).context("fill it")
    }

    pub(super) fn load(&self, setup: &Setup, scripts: Scripts, extent: Extent) -> Result<Outcome> {
        let target = self.server.address;
        let load = Load { target, connections: CONNECTIONS, threads: setup.threads, scripts, extent };
        load::run(&load, &self.server.process)
    }
}

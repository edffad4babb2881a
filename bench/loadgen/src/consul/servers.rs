//! The two servers, each on a data directory of its own, both durable, both listening for HTTP and DNS.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Setup;
use crate::client::OwnedReply;
use crate::common::Each;
use crate::load::{self, Extent, Load, Outcome};
use crate::requests;
use crate::server_process::{Server, free_address, last_words, new_data_dir, registry_command};

/// Consul finds a leader some seconds after its start.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Registry,
    Consul,
}

pub(super) struct Running {
    pub(super) server: Server,
    pub(super) dns: SocketAddr,
}

impl Setup {
    pub(super) fn start(&self, side: Side, row: &str) -> Result<Running> {
        let name = match side {
            Side::Registry => "registry",
            Side::Consul => "consul",
        };
        let data_dir = new_data_dir(&self.scratch, &format!("{row}-{name}"))?;
        let (http, dns) = (free_address()?, free_address()?);
        let mut command = match side {
            Side::Registry => {
                registry_command(&self.server_binary, &data_dir, &[("consul", http), ("dns", dns)])
            }
            Side::Consul => {
                let config = data_dir.join("config.json");
                std::fs::write(&config, self.consul_config(&data_dir, http, dns)?.to_string())?;
                let mut command = Command::new(&self.consul_binary);
                command.arg("agent").arg("-config-file").arg(config);
                command
            }
        };
        let log = data_dir.with_extension("log");
        command.stdin(Stdio::null()).stdout(File::create(&log)?).stderr(Stdio::null());
        // Its own node is in the catalogue when somebody leads and it has registered itself.
        let server = Server::start(&mut command, http, "/v1/health/service/consul", PATIENCE)
            .with_context(|| format!("{name} did not get ready; its last words: {}", last_words(&log)))?;
        let running = Running { server, dns };
        running.wait_until_it_leads()?;
        Ok(running)
    }

    fn consul_config(
        &self,
        data_dir: &std::path::Path,
        http: SocketAddr,
        dns: SocketAddr,
    ) -> Result<serde_json::Value> {
        // It refuses to start with more than its descriptors allow.
        let connections = self.descriptors.saturating_sub(200).min(15_000);
        Ok(serde_json::json!({
            "server": true,
            "bootstrap": true,
            "node_name": "bench",
            "data_dir": data_dir.join("data"),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "log_level": "warn",
            "disable_update_check": true,
            "performance": { "raft_multiplier": 1 },
            "connect": { "enabled": false },
            "limits": { "http_max_conns_per_client": connections, "rpc_max_conns_per_client": connections },
            "ports": {
                "http": http.port(), "dns": dns.port(), "server": free_address()?.port(),
                "serf_lan": free_address()?.port(), "serf_wan": -1, "grpc": -1, "grpc_tls": -1,
            },
        }))
    }
}

impl Running {
    pub(super) fn get(&self, path: &str) -> Result<OwnedReply> {
        self.server.caller()?.call(&requests::get(path))
    }

    pub(super) fn send(&self, request: &[u8]) -> Result<OwnedReply> {
        self.server.caller()?.call(request)
    }

    /// How many elements the list has that a path answers with.
    pub(super) fn expect(&self, path: &str, elements: usize) -> Result<usize> {
        let reply = self.get(path)?;
        let found: serde_json::Value = serde_json::from_slice(&reply.body).context("read an answer")?;
        let found = found.as_array().map_or_else(|| found.as_object().map_or(0, |all| all.len()), Vec::len);
        ensure!(found == elements, "{path} has {found} elements, not {elements}");
        Ok(reply.body.len())
    }

    fn wait_until_it_leads(&self) -> Result<()> {
        let begin = std::time::Instant::now();
        while self.get("/v1/status/leader").map(|reply| reply.body.len()).unwrap_or(0) < 4
            || self.get("/v1/catalog/nodes").map(|reply| reply.body.len()).unwrap_or(0) < 4
        {
            ensure!(begin.elapsed() < PATIENCE, "nobody leads");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Sends the first `count` requests of a sequence over many connections.
    pub(super) fn fill(&self, setup: &Setup, count: u64, request: fn(u64) -> Vec<u8>) -> Result<Outcome> {
        let counter = Arc::new(AtomicU64::new(0));
        let load = Load {
            target: self.server.address,
            connections: 64,
            threads: setup.threads,
            scripts: Arc::new(move |_| {
                Box::new(Each { counter: Arc::clone(&counter), limit: count, request })
            }),
            extent: Extent::UntilDone { patience: Duration::from_secs(1200), total: count },
        };
        load::run(&load, &self.server.process).context("fill it")
    }
}

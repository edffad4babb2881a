//! The two servers, each on a data directory of its own, both durable.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tokio::sync::OnceCell;

use super::Setup;
use super::grpc::Channel;
use super::wire;
use crate::compared::{Turns, in_turns};
use crate::load::{Crowd, Extent, Outcome, Turn};
use crate::server_process::{Server, free_address, last_words, new_data_dir, registry_command};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Registry,
    Etcd,
}

pub(super) struct Running {
    pub(super) server: Server,
}

pub(super) struct Pair {
    pub(super) registry: Running,
    pub(super) etcd: Running,
}

/// How many ask, over how many connections.
#[derive(Clone, Copy)]
pub(super) struct Clients {
    pub(super) clients: usize,
    pub(super) connections: usize,
}

/// What the nth request of all is.
pub(super) type Ask = Arc<dyn Fn(u64) -> (&'static str, Bytes) + Send + Sync>;

impl Setup {
    pub(super) fn start(&self, side: Side, row: &str) -> Result<Running> {
        let name = match side {
            Side::Registry => "registry",
            Side::Etcd => "etcd",
        };
        let data_dir = new_data_dir(&self.scratch, &format!("{row}-{name}"))?;
        let address = free_address()?;
        let mut command = match side {
            Side::Registry => registry_command(&self.server_binary, &data_dir, &[("etcd", address)]),
            Side::Etcd => {
                let (client, peer) = (format!("http://{address}"), format!("http://{}", free_address()?));
                let mut command = Command::new(&self.etcd_binary);
                command.arg("--data-dir").arg(data_dir.join("data")).args(["--log-level", "error"]);
                command.args(["--quota-backend-bytes", "8589934592"]);
                command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
                command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
                command.args(["--initial-cluster", &format!("default={peer}")]);
                command
            }
        };
        let log = data_dir.with_extension("log");
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let server = Server::start(&mut command, address, "/readyz", PATIENCE)
            .with_context(|| format!("{name} did not get ready; its last words: {}", last_words(&log)))?;
        let running = Running { server };
        running.wait_until_it_writes()?;
        Ok(running)
    }

    pub(super) fn pair(&self, row: &str, prepare: impl Fn(&Running) -> Result<()>) -> Result<Pair> {
        let pair = Pair { registry: self.start(Side::Registry, row)?, etcd: self.start(Side::Etcd, row)? };
        prepare(&pair.registry).context("prepare the registry")?;
        prepare(&pair.etcd).context("prepare etcd")?;
        Ok(pair)
    }

    pub(super) fn in_turns(
        &self,
        pair: &Pair,
        measure: impl Fn(&Running) -> Result<Outcome>,
    ) -> Result<Turns> {
        in_turns(self.rounds(), || measure(&pair.registry), || measure(&pair.etcd))
    }

    pub(super) fn extent(&self) -> Extent {
        Extent::Window { warm_up: Duration::from_millis(500), length: self.window() }
    }

    /// One call after the other from each client.
    pub(super) fn calls(
        &self,
        running: &Running,
        from: Clients,
        extent: Extent,
        ask: &Ask,
    ) -> Result<Outcome> {
        let target = running.server.address;
        let channels: Arc<Vec<OnceCell<Channel>>> =
            Arc::new((0..from.connections).map(|_| OnceCell::new()).collect());
        let limit = match extent {
            Extent::Window { .. } => u64::MAX,
            Extent::UntilDone { total, .. } => total,
        };
        let counter = Arc::new(AtomicU64::new(0));
        // A connection's clients lie together, so that all of them are on its thread.
        let crowd = Crowd { size: from.clients, threads: self.threads.min(from.connections), extent };
        crowd.run(&running.server.process, move |index, turn| {
            let (channels, ask, counter) = (Arc::clone(&channels), Arc::clone(ask), Arc::clone(&counter));
            async move {
                let own = index * from.connections / from.clients;
                let opened = match channels.get(own) {
                    Some(cell) => cell.get_or_try_init(|| Channel::open(target)).await.cloned(),
                    None => Channel::open(target).await,
                };
                match opened {
                    Ok(channel) => {
                        turn.connected();
                        one(channel, &turn, || {
                            let n = counter.fetch_add(1, Ordering::Relaxed);
                            (n < limit).then(|| ask(n))
                        })
                        .await;
                    }
                    Err(error) => turn.broken(format!("{error:#}")),
                }
            }
        })
    }
}

async fn one(mut channel: Channel, turn: &Turn, next: impl Fn() -> Option<(&'static str, Bytes)>) {
    while !turn.is_over() {
        let Some((method, request)) = next() else { return };
        let sent = Instant::now();
        match channel.call(method, request).await {
            Ok(_) => turn.answered(sent.elapsed()),
            Err(error) => return turn.failed(format!("{error:#}")),
        }
    }
}

/// For what is asked once.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

impl Running {
    pub(super) fn call(&self, method: &str, request: Bytes) -> Result<Bytes> {
        block_on(async { Channel::open(self.server.address).await?.call(method, request).await })
    }

    /// How many keys a range has; anything else than expected fails the row.
    pub(super) fn expect(&self, key: &[u8], end: &[u8], keys: u64) -> Result<()> {
        let answer = self.call(wire::RANGE, wire::count(key, end))?;
        let found = wire::number_of(&answer, 4);
        ensure!(found == keys, "there are {found} keys, not {keys}");
        Ok(())
    }

    fn wait_until_it_writes(&self) -> Result<()> {
        let begin = Instant::now();
        while let Err(error) = self.call(wire::PUT, wire::put(b"ready", b"")) {
            ensure!(begin.elapsed() < PATIENCE, "it takes no writes: {error:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Pair {
    pub(super) fn stop(self) -> Result<()> {
        self.registry.server.process.stop().context("stop the registry")?;
        // It would hand over what it leads, and there is nobody.
        self.etcd.server.process.kill()
    }
}

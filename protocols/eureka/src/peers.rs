//! Other Eureka servers that share the registry. What happens here is told to each of them, once, in batches; what they
//! tell is not passed on. Instances that other protocols registered are lent to them: registered there and kept alive.

mod client;
mod copy;
mod exports;
mod queue;
mod sender;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use switchboard_facade::Metrics;
use switchboard_model::{DEFAULT_NAMESPACE, InstanceKey, Name};

use crate::config::Config;
use crate::facade::Shared;
use crate::wire::Item;
use client::Client;
use queue::Queue;

#[derive(Debug)]
pub(crate) struct Peers {
    all: Vec<Arc<Peer>>,
    /// Instances that a peer cancels just now: the others are told by that peer.
    hushed: Mutex<HashMap<Arc<InstanceKey>, usize>>,
    /// The first copy of what the peers know has not come yet.
    is_copying: AtomicBool,
    meters: Meters,
}

#[derive(Debug)]
struct Peer {
    client: Client,
    queue: Queue,
    is_reachable: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct Meters {
    sent: Counter,
    dropped: Counter,
    failed: Counter,
}

/// A peer, for people.
#[derive(Clone, Debug)]
pub(crate) struct PeerState {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) waiting: usize,
}

impl Peers {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Peers> {
        let mut all: Vec<Arc<Peer>> = Vec::new();
        for url in &config.peers {
            let client = Client::new(url, config.peer_timeout.0)
                .map_err(|why| anyhow::anyhow!("eureka.peers: {url:?} {why}"))?;
            let peer = Peer { client, queue: Queue::default(), is_reachable: AtomicBool::new(false) };
            if !all.iter().any(|known| known.client.base == peer.client.base) {
                all.push(Arc::new(peer));
            }
        }
        let is_copying = AtomicBool::new(!all.is_empty());
        Ok(Peers { all, hushed: Mutex::default(), is_copying, meters: Meters::default() })
    }

    pub(crate) fn register_meters(&self, metrics: &Metrics) {
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("switchboard_eureka_peers");
            registry.register(
                "items_sent",
                "Replicated operations that a peer took",
                self.meters.sent.clone(),
            );
            registry.register(
                "items_dropped",
                "Replicated operations that came to nothing: too old, too many, or refused",
                self.meters.dropped.clone(),
            );
            registry.register(
                "batches_failed",
                "Batches that a peer did not take",
                self.meters.failed.clone(),
            );
        });
    }

    /// Tells every peer. Only the default namespace is shared.
    pub(crate) fn relay(&self, namespace: &Name, item: impl FnOnce() -> Item) {
        if self.all.is_empty() || namespace.as_str() != DEFAULT_NAMESPACE {
            return;
        }
        self.push(&item());
    }

    fn push(&self, item: &Item) {
        for peer in &self.all {
            self.meters.dropped.inc_by(peer.queue.push(item.clone()));
        }
    }

    /// What is about to be cancelled is not news for the other peers.
    pub(crate) fn hush(&self, key: &Arc<InstanceKey>) -> Hushed {
        if !self.all.is_empty() {
            *self.hushed.lock().entry(key.clone()).or_default() += 1;
        }
        Hushed(key.clone())
    }

    fn take_hushed(&self, key: &Arc<InstanceKey>) -> bool {
        let mut hushed = self.hushed.lock();
        let Some(count) = hushed.get_mut(key) else { return false };
        *count -= 1;
        if *count == 0 {
            hushed.remove(key);
        }
        true
    }

    /// Nothing has come from the peers yet: an empty answer would look like an empty registry.
    pub(crate) fn is_copying(&self) -> bool {
        self.is_copying.load(Ordering::Acquire)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.all.iter().map(|peer| peer.client.base.clone()).collect()
    }

    pub(crate) fn reachable(&self) -> Vec<String> {
        self.by_reach(true)
    }

    pub(crate) fn unreachable(&self) -> Vec<String> {
        self.by_reach(false)
    }

    fn by_reach(&self, reach: bool) -> Vec<String> {
        let those = self.all.iter().filter(|peer| peer.is_reachable.load(Ordering::Relaxed) == reach);
        those.map(|peer| peer.client.base.clone()).collect()
    }

    pub(crate) fn states(&self) -> Vec<PeerState> {
        let state = |peer: &Arc<Peer>| PeerState {
            name: peer.client.base.clone(),
            state: if peer.is_reachable.load(Ordering::Relaxed) { "reachable" } else { "not reached" },
            waiting: peer.queue.len(),
        };
        self.all.iter().map(state).collect()
    }
}

/// A cancellation on its way.
#[derive(Debug)]
pub(crate) struct Hushed(Arc<InstanceKey>);

impl Hushed {
    /// It came to nothing.
    pub(crate) fn forget(self, peers: &Peers) {
        peers.take_hushed(&self.0);
    }
}

/// Replicates until told to stop.
pub(crate) async fn run(state: Shared) {
    if state.context.registry.loaded().await.is_err() {
        return;
    }
    if let Some(name) = state.config.cluster_name.clone() {
        tokio::spawn(until_stop(state.clone(), exports::register_ourselves(state.clone(), name)));
    }
    if state.peers.all.is_empty() {
        return;
    }
    for peer in state.peers.all.clone() {
        tokio::spawn(until_stop(state.clone(), sender::run(state.clone(), peer)));
    }
    tokio::spawn(until_stop(state.clone(), exports::keep_alive(state.clone())));
    tokio::spawn(until_stop(state.clone(), copy::run(state.clone())));
    until_stop(state.clone(), exports::follow(state.clone())).await;
}

async fn until_stop(state: Shared, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = state.context.stop.cancelled() => {}
    }
}

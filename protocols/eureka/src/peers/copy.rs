use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use switchboard_model::Name;
use switchboard_registry::Caller;

use super::Peer;
use crate::facade::{Shared, enrol};
use crate::wire::{InstanceInfo, Malformed, applications_from_json};

const TRIES: usize = 5;
const AT_ONCE: usize = 250;

/// Takes over what the first peer that answers knows. Until then, or until none did for a while, a registry without
/// instances does not claim to be empty.
pub(super) async fn run(state: Shared) {
    let mut pause = Duration::from_millis(500);
    for round in 0.. {
        for peer in &state.peers.all {
            match everything(peer).await {
                Ok(instances) => {
                    peer.is_reachable.store(true, Ordering::Relaxed);
                    let (count, taken) = (instances.len(), take(&state, instances).await);
                    tracing::info!(peer = peer.client.base, count, taken, "copied what a peer knows");
                    state.peers.is_copying.store(false, Ordering::Release);
                    return;
                }
                Err(why) => tracing::debug!(peer = peer.client.base, why, "a peer could not be copied"),
            }
        }
        if round + 1 == TRIES {
            tracing::warn!("no peer could be copied; answering with what is known here, and trying on");
            state.peers.is_copying.store(false, Ordering::Release);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}

async fn everything(peer: &Arc<Peer>) -> Result<Vec<InstanceInfo>, String> {
    let body = peer.client.get("apps/").await.map_err(|failure| failure.to_string())?;
    applications_from_json(&body).map_err(|Malformed(why)| why)
}

async fn take(state: &Shared, instances: Vec<InstanceInfo>) -> usize {
    let (caller, namespace) = (Caller::internal("eureka"), Name::default_namespace());
    let mut taken = 0;
    let mut rest = instances.into_iter();
    loop {
        let chunk: Vec<InstanceInfo> = rest.by_ref().take(AT_ONCE).collect();
        if chunk.is_empty() {
            return taken;
        }
        let done = join_all(chunk.into_iter().map(|info| {
            let app = info.app.clone().unwrap_or_default();
            let (caller, namespace) = (&caller, &namespace);
            async move { enrol(state, caller, namespace, &app, info, true).await.is_ok() }
        }));
        taken += done.await.into_iter().filter(|done| *done).count();
    }
}

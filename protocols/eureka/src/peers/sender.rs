use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use switchboard_model::Name;
use switchboard_registry::Caller;

use super::Peer;
use super::client::Failure;
use super::exports::registration;
use super::queue::Waiting;
use crate::facade::{Shared, enrol};
use crate::lens::find;
use crate::wire::{BatchAction, Item, ReplyItem, read_replies, write_batch};

/// What a real server takes at once.
const BATCH: usize = 250;
/// How long things gather, so that one request tells many.
const GATHER: Duration = Duration::from_millis(20);
const PAUSE_BUSY: Duration = Duration::from_millis(1000);
const PAUSE_AWAY: Duration = Duration::from_millis(500);

/// Tells one peer whatever it has yet to be told.
pub(super) async fn run(state: Shared, peer: Arc<Peer>) {
    let meters = &state.peers.meters;
    loop {
        peer.queue.some().await;
        tokio::time::sleep(GATHER).await;
        let (batch, expired) = peer.queue.take(BATCH);
        meters.dropped.inc_by(expired);
        if batch.is_empty() {
            continue;
        }
        let items: Vec<Item> = batch.iter().map(|waiting| waiting.item.clone()).collect();
        let outcome = peer.client.post("peerreplication/batch/", write_batch(&items)).await;
        let is_reachable = !matches!(outcome, Err(Failure::Away(_) | Failure::Silent));
        let was_reachable = peer.is_reachable.swap(is_reachable, Ordering::Relaxed);
        match outcome {
            Ok(answer) => {
                meters.sent.inc_by(items.len() as u64);
                let replies = read_replies(&answer).unwrap_or_default();
                if replies.len() == items.len() {
                    for (item, reply) in items.into_iter().zip(replies) {
                        react(&state, &peer, item, reply).await;
                    }
                } else {
                    tracing::warn!(peer = peer.client.base, "a peer's answer does not fit what it was told");
                }
            }
            Err(failure) => {
                meters.failed.inc();
                if was_reachable {
                    tracing::warn!(peer = peer.client.base, %failure, "a peer did not take a batch");
                }
                retry(&state, &peer, batch, failure).await;
            }
        }
    }
}

async fn retry(state: &Shared, peer: &Peer, batch: Vec<Waiting>, failure: Failure) {
    match failure {
        Failure::Busy(_) | Failure::Silent => {
            peer.queue.put_back(batch);
            tokio::time::sleep(PAUSE_BUSY).await;
        }
        Failure::Away(_) => {
            peer.queue.put_back(batch);
            tokio::time::sleep(PAUSE_AWAY).await;
        }
        Failure::Refused(_) => {
            state.peers.meters.dropped.inc_by(batch.len() as u64);
        }
    }
}

/// A peer that does not know an instance is told all of it; one that knows it better is believed.
async fn react(state: &Shared, peer: &Peer, item: Item, reply: ReplyItem) {
    let caller = Caller::internal("eureka");
    match (item.action, reply.status) {
        (BatchAction::Heartbeat, 404) => {
            let Ok(view) = state.context.registry.view(&caller) else { return };
            let namespace = Name::default_namespace();
            if let Some(found) = find(&view, namespace.as_str(), &item.app, &item.id) {
                peer.queue.push(registration(found));
            }
        }
        (BatchAction::Heartbeat, 409) => {
            let Some(info) = reply.info else { return };
            let app = item.app.clone();
            if let Err(refusal) = enrol(state, &caller, &Name::default_namespace(), &app, *info, true).await {
                tracing::debug!(why = refusal.text, app, "a peer's copy could not be taken");
            }
        }
        _ => {}
    }
}

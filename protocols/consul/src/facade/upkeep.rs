//! What nobody asks for and has to happen: sessions end when what they live by fails or goes, and what they held is freed.

use std::sync::Arc;
use std::time::Duration;

use switchboard_model::{Check, NodeKey, Revision, Selector, Status, Stored};
use switchboard_registry::{Snapshot, View, What};

use super::Shared;
use super::background::{me, next, rounds};
use crate::lens::{SESSIONS, Session};
use crate::plan::{ReleaseHolds, entries_under, is_alive};

/// Delays that are over are not removed at once: nobody sees them.
const AFTER_DELAY: Duration = Duration::from_secs(60);

/// A check that fails or is gone, or with no id, everything on the node.
struct Loss {
    node: NodeKey,
    check: Option<String>,
}

pub(super) async fn keep_sessions(state: Shared) {
    let round = |state: Shared, view: View| async move {
        let after = view.revision();
        let dead = entries_under(&view, SESSIONS, b"").filter(|entry| !is_alive(&view, &Session::of(entry)));
        let dead: Vec<String> = dead.map(|entry| id_of(&entry.key.key)).collect();
        drop(view);
        end(&state, dead).await?;
        follow(&state, after).await
    };
    rounds(state, round).await;
}

fn id_of(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

async fn end(state: &Shared, sessions: Vec<String>) -> Result<(), ()> {
    for id in sessions {
        if let Err(why) = state.context.registry.submit(&me(), state.end_of(id.clone())).await {
            tracing::warn!(%why, session = id, "a session that is over could not be ended; trying again");
            return Err(());
        }
    }
    Ok(())
}

/// Ends sessions as changes come in. It returns when changes were missed: then everything has to be looked at anew.
async fn follow(state: &Shared, after: Revision) -> Result<(), ()> {
    let registry = &state.context.registry;
    let mut watch = registry.watch(&me(), &Selector::Everything, after).map_err(|_| ())?;
    let mut delay = free(state).await?;
    loop {
        let delivery = match delay {
            Some(wait) => match tokio::time::timeout(wait, next(&mut watch)).await {
                Ok(delivery) => delivery?,
                Err(_) => {
                    delay = free(state).await?;
                    continue;
                }
            },
            None => next(&mut watch).await?,
        };
        let Some(delivery) = delivery else { return Ok(()) };
        let (mut losses, mut ended) = (Vec::new(), false);
        for change in delivery.items() {
            match &change.what {
                What::Entry { before: Some(before), after: None } => {
                    ended |= &*before.key.keyspace == SESSIONS
                }
                what => losses.extend(lost(what)),
            }
        }
        if !losses.is_empty() {
            let Ok(view) = registry.view(&me()) else { return Err(()) };
            let over = touched(&view, &losses);
            drop(view);
            ended |= !over.is_empty();
            end(state, over).await?;
        }
        if ended {
            delay = free(state).await?;
        }
    }
}

/// Frees what ended sessions held. Replies how long it takes until a delay is over.
async fn free(state: &Shared) -> Result<Option<Duration>, ()> {
    match state.context.registry.submit(&me(), ReleaseHolds).await {
        Ok(done) => Ok(done.reply.map(|left| Duration::from_millis(left).max(AFTER_DELAY))),
        Err(why) => {
            tracing::warn!(%why, "locks of sessions that are over could not be freed; trying again");
            Err(())
        }
    }
}

/// The sessions that lived by what is lost.
fn touched(view: &Snapshot, losses: &[Loss]) -> Vec<String> {
    let over = |session: &Session| {
        losses.iter().any(|loss| {
            loss.node.node.as_str().eq_ignore_ascii_case(&session.node)
                && loss.check.as_ref().is_none_or(|lost| session.all_checks().any(|id| id == lost))
        })
    };
    let sessions = entries_under(view, SESSIONS, b"").filter(|entry| over(&Session::of(entry)));
    sessions.map(|entry| id_of(&entry.key.key)).collect()
}

fn lost(what: &What) -> Vec<Loss> {
    type Checks = [Arc<Stored<Check>>];
    let of = |node: &NodeKey, before: &Checks, after: &Checks| -> Vec<Loss> {
        let fails = |check: &Stored<Check>| check.counted() == Status::Critical;
        let failed = |id| before.iter().any(|old| old.key.id == id && fails(old));
        // One that failed already has ended what it ends.
        let critical = after.iter().filter(|check| fails(check) && !failed(check.key.id.clone()));
        let gone = before.iter().filter(|old| after.iter().all(|new| new.key.id != old.key.id));
        let ids = critical.chain(gone).map(|check| check.key.id.to_string());
        ids.map(|id| Loss { node: node.clone(), check: Some(id) }).collect()
    };
    match what {
        What::Node { before: Some(before), after: None } => {
            vec![Loss { node: before.key.clone(), check: None }]
        }
        What::Node { before, after: Some(after) } => {
            of(&after.key, before.as_ref().map(|facts| &*facts.checks).unwrap_or_default(), &after.checks)
        }
        What::Instance { before, after } => {
            let Some(key) = after.as_ref().or(before.as_ref()).map(|view| view.key()) else {
                return Vec::new();
            };
            let Some(node) = &key.node else { return Vec::new() };
            let node = NodeKey { namespace: key.namespace.clone(), node: node.clone() };
            let checks = |view: &Option<Arc<switchboard_registry::InstanceView>>| {
                view.as_ref().map(|view| view.checks.to_vec()).unwrap_or_default()
            };
            of(&node, &checks(before), &checks(after))
        }
        What::Node { before: None, after: None }
        | What::Check { .. }
        | What::Lease { .. }
        | What::Entry { .. } => Vec::new(),
    }
}

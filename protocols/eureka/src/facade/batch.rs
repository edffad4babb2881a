use std::collections::BTreeMap;

use futures_util::future::join_all;
use http::StatusCode;
use switchboard_model::Name;
use switchboard_registry::Caller;

use super::State;
use super::instance::{Beat, Heard};
use super::register::enrol;
use super::status::To;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::refusal::Refusal;
use crate::wire::{BatchAction, Form, Item, MOST_ITEMS, Malformed, Reply, Status, read_batch, write_replies};

/// `POST peerreplication/batch/`: what a peer was told. All of it is told by a peer, whatever the headers say.
pub(crate) async fn post(state: &State, mut ask: Ask) -> Result<Answer, Refusal> {
    let limits = &state.config.limits;
    let bytes = ask.bytes(limits, limits.body_bytes).await?;
    let items = read_batch(&bytes)?;
    if items.len() > MOST_ITEMS {
        let why = format!("a batch has at most {MOST_ITEMS} items");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let replies = apply_all(state, &ask, items).await;
    // The same again, later: not half of it lost.
    if replies.iter().any(|reply| reply.status == 503) {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not all of it could be written"));
    }
    Ok(Answer::said(Form::JSON, write_replies(&replies)))
}

/// All instances at once, so that one write to the disk is enough for them; what is about the same one in its order.
async fn apply_all(state: &State, ask: &Ask, items: Vec<Result<Item, Malformed>>) -> Vec<Reply> {
    let mut lines: BTreeMap<(String, String), Vec<(usize, Item)>> = BTreeMap::new();
    let mut replies = vec![Reply { status: 500, info: None }; items.len()];
    for (place, item) in items.into_iter().enumerate() {
        if let Ok(item) = item {
            let about = (item.app.to_uppercase(), item.id.clone());
            lines.entry(about).or_default().push((place, item));
        }
    }
    let one = |line: Vec<(usize, Item)>| async move {
        let mut done = Vec::with_capacity(line.len());
        for (place, item) in line {
            done.push((place, apply(state, &ask.caller, &ask.namespace, item).await));
        }
        done
    };
    for (place, reply) in join_all(lines.into_values().map(one)).await.into_iter().flatten() {
        if let Some(slot) = replies.get_mut(place) {
            *slot = reply;
        }
    }
    replies
}

async fn apply(state: &State, caller: &Caller, namespace: &Name, item: Item) -> Reply {
    let (app, id) = (item.app.as_str(), item.id.as_str());
    let to = To { namespace, app, id, dirty: item.dirty, by_peer: true };
    let outcome = match item.action {
        BatchAction::Register => match item.info {
            Some(info) => match enrol(state, caller, namespace, app, *info, true).await {
                // What a peer could not register properly it cannot mend either.
                Err(refusal) if refusal.status != StatusCode::SERVICE_UNAVAILABLE => {
                    tracing::debug!(why = refusal.text, app, id, "a peer's registration was not taken");
                    Ok(())
                }
                other => other.map(|_| ()),
            },
            None => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "")),
        },
        BatchAction::Heartbeat => {
            let beat = Beat { dirty: item.dirty, overridden: item.overridden, by_peer: true };
            match state.beat(caller, namespace, app, id, beat).await {
                Ok(Heard::Renewed) => Ok(()),
                Ok(Heard::Unknown) => Err(Refusal::missing()),
                Ok(Heard::Older(info)) => return Reply { status: 409, info: Some(info) },
                Err(refusal) => Err(refusal),
            }
        }
        BatchAction::Cancel => state.cancel(caller, namespace, app, id, true).await,
        BatchAction::StatusUpdate => match item.status {
            Some(status) => state.lay_over(caller, to, status).await,
            None => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "")),
        },
        BatchAction::DeleteStatusOverride => match item.dirty {
            Some(_) => state.restore(caller, to, item.status.unwrap_or(Status::Unknown)).await,
            None => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "")),
        },
    };
    Reply { status: outcome.map_or_else(|refusal| refusal.status.as_u16(), |()| 200), info: None }
}

//! Keeps checks up that repeat what the checks of others say.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use switchboard_model::{Check, CheckKey, NodeKey, Revision, Selector, Stored};
use switchboard_registry::{Delivery, Snapshot, View, What};

use super::Shared;
use super::background::{me, next, rounds};
use crate::lens::{Alias, alias_of};

/// All aliases that there are, by their own key.
type Aliases = HashMap<CheckKey, Alias>;

pub(super) async fn keep_aliases(state: Shared) {
    let round = |state: Shared, view: View| async move {
        let (aliases, after) = (all(&view), view.revision());
        drop(view);
        follow(&state, aliases, after).await
    };
    rounds(state, round).await;
}

fn all(view: &Snapshot) -> Aliases {
    let services = view.services(Bound::Unbounded);
    let instances = services.flat_map(|service| service.instances()).flat_map(|view| view.checks.iter());
    let nodes = view.nodes(Bound::Unbounded::<NodeKey>).flat_map(|node| node.facts.checks.iter());
    nodes.chain(instances).filter_map(|check| Some((check.key.clone(), alias_of(check)?))).collect()
}

/// Returns when changes were missed: then everything has to be looked at anew.
async fn follow(state: &Shared, mut aliases: Aliases, after: Revision) -> Result<(), ()> {
    let registry = &state.context.registry;
    let mut watch = registry.watch(&me(), &Selector::Everything, after).map_err(|_| ())?;
    let everyone: Vec<CheckKey> = aliases.keys().cloned().collect();
    settle(state, &aliases, everyone).await?;
    while let Some(delivery) = next(&mut watch).await? {
        let fresh = learn(&mut aliases, &delivery);
        let touched = touched(&aliases, &delivery);
        settle(state, &aliases, fresh.into_iter().chain(touched).collect()).await?;
    }
    Ok(())
}

/// Aliases that came or were defined anew; those that went are forgotten.
fn learn(aliases: &mut Aliases, delivery: &Delivery) -> Vec<CheckKey> {
    let mut fresh = Vec::new();
    for change in delivery.items() {
        let What::Check { before, after } = &change.what else { continue };
        match after.as_ref().and_then(|check| Some((check, alias_of(check)?))) {
            Some((check, alias)) => {
                if aliases.insert(check.key.clone(), alias.clone()).as_ref() != Some(&alias) {
                    fresh.push(check.key.clone());
                }
            }
            None => {
                if let Some(check) = after.as_ref().or(before.as_ref()) {
                    aliases.remove(&check.key);
                }
            }
        }
    }
    fresh
}

/// Aliases of what changed.
fn touched(aliases: &Aliases, delivery: &Delivery) -> Vec<CheckKey> {
    if aliases.is_empty() {
        return Vec::new();
    }
    let mut places: Vec<Place<'_>> = delivery.items().filter_map(|change| place_of(&change.what)).collect();
    places.sort_unstable();
    places.dedup();
    let is_touched = |(key, alias): &(&CheckKey, &Alias)| {
        let Some(node) = alias.node(key) else { return false };
        let own = (node.clone(), Some(alias.service()));
        places.binary_search(&(node, None)).is_ok() || places.binary_search(&own).is_ok()
    };
    aliases.iter().filter(is_touched).map(|(key, _)| key.clone()).collect()
}

/// A node, or an instance on it by its id.
type Place<'a> = (NodeKey, Option<&'a str>);

/// Where it happened, if it has to do with health.
fn place_of(what: &What) -> Option<Place<'_>> {
    match what {
        What::Instance { .. } => {
            let key = what.instance()?.key();
            Some((key.node_key()?, Some(key.id.as_str())))
        }
        What::Node { before, after } => Some((after.as_ref().or(before.as_ref())?.key.clone(), None)),
        What::Check { .. } | What::Lease { .. } | What::Entry { .. } => None,
    }
}

/// Reports what these have to say, where it is something else than before.
async fn settle(state: &Shared, aliases: &Aliases, keys: Vec<CheckKey>) -> Result<(), ()> {
    let registry = &state.context.registry;
    for key in keys {
        let Some(alias) = aliases.get(&key) else { continue };
        let Ok(view) = registry.view(&me()) else { return Err(()) };
        let Some(check) = view.check(&key).cloned() else { continue };
        let (status, output) = alias.verdict(&view, &key, state.output());
        drop(view);
        if status == check.status && *output == *said(state, &check) {
            continue;
        }
        if let Err(why) = registry.report(&me(), &key, status, &output).await {
            if matches!(why, switchboard_model::Rejection::NotFound { .. }) {
                continue;
            }
            tracing::warn!(%why, check = %key, "what an alias repeats could not be written down; trying again");
            return Err(());
        }
    }
    Ok(())
}

/// What the check said last.
fn said(state: &Shared, check: &Arc<Stored<Check>>) -> String {
    let newest = state.context.registry.output(&check.key).map(|output| output.text.to_string());
    newest.unwrap_or_else(|| check.output.to_string())
}

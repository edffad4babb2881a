//! `coordinate/…`: where nodes are in the network, as others have found out.

use http::StatusCode;
use serde_json::json;
use switchboard_model::{Annex, Entry, NodeKey};
use switchboard_registry::View;
use switchboard_registry::plan::PutEntry;

use super::{Shared, State};
use crate::answer::{Answer, encode};
use crate::ask::Ask;
use crate::block::Index;
use crate::lens::default_only;
use crate::near::{KEYSPACE, coordinate_of, key_of};
use crate::refusal::Refusal;
use crate::scope;
use crate::wire::{Coordinate, CoordinateEntry, CoordinateUpdate};

pub(crate) async fn datacenters(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let view = state.context.registry.view(&ask.caller)?;
    let own = State::node_key(state.here.node.as_str())?;
    let coord = coordinate_of(&state.here, &view, &own).unwrap_or_else(Coordinate::origin);
    let own = CoordinateEntry { node: state.here.node.as_str(), segment: "", coord };
    Ok(Answer::json(&json!([{
        "Datacenter": state.here.datacenter,
        "AreaID": "wan",
        "Coordinates": [own],
    }])))
}

pub(crate) async fn nodes(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let (view, index) = state.settle_coordinates(&ask).await?;
    let nodes = scope::nodes(&view).map(|node| &node.facts.key);
    let known: Vec<_> = nodes.filter_map(|key| state.coordinate(&ask, &view, key)).collect();
    Ok(Answer::json(&known).at_index(&ask, index))
}

pub(crate) async fn node(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let missing = || Ok(Answer::empty().with_status(StatusCode::NOT_FOUND));
    let Ok(key) = State::node_key(&ask.rest) else { return missing() };
    let (view, index) = state.settle_coordinates(&ask).await?;
    let key = view.node(&key).map_or(&key, |view| &view.facts.key);
    match state.coordinate(&ask, &view, key) {
        Some(entry) => Ok(Answer::json(&[entry]).at_index(&ask, index)),
        None => missing(),
    }
}

impl State {
    async fn settle_coordinates(&self, ask: &Ask) -> Result<(View, u64), Refusal> {
        let index = |view: &View| Index::Exact(view.touched().entries(KEYSPACE));
        self.settle(ask, || scope::all_of(KEYSPACE), |_| true, index).await
    }

    fn coordinate<'a>(&self, ask: &Ask, view: &View, key: &'a NodeKey) -> Option<CoordinateEntry<'a>> {
        // There is only the segment without a name.
        if ask.get("segment").is_some() {
            return None;
        }
        let coord = coordinate_of(&self.here, view, key)?;
        Some(CoordinateEntry { node: key.node.as_str(), segment: "", coord })
    }
}

pub(crate) async fn update(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let body: CoordinateUpdate = ask.json(&state.config.limits).await?;
    state.here_only(&body.datacenter)?;
    default_only("Partition", &body.partition)?;
    let coord = body.coord.ok_or_else(|| Refusal::failed("invalid coordinate"))?;
    let all = coord.vec.iter().chain([&coord.error, &coord.adjustment, &coord.height]);
    if !all.into_iter().all(|number| number.is_finite()) {
        return Err(Refusal::failed("invalid coordinate"));
    }
    if coord.vec.len() != Coordinate::DIMENSIONS {
        return Err(Refusal::failed("incompatible coordinate"));
    }
    if !body.segment.is_empty() {
        return Err(Refusal::failed(format!(
            "segment {:?} not found: there are no network segments here",
            body.segment
        )));
    }
    let key = State::node_key(&body.node)?;
    let view = state.context.registry.view(&ask.caller)?;
    if view.node(&key).is_none() {
        return Err(Refusal::failed(format!("node {:?} is not registered", body.node)));
    }
    let entry =
        Entry { key: key_of(&key), value: encode(&coord), lease: None, flags: 0, annex: Annex::default() };
    state.context.registry.submit(&ask.caller, PutEntry { entry, if_revision: None }).await?;
    Ok(Answer::empty())
}

//! Which of them is near: sorting by the round-trip time from a node, for `?near=` and for prepared queries.

use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use switchboard_model::{EntryKey, NodeKey};
use switchboard_registry::Snapshot;

use crate::ask::Ask;
use crate::facade::State;
use crate::identity::Here;
use crate::refusal::Refusal;
use crate::wire::Coordinate;

/// Where coordinates are kept, by node.
pub(crate) const KEYSPACE: &str = "consul.coordinate";

pub(crate) fn key_of(node: &NodeKey) -> EntryKey {
    EntryKey { keyspace: Arc::from(KEYSPACE), key: Bytes::from(node.node.folded()) }
}

/// The coordinate of a node. None: nobody has told one.
pub(crate) fn coordinate_of(here: &Here, at: &Snapshot, node: &NodeKey) -> Option<Coordinate> {
    let view = at.node(node)?;
    let told = at.entry(&key_of(node)).filter(|entry| {
        // That of an earlier node of this name is not this one's.
        view.facts.node.as_ref().is_none_or(|node| node.created <= entry.modified)
    });
    match told {
        Some(entry) => serde_json::from_slice(&entry.value.value).ok(),
        None => (node.node == here.node).then(Coordinate::origin),
    }
}

/// A node to be near to.
#[derive(Debug)]
pub(crate) struct Near<'a> {
    here: &'a Here,
    at: &'a Snapshot,
    node: NodeKey,
    from: Coordinate,
}

impl<'a> Near<'a> {
    /// None: there is no such node, or nobody knows where it is: then everything stays in its order.
    pub(crate) fn new(here: &'a Here, at: &'a Snapshot, node: &str) -> Option<Near<'a>> {
        let node = State::node_key(node).ok()?;
        Some(Near { here, at, from: coordinate_of(here, at, &node)?, node })
    }

    fn distance_to(&self, node: &str) -> f64 {
        let node = State::node_key(node).ok();
        let there = node.and_then(|node| coordinate_of(self.here, self.at, &node));
        there.map_or(f64::INFINITY, |there| self.from.distance_to(&there))
    }

    /// The nearest first; those of equal distance stay in their order.
    pub(crate) fn sort<T>(&self, items: &mut Vec<T>, node: impl Fn(&T) -> &str) {
        let mut with: Vec<(f64, T)> =
            std::mem::take(items).into_iter().map(|item| (self.distance_to(node(&item)), item)).collect();
        with.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        items.extend(with.into_iter().map(|(_, item)| item));
    }

    /// What is on the node itself comes first, where it is among the nearest.
    pub(crate) fn lead<T>(&self, items: &mut [T], node: impl Fn(&T) -> &str) {
        let own = |item: &T| node(item).eq_ignore_ascii_case(self.node.node.as_str());
        if let Some(at) = items.iter().take(10).position(own) {
            items.swap(0, at);
        }
    }
}

impl State {
    /// By `?near=`.
    pub(crate) fn near<'a>(&'a self, ask: &Ask, at: &'a Snapshot) -> Result<Option<Near<'a>>, Refusal> {
        match self.near_node(ask, at)? {
            Some(node) => Ok(Near::new(&self.here, at, &node)),
            None => Ok(None),
        }
    }

    /// The name of the node that `?near=` means.
    pub(crate) fn near_node(&self, ask: &Ask, at: &Snapshot) -> Result<Option<String>, Refusal> {
        Ok(match ask.get("near") {
            Some("_agent") => Some(self.here.agent_of(ask)?.name.as_str().to_owned()),
            Some("_ip") => asking_address(ask).and_then(|ip| node_at(at, ip)),
            near => near.map(str::to_owned),
        })
    }
}

/// Where a client says that it is, or else where it calls from.
pub(crate) fn asking_address(ask: &Ask) -> Option<IpAddr> {
    let forwarded = ask.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let first = forwarded.and_then(|list| list.split(',').next()).and_then(|ip| ip.trim().parse().ok());
    first.or_else(|| ask.caller.peer.map(|ip| ip.to_canonical()))
}

/// The name of the node with this address.
pub(crate) fn node_at(at: &Snapshot, ip: IpAddr) -> Option<String> {
    let ip = ip.to_canonical();
    let is_there = |address: &str| address.parse::<IpAddr>().is_ok_and(|have| have.to_canonical() == ip);
    let mut nodes = at.nodes(Bound::Unbounded).filter_map(|view| view.facts.node.as_ref());
    nodes.find(|node| is_there(&node.address)).map(|node| node.key.node.as_str().to_owned())
}

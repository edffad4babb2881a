//! What of the registry is seen from here, and which of it a request asks for.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use switchboard_model::{DEFAULT_NAMESPACE, EntryKey, Health, Instance, NODELESS, Name, Selector};
use switchboard_registry::{InstanceView, NodeFacts, NodeView, ServiceView, Snapshot};

use crate::ask::Ask;

/// Consul's community edition knows one namespace.
pub(crate) fn is_ours(namespace: &Name) -> bool {
    namespace.as_str().eq_ignore_ascii_case(DEFAULT_NAMESPACE)
}

/// The node of an instance that names none is called so.
pub(crate) fn is_nodeless(name: &str) -> bool {
    name.eq_ignore_ascii_case(NODELESS)
}

pub(crate) fn nodes(at: &Snapshot) -> impl Iterator<Item = &NodeView> {
    at.nodes(Bound::Unbounded).filter(|node| is_ours(&node.facts.key.namespace)).map(AsRef::as_ref)
}

pub(crate) fn services(at: &Snapshot) -> impl Iterator<Item = &Arc<ServiceView>> {
    at.services(Bound::Unbounded).filter(|service| is_ours(&service.key.namespace))
}

pub(crate) fn instances(at: &Snapshot) -> impl Iterator<Item = &Arc<InstanceView>> {
    services(at).flat_map(|service| service.instances())
}

/// Whether there is an instance that names no node. Those come first in their service.
pub(crate) fn has_nodeless(at: &Snapshot) -> bool {
    services(at).any(|service| service.instances().next().is_some_and(|view| view.key().node.is_none()))
}

/// Instances that name no node.
pub(crate) fn nodeless(at: &Snapshot) -> impl Iterator<Item = &Arc<InstanceView>> {
    instances(at).filter(|view| view.key().node.is_none())
}

/// What lives on a node.
pub(crate) fn members<'a>(
    at: &'a Snapshot,
    node: &'a NodeView,
) -> impl Iterator<Item = &'a Arc<InstanceView>> {
    node.members.iter().filter_map(|member| at.instance(member))
}

/// All entries of a keyspace.
pub(crate) fn all_of(keyspace: &str) -> Selector {
    Selector::Entries { keyspace: keyspace.into(), start: Bytes::new(), end: None }
}

/// One entry, and none that begins like it.
pub(crate) fn only(key: &EntryKey) -> Selector {
    let end = [&key.key, &b"\0"[..]].concat();
    Selector::Entries { keyspace: key.keyspace.clone(), start: key.key.clone(), end: Some(end.into()) }
}

pub(crate) fn is_passing(view: &InstanceView) -> bool {
    matches!(view.health, Health::Passing | Health::Suspect)
}

pub(crate) fn has_tag(instance: &Instance, tag: &str) -> bool {
    instance.tags.iter().any(|have| have.eq_ignore_ascii_case(tag))
}

/// Whether an instance has all tags and node metadata that are asked for.
pub(crate) fn fits(ask: &Ask, view: &InstanceView) -> bool {
    let has_tags = ask.all("tag").all(|tag| has_tag(&view.instance, tag));
    has_tags && fits_node(ask, view.node.as_deref())
}

pub(crate) fn fits_node(ask: &Ask, node: Option<&NodeFacts>) -> bool {
    let meta = node.and_then(|facts| facts.node.as_ref()).map(|node| &node.metadata);
    // Of two values for one key the later counts.
    let wanted: BTreeMap<&str, &str> =
        ask.all("node-meta").map(|pair| pair.split_once(':').unwrap_or((pair, ""))).collect();
    let says =
        |(key, value): (&str, &str)| meta.and_then(|meta| meta.get(key)).is_some_and(|have| have == value);
    wanted.into_iter().all(says)
}

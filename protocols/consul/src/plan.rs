//! The intents that only this protocol has.

mod catalog;
mod files;
mod kv;
mod node;
mod query;
mod register;
mod session;
mod txn;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use switchboard_model::{Check, CheckKey, Id, InstanceKey, Node, NodeKey, Owner, Record, RecordKey};
use switchboard_registry::Snapshot;
use switchboard_registry::plan::{Plan, Write};

pub(crate) use catalog::RegisterInCatalog;
pub(crate) use files::{ApplyFiles, FileChecks, FileWish};
pub(crate) use kv::{DeletePair, DeleteTree, PutPair, Verb, entries_under, pairs_under};
pub(crate) use node::{NodeId, WriteNode};
pub(crate) use query::{DeleteQuery, PutQuery};
pub(crate) use register::{EnsureNode, MaintainInstance, MaintainNode, PutAgentCheck, RegisterService};
pub(crate) use session::{CreateSession, EndSession, ReleaseHolds, is_alive};
pub(crate) use txn::{Change, Op, PairWish, Place, Seen, Transact, Whose, Wish};

/// Writes an agent's node, and the check that says that it is there, unless somebody registered the node already.
fn ensure_node(plan: &mut Plan, at: &Snapshot, node: &Node, serf: &Check) {
    let view = at.node(&node.key);
    if view.is_none_or(|view| view.facts.node.is_none()) {
        plan.put(Record::Node(node.clone()));
    }
    if view.is_none_or(|view| view.facts.checks.iter().all(|check| check.key.id != serf.key.id)) {
        plan.put(Record::Check(serf.clone()));
    }
}

/// The same plan with one write for each record: what was said last, at the place where the record first stood.
fn once_each(plan: Plan) -> Plan {
    let mut places: HashMap<RecordKey, usize> = HashMap::with_capacity(plan.writes.len());
    let mut writes: Vec<Write> = Vec::with_capacity(plan.writes.len());
    for write in plan.writes {
        match places.entry(write.key()) {
            Entry::Occupied(place) => {
                if let Some(earlier) = writes.get_mut(*place.get()) {
                    *earlier = write;
                }
            }
            Entry::Vacant(place) => {
                place.insert(writes.len());
                writes.push(write);
            }
        }
    }
    Plan { writes, ..plan }
}

/// The instance of this id on the node, whatever its service: on a node an id is unique.
pub(crate) fn on_node<'a>(
    at: &'a Snapshot,
    node: Option<&NodeKey>,
    id: &str,
) -> Option<&'a Arc<InstanceKey>> {
    let namespace = node.map_or(switchboard_model::DEFAULT_NAMESPACE, |node| node.namespace.as_str());
    at.instances_by_id(namespace, id).find(|key| key.node.as_ref() == node.map(|node| &node.node))
}

/// The check of this id on a node or on one of its instances: on a node an id is unique.
pub(crate) fn check_on(at: &Snapshot, node: &NodeKey, id: &str) -> Option<CheckKey> {
    let id = Id::parse("CheckID", id).ok()?;
    let found = at.node(node)?;
    let owners = std::iter::once(Owner::Node(found.facts.key.clone()))
        .chain(likely(at, node, id.as_str()))
        .chain(found.members.iter().cloned().map(Owner::Instance));
    let mut keys = owners.map(|owner| CheckKey { owner, id: id.clone() });
    keys.find(|key| at.check(key).is_some())
}

/// Whose check it is, if it is called as a check is called by default, or as agents of others often call it: `service:<id>`,
/// `service:<id>:<n>` or `<id>`.
fn likely<'a>(at: &'a Snapshot, node: &'a NodeKey, check: &'a str) -> impl Iterator<Item = Owner> + 'a {
    let whole = check.strip_prefix("service:");
    let numbered = whole.and_then(|rest| rest.rsplit_once(':')).map(|(id, _)| id);
    let ids = whole.into_iter().chain(numbered).chain([check]);
    ids.filter_map(|id| on_node(at, Some(node), id).cloned().map(Owner::Instance))
}

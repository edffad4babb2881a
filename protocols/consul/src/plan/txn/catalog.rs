//! Operations on nodes, services and checks.

use switchboard_model::{CheckKey, Node, NodeKey, Owner};
use switchboard_registry::Snapshot;
use switchboard_registry::plan::{DeleteCheck, DeleteNode, Deregister, Steps};

use super::super::{RegisterInCatalog, WriteNode, check_on, on_node};
use super::{Change, Place, Seen, Told, Whose, Wish, take};
use crate::lens::{Given, check_from_catalog, instance_from_body};
use crate::wire::{CatalogCheck, ServiceBody};

/// What Consul's index says of a check without an id, or without a node.
const NO_VALUE: &str = "index error: object is missing a value for this index";

/// Whether something at `is` may not be touched.
fn is_stale(change: Change, is: u64) -> bool {
    match change {
        Change::Cas(index) | Change::DeleteCas(index) => index != is,
        Change::Set | Change::Delete => false,
    }
}

pub(super) fn find_node(steps: &Steps<'_>, whose: &Whose, seen: &mut Told) -> Result<(), String> {
    let at = steps.so_far();
    let found = match (&whose.id, &whose.node.key) {
        (Some(id), _) => id.holder(at),
        (None, key) => key.as_ref().and_then(|key| at.node(key)).map(|view| &view.facts),
    };
    let found = found.ok_or_else(|| format!("node {:?} doesn't exist", whose.node.name))?;
    seen.push(Seen::Node(found.clone()));
    Ok(())
}

pub(super) fn node(
    steps: &mut Steps<'_>,
    change: Change,
    write: &WriteNode,
    seen: &mut Told,
) -> Result<(), String> {
    let key = &write.node.key;
    let name = key.node.as_str();
    let facts = |at: &Snapshot| at.node(key).map(|view| view.facts.clone());
    let before = facts(steps.so_far());
    let is = before.as_ref().and_then(|facts| facts.node.as_ref()).map_or(0, |node| node.modified.0);
    match change {
        Change::Set | Change::Cas(_) => {
            if is_stale(change, is) {
                return Err(format!("failed to set node {name:?}, index is stale"));
            }
            take(steps, write)?;
            seen.extend(facts(steps.so_far()).map(Seen::Node));
        }
        Change::Delete | Change::DeleteCas(_) => {
            if is_stale(change, is) {
                return Err(format!("failed to delete node {name:?}, index is stale"));
            }
            if before.is_some() {
                take(steps, &DeleteNode { key: key.clone(), with_instances: true })?;
            }
        }
    }
    Ok(())
}

fn registered_node(at: &Snapshot, place: &Place) -> Result<Node, String> {
    let view = place.key.as_ref().and_then(|key| at.node(key));
    let node = view.and_then(|view| view.facts.node.as_ref());
    Ok(node.ok_or("Missing node registration")?.value.clone())
}

/// The node, to be left as it is.
fn as_it_is(node: Node) -> Option<WriteNode> {
    Some(WriteNode { node, id: None, only_if_new: true })
}

pub(super) fn service(
    steps: &mut Steps<'_>,
    wish: Wish,
    place: &Place,
    body: &ServiceBody,
    seen: &mut Told,
) -> Result<(), String> {
    // Whoever reads has to know the id; writing, it may be left out.
    let id = if body.id.is_empty() && wish != Wish::Get { &body.name } else { &body.id };
    let find = |at: &Snapshot| {
        let key = place.key.as_ref()?;
        on_node(at, Some(key), id).and_then(|key| at.instance(key)).cloned()
    };
    let before = find(steps.so_far());
    let is = before.as_ref().map_or(0, |view| view.instance.modified.0);
    let named = format!("service {id:?} on node {:?}", place.name);
    match wish {
        Wish::Get => seen.push(Seen::Service(before.ok_or_else(|| format!("{named} doesn't exist"))?)),
        Wish::Change(change @ (Change::Set | Change::Cas(_))) => {
            let node = registered_node(steps.so_far(), place)?;
            if is_stale(change, is) {
                return Err(format!("failed to set {named}, index is stale"));
            }
            let given =
                Given { node: Some(node.key.node.clone()), node_address: &node.address, by_agent: false };
            let instance = instance_from_body(&given, body).map_err(|refusal| refusal.text)?;
            let register = RegisterInCatalog {
                node: as_it_is(node.clone()),
                instance: Some(instance),
                checks: Vec::new(),
            };
            take(steps, &register)?;
            seen.extend(find(steps.so_far()).map(Seen::Service));
        }
        Wish::Change(change @ (Change::Delete | Change::DeleteCas(_))) => {
            if is_stale(change, is) {
                return Err(format!("failed to delete {named}, index is stale"));
            }
            if let Some(view) = before {
                take(steps, &Deregister { key: view.key().clone() })?;
            }
        }
    }
    Ok(())
}

pub(super) fn check(
    steps: &mut Steps<'_>,
    wish: Wish,
    place: &Place,
    body: &CatalogCheck,
    seen: &mut Told,
) -> Result<(), String> {
    let id = if body.check_id.is_empty() && wish != Wish::Get { &body.name } else { &body.check_id };
    if id.is_empty() || place.name.is_empty() {
        return Err(match wish {
            Wish::Get => format!("failed check lookup: {NO_VALUE}"),
            Wish::Change(Change::Set | Change::Cas(_)) => format!("failed health check lookup: {NO_VALUE}"),
            Wish::Change(Change::Delete | Change::DeleteCas(_)) => format!("check lookup failed: {NO_VALUE}"),
        });
    }
    let find = |at: &Snapshot| place.key.as_ref().and_then(|node| check_on(at, node, id));
    let before = find(steps.so_far());
    let is = before.as_ref().and_then(|key| steps.so_far().check(key)).map_or(0, |check| check.modified.0);
    let named = format!("check {id:?} on node {:?}", place.name);
    match wish {
        Wish::Get => {
            let key = before.ok_or_else(|| format!("{named} doesn't exist"))?;
            seen.extend(seen_check(steps.so_far(), &key));
        }
        Wish::Change(change @ (Change::Set | Change::Cas(_))) => {
            let node = registered_node(steps.so_far(), place)?;
            if is_stale(change, is) {
                return Err(format!("failed to set {named}, index is stale"));
            }
            let owner = Owner::Node(node.key.clone());
            let check = check_from_catalog(owner, body).map_err(|refusal| refusal.text)?;
            let service = Some(body.service_id.clone()).filter(|id| !id.is_empty());
            let register =
                RegisterInCatalog { node: as_it_is(node), instance: None, checks: vec![(service, check)] };
            take(steps, &register)?;
            seen.extend(find(steps.so_far()).and_then(|key| seen_check(steps.so_far(), &key)));
        }
        Wish::Change(change @ (Change::Delete | Change::DeleteCas(_))) => {
            if is_stale(change, is) {
                return Err(format!("failed to delete {named}, index is stale"));
            }
            if let Some(key) = before {
                take(steps, &DeleteCheck { key })?;
            }
        }
    }
    Ok(())
}

fn seen_check(at: &Snapshot, key: &CheckKey) -> Option<Seen> {
    let (node, instance) = match &key.owner {
        Owner::Instance(key) => (key.node.clone()?, at.instance(key).cloned()),
        Owner::Node(NodeKey { node, .. }) => (node.clone(), None),
    };
    Some(Seen::Check(node.as_str().into(), instance, at.check(key)?.clone()))
}

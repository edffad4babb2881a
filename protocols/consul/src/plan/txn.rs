//! Transactions: operations one after the other, all of them in one commit or none.

use std::sync::Arc;

use bytes::Bytes;
use switchboard_model::{Check, CheckKey, Entry, Node, NodeKey, Owner, Rejection, Stored};
use switchboard_registry::plan::{DeleteCheck, DeleteNode, Deregister, Plan, Steps};
use switchboard_registry::{InstanceView, Intent, NodeFacts, Now, Planned, Snapshot};

use super::kv::is_delayed;
use super::{
    DeletePair, DeleteTree, EndSession, PutPair, RegisterInCatalog, Verb, find_check, on_node, pairs_under,
};
use crate::lens::{Given, PairWords, check_from_catalog, instance_from_body, pair_key};
use crate::wire::{CatalogCheck, OpError, ServiceBody};

/// What an operation wants of something in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wish {
    Get,
    Set,
    /// Only if it is at this index.
    Cas(u64),
    Delete,
    DeleteCas(u64),
}

/// What an operation wants of a pair.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PairWish {
    Put { value: Bytes, flags: u64, verb: Verb },
    Delete,
    DeleteCas(u64),
    DeleteTree,
    Get,
    GetOrEmpty,
    GetTree,
    CheckIndex(u64),
    CheckSession(String),
    CheckNotExists,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Pair(Bytes, PairWish),
    Node(Wish, Box<Node>),
    Service(Wish, NodeKey, Box<ServiceBody>),
    Check(Wish, NodeKey, Box<CatalogCheck>),
    EndSession(EndSession),
    /// It wants nothing.
    Nothing,
}

/// What an operation found or made.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    Pair(Arc<Stored<Entry>>, WithValue),
    NoPair(Bytes),
    Node(Arc<NodeFacts>),
    Service(Arc<InstanceView>),
    Check(Arc<str>, Option<Arc<InstanceView>>, Arc<Stored<Check>>),
}

/// Whether the value is told, too.
pub(crate) type WithValue = bool;

/// Bytes that one answer tells of pairs at most, which is what 128 of the largest values come to: a tree can be asked for in every
/// operation, and may be all that is kept.
const MOST_TOLD: usize = 64 * 1024 * 1024;

/// What the operations so far have found or made.
#[derive(Debug, Default)]
struct Told {
    all: Vec<Seen>,
    /// Of trees.
    bytes: usize,
}

impl Told {
    fn push(&mut self, seen: Seen) {
        self.all.push(seen);
    }

    fn extend(&mut self, seen: Option<Seen>) {
        self.all.extend(seen);
    }

    fn tree(&mut self, at: &Snapshot, prefix: &[u8]) -> Result<(), String> {
        const BESIDE: usize = 128;
        for entry in pairs_under(at, prefix) {
            self.bytes += entry.key.key.len() + entry.value.value.len() + BESIDE;
            if self.bytes > MOST_TOLD {
                let name = String::from_utf8_lossy(prefix);
                return Err(format!(
                    "failed to get tree {name:?}: the transaction would tell more than {MOST_TOLD} bytes; \
                     ask for fewer trees at a time, or for this one with GET kv and ?recurse"
                ));
            }
            self.all.push(Seen::Pair(entry.clone(), true));
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Transact {
    pub(crate) ops: Vec<Op>,
}

impl Intent for Transact {
    /// Errors: nothing was done.
    type Reply = Result<Vec<Seen>, Vec<OpError>>;

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<Self::Reply>, Rejection> {
        let mut steps = Steps::new(at, now);
        let (mut seen, mut errors) = (Told::default(), Vec::new());
        for (op_index, op) in self.ops.iter().enumerate() {
            if let Err(what) = run(&mut steps, op, &mut seen) {
                errors.push(OpError { op_index, what });
            }
        }
        if !errors.is_empty() {
            return Ok(Planned { plan: Plan::default(), reply: Err(errors) });
        }
        Ok(Planned { plan: steps.into_plan(), reply: Ok(seen.all) })
    }
}

impl Transact {
    /// What it finds, if it writes nothing.
    pub(crate) fn read(&self, at: &Snapshot, now: Now) -> Result<Vec<Seen>, Vec<OpError>> {
        match self.plan(at, now) {
            Ok(planned) => planned.reply,
            Err(rejection) => Err(vec![OpError { op_index: 0, what: rejection.to_string() }]),
        }
    }
}

fn run(steps: &mut Steps<'_>, op: &Op, seen: &mut Told) -> Result<(), String> {
    match op {
        Op::Pair(key, wish) => pair(steps, key, wish, seen),
        Op::Node(wish, node) => on_a_node(steps, *wish, node, seen),
        Op::Service(wish, node, body) => service(steps, *wish, node, body, seen),
        Op::Check(wish, node, body) => check(steps, *wish, node, body, seen),
        Op::EndSession(end) => take(steps, end),
        Op::Nothing => Ok(()),
    }
}

/// Plans an intent as the next step.
fn take<I: Intent>(steps: &mut Steps<'_>, intent: &I) -> Result<I::Reply, String> {
    let planned = intent.plan(steps.so_far(), steps.now()).map_err(said)?;
    steps.take(&planned.plan);
    Ok(planned.reply)
}

fn said(rejection: Rejection) -> String {
    match rejection {
        Rejection::Invalid { why, field } if field.is_empty() => why,
        rejection => rejection.to_string(),
    }
}

fn pair(steps: &mut Steps<'_>, key: &Bytes, wish: &PairWish, seen: &mut Told) -> Result<(), String> {
    let name = String::from_utf8_lossy(key).into_owned();
    let found = steps.so_far().entry(&pair_key(key)).cloned();
    let missing = |why: &str| Err(format!("{why}key {name:?} doesn't exist"));
    match wish {
        PairWish::Put { value, flags, verb } => {
            let put = PutPair { key: key.clone(), value: value.clone(), flags: *flags, verb: verb.clone() };
            if !take(steps, &put)? {
                return Err(match verb {
                    Verb::Set | Verb::Cas(_) => format!("failed to set key {name:?}, index is stale"),
                    Verb::Acquire(_) if is_delayed(steps.so_far(), steps.now(), key) => {
                        format!("failed to lock key {name:?} due to lock delay")
                    }
                    Verb::Acquire(_) => format!("failed to lock key {name:?}, lock is already held"),
                    Verb::Release(_) => {
                        format!(
                            "failed to unlock key {name:?}, lock isn't held, or is held by another session"
                        )
                    }
                });
            }
            seen.extend(steps.so_far().entry(&pair_key(key)).map(|entry| Seen::Pair(entry.clone(), false)));
        }
        PairWish::Delete => _ = take(steps, &DeletePair { key: key.clone(), if_index: None })?,
        PairWish::DeleteCas(index) => {
            if !take(steps, &DeletePair { key: key.clone(), if_index: Some(*index) })? {
                return Err(format!("failed to delete key {name:?}, index is stale"));
            }
        }
        PairWish::DeleteTree => take(steps, &DeleteTree { prefix: key.clone() })?,
        PairWish::Get => match found {
            Some(entry) => seen.push(Seen::Pair(entry, true)),
            None => return missing(""),
        },
        PairWish::GetOrEmpty => {
            seen.push(found.map_or_else(|| Seen::NoPair(key.clone()), |entry| Seen::Pair(entry, true)));
        }
        PairWish::GetTree => seen.tree(steps.so_far(), key)?,
        PairWish::CheckIndex(index) => match found {
            Some(entry) if entry.modified.0 == *index => seen.push(Seen::Pair(entry, false)),
            Some(entry) => {
                let is = entry.modified.0;
                return Err(format!(
                    "failed index check for key {name:?}, current modify index {is} != {index}"
                ));
            }
            None => return missing("failed to check index, "),
        },
        PairWish::CheckSession(session) => match found {
            Some(entry) if PairWords::of(&entry).session == *session => seen.push(Seen::Pair(entry, false)),
            Some(entry) => {
                let is = PairWords::of(&entry).session;
                return Err(format!(
                    "failed session check for key {name:?}, current session {is:?} != {session:?}"
                ));
            }
            None => return missing("failed to check session, "),
        },
        PairWish::CheckNotExists if found.is_some() => return Err(format!("key {name:?} exists")),
        PairWish::CheckNotExists => {}
    }
    Ok(())
}

/// Whether something at `is` may be touched by a wish.
fn is_stale(wish: Wish, is: u64) -> bool {
    match wish {
        Wish::Cas(index) | Wish::DeleteCas(index) => index != is,
        Wish::Get | Wish::Set | Wish::Delete => false,
    }
}

fn on_a_node(steps: &mut Steps<'_>, wish: Wish, node: &Node, seen: &mut Told) -> Result<(), String> {
    let name = node.key.node.as_str();
    let facts = |at: &Snapshot| at.node(&node.key).map(|view| view.facts.clone());
    let before = facts(steps.so_far());
    let is = before.as_ref().and_then(|facts| facts.node.as_ref()).map_or(0, |node| node.modified.0);
    match wish {
        Wish::Get => match before {
            Some(facts) => seen.push(Seen::Node(facts)),
            None => return Err(format!("node {name:?} doesn't exist")),
        },
        Wish::Set | Wish::Cas(_) => {
            if is_stale(wish, is) {
                return Err(format!("failed to set node {name:?}, index is stale"));
            }
            take(steps, &switchboard_registry::plan::PutNode { node: node.clone() })?;
            seen.extend(facts(steps.so_far()).map(Seen::Node));
        }
        Wish::Delete | Wish::DeleteCas(_) => {
            if is_stale(wish, is) {
                return Err(format!("failed to delete node {name:?}, index is stale"));
            }
            if before.is_some() {
                take(steps, &DeleteNode { key: node.key.clone(), with_instances: true })?;
            }
        }
    }
    Ok(())
}

fn registered_node(at: &Snapshot, key: &NodeKey) -> Result<Node, String> {
    let node = at.node(key).and_then(|view| view.facts.node.as_ref());
    Ok(node.ok_or("Missing node registration")?.value.clone())
}

fn service(
    steps: &mut Steps<'_>,
    wish: Wish,
    node: &NodeKey,
    body: &ServiceBody,
    seen: &mut Told,
) -> Result<(), String> {
    let id = if body.id.is_empty() { &body.service } else { &body.id };
    let find = |at: &Snapshot| on_node(at, Some(node), id).and_then(|key| at.instance(key)).cloned();
    let before = find(steps.so_far());
    let is = before.as_ref().map_or(0, |view| view.instance.modified.0);
    let place = format!("service {id:?} on node {:?}", node.node.as_str());
    match wish {
        Wish::Get => match before {
            Some(view) => seen.push(Seen::Service(view)),
            None => return Err(format!("{place} doesn't exist")),
        },
        Wish::Set | Wish::Cas(_) => {
            let node = registered_node(steps.so_far(), node)?;
            if is_stale(wish, is) {
                return Err(format!("failed to set {place}, index is stale"));
            }
            let given =
                Given { node: Some(node.key.node.clone()), node_address: &node.address, by_agent: false };
            let instance = instance_from_body(&given, body).map_err(|refusal| refusal.text)?;
            let register = RegisterInCatalog {
                renamed: None,
                node: Some(node.clone()),
                skip_node: true,
                instance: Some(instance),
                checks: Vec::new(),
            };
            take(steps, &register)?;
            seen.extend(find(steps.so_far()).map(Seen::Service));
        }
        Wish::Delete | Wish::DeleteCas(_) => {
            if is_stale(wish, is) {
                return Err(format!("failed to delete {place}, index is stale"));
            }
            if let Some(view) = before {
                take(steps, &Deregister { key: view.key().clone() })?;
            }
        }
    }
    Ok(())
}

fn check(
    steps: &mut Steps<'_>,
    wish: Wish,
    node: &NodeKey,
    body: &CatalogCheck,
    seen: &mut Told,
) -> Result<(), String> {
    let id = if body.check_id.is_empty() { &body.name } else { &body.check_id };
    let before = find_check(steps.so_far(), node, id).map(|check| check.key.clone());
    let is = before.as_ref().and_then(|key| steps.so_far().check(key)).map_or(0, |check| check.modified.0);
    let place = format!("check {id:?} on node {:?}", node.node.as_str());
    match wish {
        Wish::Get => match before {
            Some(key) => seen.extend(seen_check(steps.so_far(), node, &key)),
            None => return Err(format!("{place} doesn't exist")),
        },
        Wish::Set | Wish::Cas(_) => {
            let record = registered_node(steps.so_far(), node)?;
            if is_stale(wish, is) {
                return Err(format!("failed to set {place}, index is stale"));
            }
            let check =
                check_from_catalog(Owner::Node(node.clone()), body).map_err(|refusal| refusal.text)?;
            let service = Some(body.service_id.clone()).filter(|id| !id.is_empty());
            let register = RegisterInCatalog {
                renamed: None,
                node: Some(record),
                skip_node: true,
                instance: None,
                checks: vec![(service, check)],
            };
            take(steps, &register)?;
            let key = find_check(steps.so_far(), node, id).map(|check| check.key.clone());
            seen.extend(key.and_then(|key| seen_check(steps.so_far(), node, &key)));
        }
        Wish::Delete | Wish::DeleteCas(_) => {
            if is_stale(wish, is) {
                return Err(format!("failed to delete {place}, index is stale"));
            }
            if let Some(key) = before {
                take(steps, &DeleteCheck { key })?;
            }
        }
    }
    Ok(())
}

fn seen_check(at: &Snapshot, node: &NodeKey, key: &CheckKey) -> Option<Seen> {
    let instance = match &key.owner {
        Owner::Instance(key) => at.instance(key).cloned(),
        Owner::Node(_) => None,
    };
    Some(Seen::Check(node.node.as_str().into(), instance, at.check(key)?.clone()))
}

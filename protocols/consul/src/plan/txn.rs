//! Transactions: operations one after the other, all of them in one commit or none.

mod catalog;

use std::sync::Arc;

use bytes::Bytes;
use switchboard_model::{Check, Entry, NodeKey, Rejection, Stored};
use switchboard_registry::plan::{Plan, Steps};
use switchboard_registry::{InstanceView, Intent, NodeFacts, Now, Planned, Snapshot};

use super::kv::is_delayed;
use super::{DeletePair, DeleteTree, EndSession, NodeId, PutPair, Verb, WriteNode, pairs_under};
use crate::lens::{PairWords, pair_key};
use crate::wire::{CatalogCheck, OpError, ServiceBody};

/// What an operation wants of something in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wish {
    Get,
    Change(Change),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    Set,
    /// Only if it is at this index.
    Cas(u64),
    Delete,
    DeleteCas(u64),
}

/// A node as an operation names it. There may be none of that name, and even none that could be called so.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) key: Option<NodeKey>,
}

/// Which node an operation asks for.
#[derive(Clone, Debug)]
pub(crate) struct Whose {
    pub(crate) node: Place,
    /// It decides alone, whatever the name says.
    pub(crate) id: Option<NodeId>,
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
    FindNode(Whose),
    Node(Change, Box<WriteNode>),
    Service(Wish, Place, Box<ServiceBody>),
    Check(Wish, Place, Box<CatalogCheck>),
    EndSession(EndSession),
    /// It wants nothing.
    Nothing,
    /// It cannot be done, for this reason.
    Failing(String),
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
        Op::FindNode(whose) => catalog::find_node(steps, whose, seen),
        Op::Node(change, write) => catalog::node(steps, *change, write, seen),
        Op::Service(wish, node, body) => catalog::service(steps, *wish, node, body, seen),
        Op::Check(wish, node, body) => catalog::check(steps, *wish, node, body, seen),
        Op::EndSession(end) => take(steps, end),
        Op::Nothing => Ok(()),
        Op::Failing(why) => Err(why.clone()),
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

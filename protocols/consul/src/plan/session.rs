//! Sessions: they live by a node, by checks and perhaps by a lease, and hold keys.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use switchboard_model::{CheckKey, Entry, Name, NodeKey, OnExpiry, Record, RecordKey, Rejection, Status};
use switchboard_registry::plan::{Grant, Plan, Revoke};
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use super::kv::{delay_left, entries_under};
use super::query::tied_to;
use super::{EnsureNode, check_on};
use crate::lens::{DELAYS, Hold, LOCKS, PairWords, Session, delay_key, pair_key, session_key};
use crate::queries::Queries;

/// Makes a session.
#[derive(Clone, Debug)]
pub(crate) struct CreateSession {
    pub(crate) id: String,
    pub(crate) session: Session,
    /// How long it lives without being renewed.
    pub(crate) ttl: Option<Duration>,
    /// The node of the client, which may not have registered anything yet.
    pub(crate) on: Option<EnsureNode>,
}

impl Intent for CreateSession {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = match &self.on {
            Some(on) => on.plan(at, now)?.plan,
            None => Plan::default(),
        };
        let refuse = |why: String| Err(Rejection::invalid("", why));
        let node = node_key(&self.session.node);
        let view = node.as_ref().and_then(|node| at.node(node));
        if self.on.is_none() && view.is_none() {
            return refuse("Missing node registration".to_owned());
        }
        for id in self.session.all_checks() {
            let fresh = self.on.as_ref().filter(|on| view.is_none() && on.serf.key.id.as_str() == id);
            let check = node.as_ref().and_then(|node| check_on(at, node, id)).and_then(|key| at.check(&key));
            match check.map(|check| check.counted()) {
                None if fresh.is_some() => {}
                None => return refuse(format!("Missing check '{id}' registration")),
                Some(Status::Critical) => return refuse(format!("Check '{id}' is in critical state")),
                Some(Status::Passing | Status::Warning) => {}
            }
        }
        let mut lease = None;
        if let Some(ttl) = self.ttl {
            // As long again as was asked for, like Consul: a client may be late.
            let grant = Grant { id: None, ttl: ttl * 2, on_expiry: OnExpiry::Delete }.plan(at, now)?;
            lease = Some(grant.reply);
            plan.writes.extend(grant.plan.writes);
        }
        let (key, value) = (session_key(&self.id), self.session.to_value());
        let entry = Entry { key, value, lease, flags: 0, annex: Default::default() };
        entry.validate()?;
        plan.put(Record::Entry(entry));
        Ok(Planned { plan, reply: () })
    }
}

/// Ends a session, if there is one: what it holds is released or goes.
#[derive(Clone, Debug)]
pub(crate) struct EndSession {
    pub(crate) id: String,
    /// The queries that were read before: some may be tied to it.
    pub(crate) queries: Arc<Queries>,
}

impl Intent for EndSession {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = Plan::default();
        if let Some(entry) = at.entry(&session_key(&self.id)) {
            match entry.lease.filter(|lease| at.lease(*lease).is_some()) {
                Some(lease) => plan.writes.extend(Revoke { id: lease }.plan(at, now)?.plan.writes),
                None => {
                    plan.delete(RecordKey::Entry(entry.key.clone()));
                    tied_to(&self.queries, at, &self.id).into_iter().for_each(|key| plan.delete(key));
                }
            }
        }
        release(&mut plan, at, now, &self.id)?;
        Ok(Planned { plan, reply: () })
    }
}

/// What sessions left behind that are gone, and delays that are over.
#[derive(Clone, Debug)]
pub(crate) struct ReleaseHolds;

impl Intent for ReleaseHolds {
    /// Milliseconds until the next delay is over.
    type Reply = Option<u64>;

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<Option<u64>>, Rejection> {
        let mut plan = Plan::default();
        let mut last = None;
        for entry in entries_under(at, LOCKS, b"") {
            let Some(session) = session_of(entry) else { continue };
            if last.as_deref() == Some(session) {
                continue;
            }
            if at.entry(&session_key(session)).is_none() {
                release(&mut plan, at, now, session)?;
            }
            last = Some(session.to_owned());
        }
        let mut next: Option<u64> = None;
        for entry in entries_under(at, DELAYS, b"") {
            match delay_left(entry, now) {
                Some(left) => next = Some(next.map_or(left, |next| next.min(left))),
                None => plan.delete(RecordKey::Entry(entry.key.clone())),
            }
        }
        let plan = super::once_each(plan);
        Ok(Planned { plan, reply: next })
    }
}

fn session_of(entry: &Entry) -> Option<&str> {
    std::str::from_utf8(&entry.key.key).ok()?.split('/').next()
}

/// Frees all keys that a session holds.
fn release(plan: &mut Plan, at: &Snapshot, now: Now, session: &str) -> Result<(), Rejection> {
    let prefix = format!("{session}/");
    for held in entries_under(at, LOCKS, prefix.as_bytes()) {
        plan.delete(RecordKey::Entry(held.key.clone()));
        let Some(key) = held.key.key.get(prefix.len()..) else { continue };
        let hold = Hold::read(held);
        if let Some(pair) = at.entry(&pair_key(key)) {
            let words = PairWords::of(pair);
            if words.session != session {
                continue;
            }
            if hold.deletes {
                plan.delete(RecordKey::Entry(pair.key.clone()));
            } else {
                let words = PairWords { session: String::new(), ..words };
                plan.put(Record::Entry(Entry { annex: words.annex()?, ..pair.value.clone() }));
            }
        }
        if hold.delay_ms > 0 {
            let until = now.wall_ms.saturating_add(hold.delay_ms).to_string();
            let value = Bytes::from(until);
            let key = delay_key(key);
            plan.put(Record::Entry(Entry { key, value, lease: None, flags: 0, annex: Default::default() }));
        }
    }
    Ok(())
}

fn node_key(name: &str) -> Option<NodeKey> {
    let node = Name::parse("Node", name).ok()?;
    Some(NodeKey { namespace: Name::default_namespace(), node })
}

/// Whether everything that a session lives by is there and well.
pub(crate) fn is_alive(at: &Snapshot, session: &Session) -> bool {
    let Some(node) = node_key(&session.node) else { return false };
    if at.node(&node).is_none() {
        return false;
    }
    let mut checks = session.all_checks();
    let is_well = |key: &CheckKey| at.check(key).is_some_and(|check| check.counted() != Status::Critical);
    checks.all(|id| check_on(at, &node, id).is_some_and(|key| is_well(&key)))
}

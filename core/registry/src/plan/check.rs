use std::sync::Arc;

use switchboard_model::{Check, CheckKey, InstanceKey, Noun, Owner, Record, RecordKey, Rejection, Status};
use switchboard_store::Plan;

use super::register::{Register, redefined};
use super::{Intent, Planned, put_changed};
use crate::brake::Brake;
use crate::clock::Now;
use crate::snapshot::Snapshot;

/// Adds a check, or redefines one. A check that exists keeps its status.
#[derive(Clone, Debug)]
pub struct PutCheck {
    pub check: Check,
}

impl Intent for PutCheck {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        self.check.validate()?;
        let owner = match &self.check.key.owner {
            Owner::Instance(key) => {
                let view = at.instance(key).ok_or_else(|| Rejection::not_found(Noun::Instance, &key.id))?;
                Owner::Instance(view.key().clone())
            }
            Owner::Node(key) => {
                let view = at.node(key).ok_or_else(|| Rejection::not_found(Noun::Node, &key.node))?;
                Owner::Node(view.facts.key.clone())
            }
        };
        let key = CheckKey { owner, id: self.check.key.id.clone() };
        if at.check(&key).is_none() && at.checks_of(&key.owner).len() >= Register::MAX_CHECKS {
            return Err(Rejection::Limit { what: "checks".into(), limit: Register::MAX_CHECKS as u64 });
        }
        let mut plan = Plan::default();
        put_changed(&mut plan, at, Record::Check(redefined(at, Check { key, ..self.check.clone() })));
        Ok(Planned { plan, reply: () })
    }
}

#[derive(Clone, Debug)]
pub struct DeleteCheck {
    pub key: CheckKey,
}

impl Intent for DeleteCheck {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        let check = at.check(&self.key).ok_or_else(|| Rejection::not_found(Noun::Check, &self.key.id))?;
        let mut plan = Plan::default();
        plan.delete(RecordKey::Check(check.key.clone()));
        Ok(Planned { plan, reply: () })
    }
}

/// A verdict on a check.
#[derive(Clone, Debug)]
pub struct Report {
    pub key: CheckKey,
    pub status: Status,
    pub output: Box<str>,
    pub by: Reporter,
}

/// Whose word a verdict is.
#[derive(Clone, Copy, Debug)]
pub enum Reporter {
    /// The provider's own: believed, always.
    Provider,
    /// Evidence that we gathered, by a probe or by silence: believed unless too much is lost at once.
    Evidence(Brake),
}

impl Intent for Report {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let check = at.check(&self.key).ok_or_else(|| Rejection::not_found(Noun::Check, &self.key.id))?;
        let suspect = match self.by {
            Reporter::Evidence(brake)
                if self.status == Status::Critical && check.counted() != Status::Critical =>
            {
                let would_lose = served_by(at, &check.key.owner);
                would_lose > brake.allowance(at.tally().kept, &at.losses, now.service)
            }
            _ => false,
        };
        let mut plan = Plan::default();
        if check.status != self.status || check.suspect != suspect {
            let output = cut(&self.output, Check::MAX_OUTPUT);
            let since_ms = if check.status == self.status { check.since_ms } else { now.wall_ms };
            let status = self.status;
            plan.put(Record::Check(Check { status, suspect, output, since_ms, ..check.value.clone() }));
        }
        Ok(Planned { plan, reply: () })
    }
}

/// How many instances consumers would lose with this owner.
fn served_by(at: &Snapshot, owner: &Owner) -> usize {
    let served = |key: &Arc<InstanceKey>| at.instance(key).is_some_and(|view| view.is_served()) as usize;
    match owner {
        Owner::Instance(key) => served(key),
        Owner::Node(key) => at.node(key).map_or(0, |view| view.members.iter().map(served).sum()),
    }
}

/// The longest beginning of `text` that is at most `limit` bytes long.
pub(crate) fn cut(text: &str, limit: usize) -> Box<str> {
    let end = (0..=limit.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().into()
}

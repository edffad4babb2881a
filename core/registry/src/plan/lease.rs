use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use switchboard_model::{Lease, LeaseId, Noun, OnExpiry, Record, RecordKey, Rejection, Standing};
use switchboard_store::Plan;

use super::register::fresh_lease;
use super::{Intent, Planned, delete_instance};
use crate::brake::Brake;
use crate::clock::Now;
use crate::snapshot::{Held, Snapshot};
use crate::views::LeaseView;

/// Grants a lease that instances and entries can then live by.
#[derive(Clone, Debug)]
pub struct Grant {
    /// None: the registry chooses.
    pub id: Option<LeaseId>,
    pub ttl: Duration,
    pub on_expiry: OnExpiry,
}

impl Intent for Grant {
    type Reply = LeaseId;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<LeaseId>, Rejection> {
        let id = self.id.unwrap_or_else(|| fresh_lease(at));
        if at.lease(id).is_some() {
            return Err(Rejection::Exists { noun: Noun::Lease, name: id.to_string() });
        }
        let lease =
            Lease { id, ttl: self.ttl, on_expiry: self.on_expiry, implicit: false, standing: Standing::Live };
        lease.validate()?;
        let mut plan = Plan::default();
        plan.put(Record::Lease(lease));
        Ok(Planned { plan, reply: id })
    }
}

/// Ends a lease with everything that lives by it, in one revision. Never braked: somebody said so.
#[derive(Clone, Debug)]
pub struct Revoke {
    pub id: LeaseId,
}

impl Intent for Revoke {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        let view = at.lease(self.id).ok_or_else(|| Rejection::not_found(Noun::Lease, self.id))?;
        let mut plan = Plan::default();
        delete_lease(&mut plan, at, view);
        Ok(Planned { plan, reply: () })
    }
}

/// Says at planning time whether a lease is still overdue. A heartbeat that came in after the reaper looked wins.
pub type Judge = Arc<dyn Fn(LeaseId) -> bool + Send + Sync>;

/// Leases that nobody renewed in time.
#[derive(Clone)]
pub struct Expire {
    pub leases: Vec<LeaseId>,
    pub judge: Judge,
    pub brake: Brake,
}

impl fmt::Debug for Expire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expire").field("leases", &self.leases).finish_non_exhaustive()
    }
}

/// What became of an overdue lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It was renewed after all, or is gone.
    Void,
    Deleted,
    Lapsed,
    /// Too much fell silent at once: it is kept in service until the brake lets go.
    Held,
}

impl Intent for Expire {
    type Reply = Vec<(LeaseId, Expiry)>;

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<Self::Reply>, Rejection> {
        let mut allowance = self.brake.allowance(at.tally().kept, &at.losses, now.service);
        let mut plan = Plan::default();
        let mut outcomes = Vec::with_capacity(self.leases.len());
        for &id in &self.leases {
            let outcome = match at.lease(id) {
                Some(view) if (self.judge)(id) => expire(&mut plan, at, now, view, &mut allowance),
                _ => Expiry::Void,
            };
            outcomes.push((id, outcome));
        }
        Ok(Planned { plan, reply: outcomes })
    }
}

fn expire(plan: &mut Plan, at: &Snapshot, now: Now, view: &LeaseView, allowance: &mut usize) -> Expiry {
    let lease = &view.lease.value;
    if lease.on_expiry == OnExpiry::Delete {
        delete_lease(plan, at, view);
        return Expiry::Deleted;
    }
    let loses = view.holds.iter().filter(|held| is_served(at, held)).count();
    if loses > *allowance {
        if lease.standing == Standing::Live {
            let standing = Standing::Suspect { since_ms: now.wall_ms };
            plan.put(Record::Lease(Lease { standing, ..lease.clone() }));
        }
        return Expiry::Held;
    }
    *allowance -= loses;
    // Entries have no health to lose: a lapse ends them.
    for held in view.holds.iter() {
        if let Held::Entry(key) = held {
            plan.delete(RecordKey::Entry((**key).clone()));
        }
    }
    let standing = Standing::Lapsed { since_ms: now.wall_ms };
    plan.put(Record::Lease(Lease { standing, ..lease.clone() }));
    Expiry::Lapsed
}

fn is_served(at: &Snapshot, held: &Held) -> bool {
    match held {
        Held::Instance(key) => at.instance(key).is_some_and(|view| view.is_served()),
        Held::Entry(_) => false,
    }
}

/// Leases whose holders were heard of again. Those that are live or gone are left alone.
#[derive(Clone, Debug)]
pub struct Revive {
    pub leases: Vec<LeaseId>,
}

impl Intent for Revive {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = Plan::default();
        for view in self.leases.iter().filter_map(|&id| at.lease(id)) {
            if view.lease.standing != Standing::Live {
                plan.put(Record::Lease(Lease { standing: Standing::Live, ..view.lease.value.clone() }));
            }
        }
        match self.leases.as_slice() {
            &[only] if at.lease(only).is_none() => Err(Rejection::not_found(Noun::Lease, only)),
            _ => Ok(Planned { plan, reply: () }),
        }
    }
}

/// A lapsed lease that lingered long enough: it goes, with its instances.
#[derive(Clone, Debug)]
pub struct Retire {
    pub id: LeaseId,
}

impl Intent for Retire {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = Plan::default();
        if let Some(view) = at.lease(self.id)
            && matches!(view.lease.standing, Standing::Lapsed { .. })
        {
            delete_lease(&mut plan, at, view);
        }
        Ok(Planned { plan, reply: () })
    }
}

fn delete_lease(plan: &mut Plan, at: &Snapshot, view: &LeaseView) {
    for held in view.holds.iter() {
        match held {
            Held::Instance(key) => delete_instance(plan, at, key),
            Held::Entry(key) => plan.delete(RecordKey::Entry((**key).clone())),
        }
    }
    // An implicit lease went with its instance.
    let gone = RecordKey::Lease(view.lease.id);
    if !plan.writes.iter().any(|write| write.key() == gone) {
        plan.delete(gone);
    }
}

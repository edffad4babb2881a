use std::sync::Arc;
use std::time::Duration;

use switchboard_model::{
    Check, CheckKey, Instance, InstanceKey, Lease, LeaseId, NodeKey, Noun, OnExpiry, Owner, Record,
    RecordKey, Rejection, Standing,
};
use switchboard_store::Plan;

use super::{Intent, Planned, put_changed};
use crate::clock::Now;
use crate::snapshot::Snapshot;
use crate::views::InstanceView;

/// Registers an instance, or brings an existing one to these words. Doing it twice is doing it once.
#[derive(Clone, Debug)]
pub struct Register {
    /// Its `lease` is decided by `keep`.
    pub instance: Instance,
    /// None leaves the checks as they are; otherwise they become exactly these. A check that exists keeps its status.
    pub checks: Option<Vec<Check>>,
    pub keep: Keep,
}

/// How long the instance stays.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    Forever,
    /// By a lease of its own.
    Ttl {
        ttl: Duration,
        linger: Duration,
    },
    /// By a lease that someone granted.
    Lease(LeaseId),
}

#[derive(Clone, Debug)]
pub struct Registered {
    /// In the spelling that the registry keeps.
    pub key: Arc<InstanceKey>,
    pub lease: Option<LeaseId>,
    pub created: bool,
}

impl Register {
    pub const MAX_CHECKS: usize = 32;
}

impl Intent for Register {
    type Reply = Registered;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<Registered>, Rejection> {
        let key = spelled_as_kept(at, &self.instance.key);
        let before = at.instance(&key);
        let mut plan = Plan::default();

        let lease = keep(&mut plan, at, before, self.keep)?;
        let mut instance = Instance { key: key.clone(), lease, ..self.instance.clone() };
        // Not every protocol has a word for it; one that has says the same weight twice.
        let said = instance.warning_weight.or(before.and_then(|before| before.instance.warning_weight));
        instance.warning_weight = said.filter(|warning| *warning != instance.weight);
        if let Some(before) = before {
            keep_what_others_said(&mut instance, &before.instance)?;
        }
        instance.validate()?;
        put_changed(&mut plan, at, Record::Instance(instance));

        if let Some(checks) = &self.checks {
            if checks.len() > Register::MAX_CHECKS {
                return Err(Rejection::Limit { what: "checks".into(), limit: Register::MAX_CHECKS as u64 });
            }
            let owner = Owner::Instance(key.clone());
            for old in before.iter().flat_map(|view| view.checks.iter()) {
                if !checks.iter().any(|check| check.key.id == old.key.id) {
                    plan.delete(RecordKey::Check(old.key.clone()));
                }
            }
            for check in checks {
                check.validate()?;
                let key = CheckKey { owner: owner.clone(), id: check.key.id.clone() };
                put_changed(&mut plan, at, Record::Check(redefined(at, Check { key, ..check.clone() })));
            }
        }
        let reply = Registered { key, lease, created: before.is_none() };
        Ok(Planned { plan, reply })
    }
}

/// A protocol speaks for itself: the words of the others stay, and who says what is so already has not registered it anew.
fn keep_what_others_said(instance: &mut Instance, before: &Instance) -> Result<(), Rejection> {
    let own = instance.annex.get(&instance.origin).cloned();
    instance.annex = before.annex.with(&instance.origin, own)?;
    let origin = std::mem::replace(&mut instance.origin, before.origin.clone());
    if *instance != *before {
        instance.origin = origin;
    }
    Ok(())
}

/// A check's new definition with the status it had: redefining is not evidence.
pub(super) fn redefined(at: &Snapshot, check: Check) -> Check {
    match at.check(&check.key) {
        Some(old) => Check {
            status: old.status,
            output: old.output.clone(),
            since_ms: old.since_ms,
            suspect: old.suspect,
            ..check
        },
        None => check,
    }
}

/// The key in the spelling of the first registration, sharing its text.
fn spelled_as_kept(at: &Snapshot, key: &Arc<InstanceKey>) -> Arc<InstanceKey> {
    if let Some(view) = at.instance(key) {
        return view.key().clone();
    }
    let service = at.service_of(key).map(|view| view.key.clone());
    let node = key.node_key().and_then(|node| kept_node(at, &node));
    match (service, node) {
        (None, None) => key.clone(),
        (service, node) => Arc::new(InstanceKey {
            namespace: service.as_ref().map_or_else(|| key.namespace.clone(), |kept| kept.namespace.clone()),
            service: service.map_or_else(|| key.service.clone(), |kept| kept.service),
            node: node.map(|kept| kept.node).or_else(|| key.node.clone()),
            id: key.id.clone(),
        }),
    }
}

fn kept_node(at: &Snapshot, key: &NodeKey) -> Option<NodeKey> {
    at.node(key).map(|view| view.facts.key.clone())
}

/// Decides by which lease the instance lives, and writes what that takes.
fn keep(
    plan: &mut Plan,
    at: &Snapshot,
    before: Option<&Arc<InstanceView>>,
    keep: Keep,
) -> Result<Option<LeaseId>, Rejection> {
    let own =
        before.and_then(|view| view.lease.as_ref()).filter(|lease| lease.implicit).map(|lease| lease.id);
    let kept = match keep {
        Keep::Forever => None,
        Keep::Lease(id) => {
            let view = at.lease(id).ok_or_else(|| Rejection::not_found(Noun::Lease, id))?;
            if view.lease.implicit && own != Some(id) {
                return Err(Rejection::invalid("lease", format!("{id} belongs to another instance")));
            }
            Some(id)
        }
        Keep::Ttl { ttl, linger } => {
            let id = own.unwrap_or_else(|| fresh_lease(at));
            // Registering is a sign of life: a lapsed lease lives again.
            let on_expiry = OnExpiry::Lapse { linger };
            let lease = Lease { id, ttl, on_expiry, implicit: true, standing: Standing::Live };
            lease.validate()?;
            put_changed(plan, at, Record::Lease(lease));
            Some(id)
        }
    };
    if let Some(own) = own
        && kept != Some(own)
    {
        plan.delete(RecordKey::Lease(own));
    }
    Ok(kept)
}

/// An id that no lease has. Ids rise with the revision, so that new leases are neighbours on disk.
pub(super) fn fresh_lease(at: &Snapshot) -> LeaseId {
    let mut id = LeaseId(at.revision().next().0 << 8);
    while at.lease(id).is_some() {
        id.0 += 1;
    }
    id
}

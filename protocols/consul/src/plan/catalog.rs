use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_model::{
    Check, CheckKey, Instance, InstanceKey, Lifecycle, Noun, Owner, Probe, Record, RecordKey, Rejection,
};
use switchboard_registry::plan::Plan;
use switchboard_registry::plan::{Deregister, Keep, Register};
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use super::{WriteNode, on_node, once_each};
use crate::lens::{HEARTBEAT, OUT_OF_SERVICE};

/// What `catalog/register` writes: any of a node, a service on it, and checks of both.
#[derive(Clone, Debug)]
pub(crate) struct RegisterInCatalog {
    /// None: the node that stands for all instances without one.
    pub(crate) node: Option<WriteNode>,
    pub(crate) instance: Option<Instance>,
    /// Of instances they name only the id of the service; whose it is, is looked up.
    pub(crate) checks: Vec<(Option<String>, Check)>,
}

impl Intent for RegisterInCatalog {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = match &self.node {
            Some(write) => write.plan(at, now)?.plan,
            None => Plan::default(),
        };
        let node = self.node.as_ref().map(|write| &write.node.key);
        let mut registered: Option<Arc<InstanceKey>> = None;
        if let Some(instance) = &self.instance {
            let key = &instance.key;
            if let Some(before) = on_node(at, node, key.id.as_str())
                && node.is_some()
                && before.service != key.service
            {
                plan.writes.extend(Deregister { key: before.clone() }.plan(at, now)?.plan.writes);
            }
            let before = at.instance(key);
            // It lives on as it did: this is nobody's heartbeat.
            let keep = before.and_then(|view| view.instance.lease).map_or(Keep::Forever, Keep::Lease);
            let mut instance = instance.clone();
            if let Some(view) = before {
                instance.lifecycle = view.instance.lifecycle;
                instance.annex = crate::lens::maintenance_moved(&view.instance, &instance)?;
            }
            let planned = Register { instance, checks: None, keep }.plan(at, now)?;
            registered = Some(planned.reply.key);
            plan.writes.extend(planned.plan.writes);
        }
        for (service_id, check) in &self.checks {
            let mut check = check.clone();
            if let Some(id) = service_id {
                let own = registered.as_ref().filter(|key| key.id.as_str() == id).cloned();
                let key = own.or_else(|| on_node(at, node, id).cloned());
                check.key.owner =
                    Owner::Instance(key.ok_or_else(|| Rejection::not_found(Noun::Instance, id))?);
            }
            if is_projection(at, &check.key) {
                continue;
            }
            let record = Record::Check(reported(at, check, now));
            if !at.says(&record) {
                plan.put(record);
            }
        }
        let plan = once_each(plan);
        within_limit(at, &plan)?;
        Ok(Planned { plan, reply: () })
    }
}

/// This is somebody's report, so its status counts, unlike that of a new definition. A check that we carry out keeps
/// its definition.
fn reported(at: &Snapshot, check: Check, now: Now) -> Check {
    let Some(old) = at.check(&check.key) else { return check };
    let same = old.status == check.status;
    let since_ms = if same { old.since_ms } else { now.wall_ms };
    match old.probe {
        Probe::Manual => Check { since_ms, ..check },
        _ if same => old.value.clone(),
        _ => Check {
            status: check.status,
            output: check.output,
            since_ms,
            suspect: false,
            ..old.value.clone()
        },
    }
}

/// Leases and lifecycles are shown as checks; said back, they are none.
fn is_projection(at: &Snapshot, key: &CheckKey) -> bool {
    let Owner::Instance(owner) = &key.owner else { return false };
    let Some(view) = at.instance(owner) else { return false };
    let id = key.id.as_str();
    let is = |prefix: &str| id.strip_prefix(prefix) == Some(owner.id.as_str());
    (view.lease.is_some() && is(HEARTBEAT))
        || (view.instance.lifecycle != Lifecycle::Up && is(OUT_OF_SERVICE))
}

fn within_limit(at: &Snapshot, plan: &Plan) -> Result<(), Rejection> {
    let mut fresh: BTreeMap<Owner, usize> = BTreeMap::new();
    for write in &plan.writes {
        if let RecordKey::Check(key) = write.key()
            && at.check(&key).is_none()
        {
            *fresh.entry(key.owner).or_default() += 1;
        }
    }
    let limit = Register::MAX_CHECKS;
    match fresh.iter().all(|(owner, count)| at.checks_of(owner).len() + count <= limit) {
        true => Ok(()),
        false => Err(Rejection::Limit { what: "checks".into(), limit: limit as u64 }),
    }
}

use std::sync::Arc;
use switchboard_model::{
    Check, Id, Instance, InstanceKey, Lifecycle, Node, Noun, Owner, Record, RecordKey, Rejection,
};
use switchboard_registry::plan::Plan;
use switchboard_registry::plan::{Deregister, Keep, PutCheck, Register};
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use super::{ensure_node, on_node, once_each};

/// The node that an agent is on.
#[derive(Clone, Debug)]
pub(crate) struct EnsureNode {
    pub(crate) node: Node,
    pub(crate) serf: Check,
    /// Bring the node's record to these words also where there is one.
    pub(crate) refresh: bool,
}

impl EnsureNode {
    /// The same, where it is known what all records will be.
    pub(crate) fn join(self, records: &mut Vec<Record>) {
        let (node, serf) = (self.node, self.serf);
        let is_serf = |record: &Record| matches!(record, Record::Check(check) if check.key == serf.key);
        if !records.iter().any(is_serf) {
            records.push(Record::Check(serf));
        }
        let is_node = |record: &Record| matches!(record, Record::Node(have) if have.key == node.key);
        match records.iter().position(is_node).and_then(|at| records.get_mut(at)) {
            Some(place) => *place = Record::Node(node),
            None => records.push(Record::Node(node)),
        }
    }
}

impl Intent for EnsureNode {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        self.node.validate()?;
        let mut plan = Plan::default();
        ensure_node(&mut plan, at, &self.node, &self.serf);
        let record = Record::Node(self.node.clone());
        let is_written = plan.writes.iter().any(|write| write.key() == record.key());
        // Its check is news about the node, too.
        let is_new = !plan.writes.is_empty() || !at.says(&record);
        if self.refresh && !is_written && is_new {
            plan.put(record);
        }
        Ok(Planned { plan, reply: () })
    }
}

/// A service that an agent registers, with its checks.
#[derive(Clone, Debug)]
pub(crate) struct RegisterService {
    pub(crate) on: EnsureNode,
    pub(crate) instance: Instance,
    pub(crate) checks: Vec<Check>,
    /// Checks that are not among these go.
    pub(crate) replace_checks: bool,
}

impl Intent for RegisterService {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = self.on.plan(at, now)?.plan;
        let key = &self.instance.key;
        let before = on_node(at, Some(&self.on.node.key), key.id.as_str());
        if let Some(before) = before
            && before.service != key.service
        {
            // The id has moved to another service.
            plan.writes.extend(Deregister { key: before.clone() }.plan(at, now)?.plan.writes);
        }
        // Of two checks with one id the later counts.
        let mut checks: Vec<Check> = Vec::with_capacity(self.checks.len());
        for check in &self.checks {
            checks.retain(|earlier| earlier.key.id != check.key.id);
            checks.push(check.clone());
        }
        let mut instance = self.instance.clone();
        if let Some(view) = at.instance(key) {
            if !self.replace_checks {
                let old = view.checks.iter().filter(|old| checks.iter().all(|new| new.key.id != old.key.id));
                let old: Vec<Check> = old.map(|old| old.value.clone()).collect();
                checks.extend(old);
            }
            // Maintenance ends when somebody ends it.
            if view.instance.lifecycle == Lifecycle::OutOfService {
                instance.lifecycle = Lifecycle::OutOfService;
                instance.annex = crate::lens::maintenance_moved(&view.instance, &instance)?;
            }
        }
        let register = Register { instance, checks: Some(checks), keep: Keep::Forever };
        plan.writes.extend(register.plan(at, now)?.plan.writes);
        Ok(Planned { plan, reply: () })
    }
}

/// A check that is registered by itself.
#[derive(Clone, Debug)]
pub(crate) struct PutAgentCheck {
    pub(crate) on: EnsureNode,
    pub(crate) check: Check,
}

impl Intent for PutAgentCheck {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = self.on.plan(at, now)?.plan;
        let is_new = matches!(&self.check.key.owner, Owner::Node(node) if at.node(node).is_none());
        if is_new {
            self.check.validate()?;
            plan.put(Record::Check(self.check.clone()));
        } else {
            plan.writes.extend(PutCheck { check: self.check.clone() }.plan(at, now)?.plan.writes);
        }
        Ok(Planned { plan: once_each(plan), reply: () })
    }
}

/// Takes an instance out for a reason, or puts it back.
#[derive(Clone, Debug)]
pub(crate) struct MaintainInstance {
    pub(crate) key: Arc<InstanceKey>,
    pub(crate) reason: Option<String>,
}

impl Intent for MaintainInstance {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        let view =
            at.instance(&self.key).ok_or_else(|| Rejection::not_found(Noun::Instance, &self.key.id))?;
        let mut plan = Plan::default();
        let is_out = view.instance.lifecycle == Lifecycle::OutOfService;
        if is_out != self.reason.is_some() {
            let instance = crate::lens::maintained(&view.instance, self.reason.as_deref())?;
            plan.put(Record::Instance(instance));
        }
        Ok(Planned { plan, reply: () })
    }
}

/// Takes everything on a node out for a reason, or puts it back.
#[derive(Clone, Debug)]
pub(crate) struct MaintainNode {
    pub(crate) on: EnsureNode,
    /// Its notes are the reason.
    pub(crate) check: Check,
    pub(crate) enable: bool,
}

impl Intent for MaintainNode {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = self.on.plan(at, now)?.plan;
        let has = |id: &Id| at.checks_of(&self.check.key.owner).iter().any(|check| check.key.id == *id);
        match (has(&self.check.key.id), self.enable) {
            (false, true) => plan.put(Record::Check(self.check.clone())),
            (true, false) => plan.delete(RecordKey::Check(self.check.key.clone())),
            (true, true) | (false, false) => {}
        }
        Ok(Planned { plan, reply: () })
    }
}

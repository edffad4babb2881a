use std::sync::Arc;

use switchboard_model::{Check, Instance, InstanceKey, Node, Noun, Owner, Record, Rejection};
use switchboard_registry::plan::Plan;
use switchboard_registry::plan::{Deregister, Keep, PutNode, Register};
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use super::on_node;

/// What `catalog/register` writes: any of a node, a service on it, and checks of both.
#[derive(Clone, Debug)]
pub(crate) struct RegisterInCatalog {
    /// None: the node that stands for all instances without one.
    pub(crate) node: Option<Node>,
    /// Leave the node as it is where there is one.
    pub(crate) skip_node: bool,
    pub(crate) instance: Option<Instance>,
    /// Of instances they name only the id of the service; whose it is, is looked up.
    pub(crate) checks: Vec<(Option<String>, Check)>,
}

impl Intent for RegisterInCatalog {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = Plan::default();
        let node = self.node.as_ref().map(|node| &node.key);
        if let Some(node) = &self.node {
            let is_known = at.node(&node.key).is_some_and(|view| view.facts.node.is_some());
            if !(is_known && self.skip_node) {
                plan = PutNode { node: node.clone() }.plan(at, now)?.plan;
            }
        }
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
            let keep = match before.and_then(|view| view.lease.as_ref()) {
                // It lives on as it did.
                Some(lease) if !lease.implicit => Keep::Lease(lease.id),
                Some(lease) => match lease.on_expiry {
                    switchboard_model::OnExpiry::Lapse { linger } => Keep::Ttl { ttl: lease.ttl, linger },
                    switchboard_model::OnExpiry::Delete => Keep::Lease(lease.id),
                },
                None => Keep::Forever,
            };
            let mut instance = instance.clone();
            if let Some(view) = before {
                instance.lifecycle = view.instance.lifecycle;
                instance.origin = view.instance.origin.clone();
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
            // This is somebody's report: its status counts, unlike that of a new definition.
            let record = Record::Check(check);
            if !at.says(&record) {
                plan.put(record);
            }
        }
        Ok(Planned { plan, reply: () })
    }
}

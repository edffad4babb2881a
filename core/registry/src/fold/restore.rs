use std::collections::HashMap;
use std::sync::Arc;

use switchboard_model::{Check, Instance, InstanceKey, Kept, Owner, Revision, Stored};

use crate::snapshot::Snapshot;
use crate::views::{Holds, InstanceView, LeaseView, NodeFacts, NodeView};

/// Puts all records of a checkpoint into an empty snapshot. Unlike `fold` it makes each view once, and tells nobody.
pub(crate) fn restore(snapshot: &mut Snapshot, records: Vec<Kept>) {
    let mut checks: HashMap<Arc<InstanceKey>, Vec<Arc<Stored<Check>>>> = HashMap::new();
    let mut instances: Vec<Arc<Stored<Instance>>> = Vec::new();
    let mut entries = Vec::new();
    for record in records {
        match record {
            Kept::Instance(instance) => instances.push(instance),
            Kept::Entry(entry) => entries.push(entry),
            Kept::Lease(lease) => {
                snapshot.leases.insert(lease.id, Arc::new(LeaseView { lease, holds: Holds::Nothing }));
            }
            Kept::Node(node) => {
                let checks = checks_on_node(snapshot, &node.key);
                let facts = NodeFacts { key: node.key.clone(), node: Some(node), checks };
                super::put_node(snapshot, NodeView { facts: Arc::new(facts), members: Default::default() });
            }
            Kept::Check(check) => {
                snapshot.tally.checks += 1;
                match &check.key.owner {
                    Owner::Instance(owner) => checks.entry(owner.clone()).or_default().push(check),
                    Owner::Node(owner) => {
                        let node = snapshot.nodes.get(owner).and_then(|view| view.facts.node.clone());
                        let mut on_node = checks_on_node(snapshot, owner).to_vec();
                        super::exchange(&mut on_node, &check.key.clone(), Some(check.clone()));
                        let facts = NodeFacts { key: owner.clone(), node, checks: on_node.into() };
                        super::put_node(
                            snapshot,
                            NodeView { facts: Arc::new(facts), members: Default::default() },
                        );
                    }
                }
            }
        }
    }
    for instance in instances {
        let mut own = checks.remove(&instance.key).unwrap_or_default();
        own.sort_by(|a, b| a.key.id.cmp(&b.key.id));
        restore_instance(snapshot, instance, own);
    }
    for entry in entries {
        super::move_hold(
            snapshot,
            None,
            entry.lease,
            &crate::snapshot::Held::Entry(Arc::new(entry.key.clone())),
        );
        snapshot.entries.insert(entry.key.clone(), entry);
    }
}

fn restore_instance(
    snapshot: &mut Snapshot,
    instance: Arc<Stored<Instance>>,
    checks: Vec<Arc<Stored<Check>>>,
) {
    let key = instance.key.clone();
    let lease = instance.lease.and_then(|id| snapshot.leases.get(&id)).map(|view| view.lease.clone());
    let node = key.node_key().map(|node| super::facts_for(snapshot, node));
    let newest = checks.iter().map(|check| check.modified).max().unwrap_or_default();
    let revision: Revision = instance
        .modified
        .max(newest)
        .max(lease.as_ref().map(|lease| lease.modified).unwrap_or_default())
        .max(node.iter().flat_map(|n| n.checks.iter().map(|c| c.modified)).max().unwrap_or_default())
        .max(node.iter().filter_map(|n| n.node.as_ref().map(|n| n.modified)).max().unwrap_or_default());
    let view = Arc::new(InstanceView::new(instance, checks.into(), lease, node, revision));
    let newest_in_service =
        snapshot.service_of(&key).map_or(revision, |service| service.revision.max(revision));
    super::place(snapshot, &key, None, Some(&view), newest_in_service);
}

fn checks_on_node(snapshot: &Snapshot, key: &switchboard_model::NodeKey) -> Box<[Arc<Stored<Check>>]> {
    snapshot.nodes.get(key).map(|view| view.facts.checks.clone()).unwrap_or_default()
}

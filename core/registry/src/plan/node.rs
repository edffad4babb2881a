use switchboard_model::{Node, NodeKey, Noun, Record, RecordKey, Rejection};
use switchboard_store::Plan;

use super::{Intent, Planned, delete_instance, put_changed};
use crate::clock::Now;
use crate::snapshot::Snapshot;

#[derive(Clone, Debug)]
pub struct PutNode {
    pub node: Node,
}

impl Intent for PutNode {
    type Reply = NodeKey;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<NodeKey>, Rejection> {
        self.node.validate()?;
        let key =
            at.node(&self.node.key).map_or_else(|| self.node.key.clone(), |view| view.facts.key.clone());
        let mut plan = Plan::default();
        put_changed(&mut plan, at, Record::Node(Node { key: key.clone(), ..self.node.clone() }));
        Ok(Planned { plan, reply: key })
    }
}

/// Takes a node and its checks out. Its instances stand in the way unless the caller wants them gone, too.
#[derive(Clone, Debug)]
pub struct DeleteNode {
    pub key: NodeKey,
    pub with_instances: bool,
}

impl Intent for DeleteNode {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        let view = at.node(&self.key).ok_or_else(|| Rejection::not_found(Noun::Node, &self.key.node))?;
        if !view.members.is_empty() && !self.with_instances {
            let by = format!("{} instances are on it", view.members.len());
            return Err(Rejection::InUse { noun: Noun::Node, name: self.key.node.to_string(), by });
        }
        let mut plan = Plan::default();
        for member in &view.members {
            delete_instance(&mut plan, at, member);
        }
        for check in &view.facts.checks {
            plan.delete(RecordKey::Check(check.key.clone()));
        }
        if view.facts.node.is_some() {
            plan.delete(RecordKey::Node(view.facts.key.clone()));
        }
        Ok(Planned { plan, reply: () })
    }
}

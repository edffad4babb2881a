//! Nodes as clients write them: known by their id, and named as whoever wrote last says.

use std::ops::Bound;
use std::sync::Arc;

use switchboard_model::{Node, Rejection, Status};
use switchboard_registry::plan::{DeleteNode, Plan, PutNode};
use switchboard_registry::{Intent, NodeFacts, Now, Planned, Snapshot};
use uuid::Uuid;

use crate::identity::SERF;
use crate::lens::{NodeWords, has_id, node_id};
use crate::scope::is_ours;

/// The id of a node. Those that were given none have one made of their name in this datacenter.
#[derive(Clone, Debug)]
pub(crate) struct NodeId {
    pub(crate) id: Uuid,
    pub(crate) datacenter: Arc<str>,
}

impl NodeId {
    /// Whoever has it now.
    pub(crate) fn holder<'a>(&self, at: &'a Snapshot) -> Option<&'a Arc<NodeFacts>> {
        let nodes = at.nodes(Bound::Unbounded).filter(|view| is_ours(&view.facts.key.namespace));
        let mut nodes = nodes.map(|view| &view.facts);
        nodes.find(|facts| facts.node.as_ref().is_some_and(|node| self.is_of(node)))
    }

    fn is_of(&self, node: &Node) -> bool {
        has_id(&self.datacenter, node, self.id)
    }

    /// Nobody has to be asked whether the node of this name may have it.
    fn is_made_of(&self, name: &str) -> bool {
        node_id(&self.datacenter, name) == self.id
    }
}

/// Writes a node. Where another one has its id, that one is renamed: it goes with everything on it.
#[derive(Clone, Debug)]
pub(crate) struct WriteNode {
    pub(crate) node: Node,
    /// None: it is known by its name alone.
    pub(crate) id: Option<NodeId>,
    /// Leave it as it is where it is known by this name.
    pub(crate) only_if_new: bool,
}

impl Intent for WriteNode {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let before = at.node(&self.node.key).map(|view| &view.facts);
        let known = before.and_then(|facts| facts.node.as_ref());
        let mut plan = Plan::default();
        if !(known.is_some() && self.only_if_new) {
            plan = PutNode { node: self.node.clone() }.plan(at, now)?.plan;
        }
        let name = self.node.key.node.as_str();
        let new_to_it = |id: &&NodeId| !known.is_some_and(|node| id.is_of(node)) && !id.is_made_of(name);
        let Some(id) = self.id.as_ref().filter(new_to_it) else { return Ok(Planned { plan, reply: () }) };
        let earlier = id.holder(at).filter(|facts| facts.key != self.node.key);
        if let Some(before) = before {
            name_is_free(before, id, earlier.is_some())?;
        }
        if let Some(earlier) = earlier {
            let gone = DeleteNode { key: earlier.key.clone(), with_instances: true }.plan(at, now)?;
            plan.writes.extend(gone.plan.writes);
        }
        Ok(Planned { plan, reply: () })
    }
}

/// A node whose agent is there keeps its name, unless it has no id and gets its first.
fn name_is_free(before: &NodeFacts, id: &NodeId, is_renaming: bool) -> Result<(), Rejection> {
    let Some(node) = &before.node else { return Ok(()) };
    let own = NodeWords::of(&node.annex).id;
    let is_there = |facts: &NodeFacts| {
        let mut checks = facts.checks.iter();
        checks.any(|check| check.key.id.as_str() == SERF && check.counted() != Status::Critical)
    };
    if (own.is_empty() && !is_renaming) || !is_there(before) {
        return Ok(());
    }
    let (name, address) = (before.key.node.as_str(), &node.address);
    Err(Rejection::invalid(
        "",
        format!(
            "Error while renaming Node ID: \"{}\": Node name {name} is reserved by node {own} with name {name} ({address})",
            id.id
        ),
    ))
}

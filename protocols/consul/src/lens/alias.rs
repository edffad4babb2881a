//! Checks that repeat what the checks of another service or node say.

use serde::{Deserialize, Serialize};
use switchboard_model::{Check, CheckKey, Name, NodeKey, Owner, Status};
use switchboard_registry::{Output, Snapshot};

use super::check::{as_status, checks_of, checks_of_node};
use crate::identity::SERF;
use crate::plan::on_node;
use crate::wire::{self, CheckBody};

/// Whose checks are repeated.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Alias {
    /// Empty: the node that the check itself is on.
    node: String,
    /// Empty: only the node's own checks.
    service: String,
}

impl Alias {
    /// None: the check has an answer of its own.
    pub(super) fn of(body: &CheckBody) -> Option<Alias> {
        let is_alias = !body.alias_node.is_empty() || !body.alias_service.is_empty();
        is_alias.then(|| Alias { node: body.alias_node.clone(), service: body.alias_service.clone() })
    }

    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// The node whose checks are repeated.
    pub(crate) fn node(&self, own: &CheckKey) -> Option<NodeKey> {
        let here = match &own.owner {
            Owner::Node(node) => Some(node.clone()),
            Owner::Instance(instance) => instance.node_key(),
        };
        match self.node.as_str() {
            "" => here,
            name => {
                let namespace = here.map_or_else(Name::default_namespace, |node| node.namespace);
                Some(NodeKey { namespace, node: Name::parse("AliasNode", name).ok()? })
            }
        }
    }

    /// What the check has to say now.
    pub(crate) fn verdict(
        &self,
        at: &Snapshot,
        own: &CheckKey,
        newest: impl Fn(&CheckKey) -> Option<Output>,
    ) -> (Status, String) {
        let node = self.node(own);
        let view = node.as_ref().and_then(|node| at.node(node));
        let instance = on_node(at, node.as_ref(), &self.service).and_then(|key| at.instance(key));
        let mut checks: Vec<wire::Check<'_>> = Vec::new();
        if let Some(view) = view {
            checks.extend(checks_of_node(&view.facts, &newest));
        }
        if let Some(instance) = instance {
            checks.extend(checks_of(instance, &newest, false));
        }
        let (is_own_node, id) = (self.node.is_empty(), own.id.as_str());
        // An agent does not ask itself whether it is there; and nothing repeats what it says itself.
        let is_asked =
            |check: &wire::Check<'_>| !(is_own_node && check.check_id == SERF) && check.check_id != id;
        checks.retain(is_asked);
        let is_there = match self.service.as_str() {
            "" => !checks.is_empty(),
            _ => instance.is_some(),
        };
        if !is_there {
            let why = format!("Service {} could not be found on node {}", self.service, self.node);
            return (Status::Critical, why);
        }
        worst(&checks)
    }
}

fn worst(checks: &[wire::Check<'_>]) -> (Status, String) {
    let failing = |status: Status| checks.iter().rfind(|check| as_status(check.status) == Some(status));
    let critical = checks.iter().find(|check| as_status(check.status) == Some(Status::Critical));
    let said = |check: &wire::Check<'_>| {
        let text = format!("Aliased check {:?} failing: {}", check.name, check.output);
        let end = (0..=Check::MAX_OUTPUT.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
        text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
    };
    match (critical, failing(Status::Warning)) {
        (Some(check), _) => (Status::Critical, said(check)),
        (None, Some(check)) => (Status::Warning, said(check)),
        (None, None) if checks.is_empty() => (Status::Passing, "No checks found.".to_owned()),
        (None, None) => (Status::Passing, "All checks passing.".to_owned()),
    }
}

use switchboard_model::{Lifecycle, Stored};
use switchboard_registry::{Change, InstanceView, Output, Transition, What};

use super::{check_to_wire, time_to_wire};
use crate::wire;

pub(crate) fn instance_to_wire(view: &InstanceView) -> wire::Instance {
    let instance = &view.instance;
    wire::Instance {
        id: instance.key.id.to_string(),
        service: instance.key.service.to_string(),
        namespace: instance.key.namespace.to_string(),
        node: instance.key.node.as_ref().map(ToString::to_string),
        host: instance.address.to_string(),
        port: instance.port(),
        ports: instance
            .ports
            .iter()
            .map(|port| wire::PortBody { name: port.name.to_string(), port: port.number })
            .collect(),
        tags: instance.tags.iter().map(ToString::to_string).collect(),
        metadata: instance.metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        weight: instance.weight,
        warning_weight: instance.warning_weight,
        zone: instance.zone.as_ref().map(ToString::to_string),
        health: view.health.as_str(),
        lifecycle: instance.lifecycle.as_str(),
        reasons: view.reasons(),
        origin: instance.origin.to_string(),
        created: instance.created.0,
        revision: view.revision.0,
    }
}

pub(crate) fn detail_to_wire(
    view: &InstanceView,
    lease: Option<wire::Lease>,
    history: &[Transition],
    output: impl Fn(&switchboard_model::CheckKey) -> Option<Output>,
) -> wire::InstanceDetail {
    let check =
        |check: &std::sync::Arc<Stored<switchboard_model::Check>>| check_to_wire(check, output(&check.key));
    wire::InstanceDetail {
        instance: instance_to_wire(view),
        checks: view.checks.iter().map(check).collect(),
        node_checks: view.node.iter().flat_map(|node| node.checks.iter()).map(check).collect(),
        lease,
        history: history.iter().map(transition_to_wire).collect(),
    }
}

fn transition_to_wire(transition: &Transition) -> wire::Transition {
    wire::Transition {
        revision: transition.revision.0,
        at: time_to_wire(transition.at_ms),
        from: transition.from.map(|health| health.as_str()),
        to: transition.to.map(|health| health.as_str()),
        why: transition.why.clone(),
    }
}

/// None: the change is not about an instance.
pub(crate) fn change_to_wire(change: &Change, revision: u64, at_ms: u64) -> Option<wire::Change> {
    let What::Instance { before, after } = &change.what else { return None };
    let view = change.what.instance()?;
    let key = view.key();
    Some(wire::Change {
        revision,
        at: time_to_wire(at_ms),
        kind: match (before, after) {
            (None, _) => "registered",
            (_, None) => "deregistered",
            (Some(_), Some(_)) => "changed",
        },
        namespace: key.namespace.to_string(),
        service: key.service.to_string(),
        id: key.id.to_string(),
        from: before.as_ref().map(|view| view.health.as_str()),
        to: after.as_ref().map(|view| view.health.as_str()),
        why: after.as_ref().map(|view| view.reasons()).unwrap_or_default(),
        instance: after.as_ref().map(|view| instance_to_wire(view)),
    })
}

pub(crate) fn lifecycle_from_wire(word: wire::LifecycleWord) -> Lifecycle {
    match word {
        wire::LifecycleWord::Starting => Lifecycle::Starting,
        wire::LifecycleWord::Up => Lifecycle::Up,
        wire::LifecycleWord::Draining => Lifecycle::Draining,
        wire::LifecycleWord::OutOfService => Lifecycle::OutOfService,
    }
}

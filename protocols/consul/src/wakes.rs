//! What of a commit shows in which answers, and so wakes whom. Pure.

use switchboard_model::{Lifecycle, Revision};
use switchboard_registry::{InstanceView, NodeFacts, What};

/// Anything about instances and nodes.
pub(crate) fn health(what: &What) -> bool {
    match what {
        What::Instance { .. } | What::Node { .. } | What::Check { .. } => true,
        What::Lease { .. } | What::Entry { .. } => false,
    }
}

/// A node came, went, or was registered anew; what its checks say is another matter.
pub(crate) fn node(what: &What) -> bool {
    match what {
        What::Node { before: Some(before), after: Some(after) } => registered(before) != registered(after),
        What::Node { .. } => true,
        What::Instance { .. } | What::Check { .. } | What::Lease { .. } | What::Entry { .. } => false,
    }
}

/// An instance came, went, or was registered anew; its health is another matter.
pub(crate) fn registration(what: &What) -> bool {
    match what {
        What::Instance { before: Some(before), after: Some(after) } => {
            before.instance.modified != after.instance.modified
        }
        What::Instance { .. } => true,
        What::Node { .. } | What::Check { .. } | What::Lease { .. } | What::Entry { .. } => false,
    }
}

/// A row of `catalog/service` came, went, or reads otherwise: an instance, or the node that it is on.
pub(crate) fn row(what: &What) -> bool {
    let place = |view: &InstanceView| view.node.as_deref().and_then(registered);
    let has_moved = match what {
        What::Instance { before: Some(before), after: Some(after) } => place(before) != place(after),
        _ => false,
    };
    has_moved || registration(what)
}

/// An instance came, went or was registered anew on a node that nobody registered, which is there because of it.
pub(crate) fn on_unregistered(what: &What) -> bool {
    let is_registered = |view: &InstanceView| view.node.as_deref().and_then(registered).is_some();
    registration(what) && what.instance().is_some_and(|view| !is_registered(view))
}

/// A check of a node, or of an instance, came, went, or reads otherwise.
pub(crate) fn check(what: &What) -> bool {
    matches!(what, What::Check { .. }) || own_check(what)
}

/// The same for instances alone, their leases and lifecycles included, which show as checks, too.
pub(crate) fn own_check(what: &What) -> bool {
    match what {
        What::Instance { before, after } => shown(before.as_deref()) != shown(after.as_deref()),
        What::Node { .. } | What::Check { .. } | What::Lease { .. } | What::Entry { .. } => false,
    }
}

/// When a node was registered last.
fn registered(facts: &NodeFacts) -> Option<Revision> {
    facts.node.as_ref().map(|node| node.modified)
}

/// When what an instance's checks read was written last, its name and tags included. None: it has no checks.
fn shown(view: Option<&InstanceView>) -> Option<(usize, Revision)> {
    let view = view?;
    let checks = view.checks.iter().map(|check| check.modified);
    let newest = checks.chain(view.lease.iter().map(|lease| lease.modified)).max();
    let newest = newest.or((view.instance.lifecycle != Lifecycle::Up).then_some(view.instance.modified))?;
    Some((view.checks.len() + usize::from(view.lease.is_some()), newest.max(view.instance.modified)))
}

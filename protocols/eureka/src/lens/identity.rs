//! Which instance an application and an id mean. Eureka has no nodes: an instance that lives on one is called by both,
//! `node:id`, so that the same id on two nodes is two instances here, too.

use std::ops::Bound;
use std::sync::Arc;

use switchboard_model::{DEFAULT_NAMESPACE, InstanceKey, Name, Rejection};
use switchboard_registry::{InstanceView, ServiceRef, ServiceView, Snapshot};

pub(crate) fn namespace_from_wire(namespace: &str) -> Result<Name, Rejection> {
    match namespace {
        DEFAULT_NAMESPACE => Ok(Name::default_namespace()),
        other => Name::parse("namespace", other),
    }
}

pub(crate) fn id_to_wire(key: &InstanceKey) -> String {
    match &key.node {
        None => key.id.to_string(),
        Some(node) => format!("{node}:{}", key.id),
    }
}

pub(crate) fn find<'a>(
    at: &'a Snapshot,
    namespace: &str,
    app: &str,
    id: &str,
) -> Option<&'a Arc<InstanceView>> {
    in_service(at.service(namespace, app)?, id)
}

fn in_service<'a>(service: &'a ServiceView, id: &str) -> Option<&'a Arc<InstanceView>> {
    // What has exactly this id goes before what is only called so.
    service
        .get(None, id)
        .or_else(|| splits(id).find_map(|(node, id)| service.get(Some(&Name::parse("node", node).ok()?), id)))
}

/// The first instance that is called by this id, whatever its application.
pub(crate) fn find_by_id<'a>(at: &'a Snapshot, namespace: &str, id: &str) -> Option<&'a Arc<InstanceView>> {
    let bare = at.instances_by_id(namespace, id).find(|key| key.node.is_none());
    let key = bare.or_else(|| {
        splits(id).find_map(|(node, id)| {
            at.instances_by_id(namespace, id)
                .find(|key| key.node.as_ref().is_some_and(|have| have.as_str().eq_ignore_ascii_case(node)))
        })
    })?;
    at.instance(key)
}

fn splits(id: &str) -> impl Iterator<Item = (&str, &str)> {
    id.match_indices(':').map(|(at, _)| {
        let (node, rest) = id.split_at(at);
        (node, rest.get(1..).unwrap_or_default())
    })
}

/// The instances of a service as they are told: each name once.
pub(crate) fn all_in(service: &ServiceView) -> impl Iterator<Item = &Arc<InstanceView>> {
    service.instances().filter(move |view| {
        let key = view.key();
        key.node.is_none()
            || in_service(service, &id_to_wire(key)).is_some_and(|found| Arc::ptr_eq(found, view))
    })
}

/// The services of a namespace.
pub(crate) fn services<'a>(
    at: &'a Snapshot,
    namespace: &'a str,
) -> impl Iterator<Item = &'a Arc<ServiceView>> {
    at.services(Bound::Included(ServiceRef { namespace, service: "" }))
        .take_while(move |service| service.key.namespace.as_str().eq_ignore_ascii_case(namespace))
        .filter(|service| !service.is_empty())
}

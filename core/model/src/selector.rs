use std::sync::Arc;

use bytes::Bytes;

use crate::{EntryKey, Id, InstanceKey, Name, NodeKey, ServiceKey};

/// Which records a watch is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Every record of every kind.
    Everything,
    /// All instances of one service, with their health.
    Service(ServiceKey),
    /// All instances of the services whose name starts with `prefix` (folded to lower case).
    Services {
        namespace: Option<Name>,
        prefix: Box<str>,
    },
    /// One instance wherever its service puts it.
    Instance {
        service: ServiceKey,
        id: Id,
    },
    Node(NodeKey),
    /// The entries of a keyspace from `start` up to but without `end`; no end means to the last key.
    Entries {
        keyspace: Arc<str>,
        start: Bytes,
        end: Option<Bytes>,
    },
    /// What any of these is about.
    AnyOf(Arc<[Selector]>),
}

impl Selector {
    pub fn has_instance(&self, key: &InstanceKey) -> bool {
        match self {
            Selector::Everything => true,
            Selector::Service(service) => same_service(service, key),
            Selector::Services { namespace, prefix } => {
                namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
                    && key.service.starts_with(prefix)
            }
            Selector::Instance { service, id } => *id == key.id && same_service(service, key),
            Selector::Node(node) => node.namespace == key.namespace && key.node.as_ref() == Some(&node.node),
            Selector::Entries { .. } => false,
            Selector::AnyOf(selectors) => selectors.iter().any(|selector| selector.has_instance(key)),
        }
    }

    pub fn has_node(&self, key: &NodeKey) -> bool {
        match self {
            Selector::Everything => true,
            Selector::Node(node) => node == key,
            Selector::AnyOf(selectors) => selectors.iter().any(|selector| selector.has_node(key)),
            _ => false,
        }
    }

    pub fn has_entry(&self, key: &EntryKey) -> bool {
        match self {
            Selector::Everything => true,
            Selector::Entries { keyspace, start, end } => {
                *keyspace == key.keyspace
                    && *start <= key.key
                    && end.as_ref().is_none_or(|end| key.key < *end)
            }
            Selector::AnyOf(selectors) => selectors.iter().any(|selector| selector.has_entry(key)),
            _ => false,
        }
    }

    pub fn has_leases(&self) -> bool {
        match self {
            Selector::AnyOf(selectors) => selectors.iter().any(Selector::has_leases),
            _ => matches!(self, Selector::Everything),
        }
    }

    /// The one service whose changes are all this selector can see, if there is one.
    pub fn service(&self) -> Option<&ServiceKey> {
        match self {
            Selector::Service(service) | Selector::Instance { service, .. } => Some(service),
            _ => None,
        }
    }
}

fn same_service(service: &ServiceKey, key: &InstanceKey) -> bool {
    service.service == key.service && service.namespace == key.namespace
}

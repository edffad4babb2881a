use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use switchboard_model::{
    Annex, Entry, LeaseId, Metadata, Node, NodeKey, OnExpiry, Rejection, Standing, Stored,
};
use switchboard_registry::plan::Grant;
use switchboard_registry::{Held, LeaseView, NodeView, ServiceView};

use super::within;
use crate::wire;

/// The keyspace of the native API's entries.
pub(crate) const KEYSPACE: &str = "native";

/// Names of holdings and members that one answer spells out.
const SPELLED_OUT: usize = 1000;

/// Milliseconds since 1970 as RFC 3339.
pub(crate) fn time_to_wire(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok())
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

pub(crate) fn service_to_wire(view: &ServiceView) -> wire::Service {
    let tags: BTreeSet<&str> =
        view.instances().flat_map(|it| it.instance.tags.iter()).map(|tag| &**tag).collect();
    wire::Service {
        service: view.key.service.to_string(),
        namespace: view.key.namespace.to_string(),
        instances: view.len(),
        healthy: view.served,
        tags: tags.into_iter().map(str::to_owned).collect(),
        revision: view.revision.0,
    }
}

pub(crate) fn lease_id_from_wire(field: &str, text: &str) -> Result<LeaseId, Rejection> {
    match u64::from_str_radix(text, 16) {
        Ok(id) if id != 0 && !text.starts_with('+') => Ok(LeaseId(id)),
        _ => Err(Rejection::invalid(
            field,
            format!("{text:?} is not a lease: 1 to 16 hexadecimal digits, not zero"),
        )),
    }
}

pub(crate) fn lease_from_wire(body: &wire::LeaseBody, linger: Duration) -> Result<Grant, Rejection> {
    let on_expiry = match (body.on_expiry, body.linger) {
        (Some(wire::OnExpiry::Delete), None) => OnExpiry::Delete,
        (Some(wire::OnExpiry::Delete), Some(_)) => {
            return Err(Rejection::invalid("linger", "is of no use where expiry deletes"));
        }
        (Some(wire::OnExpiry::Lapse) | None, own) => {
            let linger = own.map_or(Ok(linger), |own| within("linger", own.0))?;
            OnExpiry::Lapse { linger }
        }
    };
    let id = body.id.as_deref().map(|text| lease_id_from_wire("id", text)).transpose()?;
    Ok(Grant { id, ttl: body.ttl.0, on_expiry })
}

pub(crate) fn lease_to_wire(view: &LeaseView, remaining: Option<Duration>) -> wire::Lease {
    let lease = &view.lease;
    let name = |held: &Held| match held {
        Held::Instance(key) => key.to_string(),
        Held::Entry(key) => format!("{}:{}", key.keyspace, String::from_utf8_lossy(&key.key)),
    };
    let (on_expiry, linger) = match lease.on_expiry {
        OnExpiry::Lapse { linger } => (wire::OnExpiry::Lapse, Some(wire::Seconds(linger))),
        OnExpiry::Delete => (wire::OnExpiry::Delete, None),
    };
    wire::Lease {
        lease: lease.id.to_string(),
        ttl: wire::Seconds(lease.ttl),
        remaining: remaining.map(wire::Seconds),
        on_expiry,
        linger,
        standing: match lease.standing {
            Standing::Live => "live",
            Standing::Suspect { .. } => "suspect",
            Standing::Lapsed { .. } => "lapsed",
        },
        implicit: lease.implicit,
        holds: view.holds.iter().take(SPELLED_OUT).map(name).collect(),
        revision: lease.modified.0,
    }
}

pub(crate) fn node_from_wire(key: NodeKey, body: wire::NodeBody) -> Result<Node, Rejection> {
    let pair = |(key, value): (String, String)| (Arc::from(key), Arc::from(value));
    let metadata = Metadata::new(body.metadata.unwrap_or_default().into_iter().map(pair))?;
    let node = Node { key, address: body.host.into(), metadata, annex: Annex::default() };
    node.validate().map_err(|rejection| match rejection {
        Rejection::Invalid { why, .. } => Rejection::Invalid { field: "host".into(), why },
        other => other,
    })?;
    Ok(node)
}

pub(crate) fn node_to_wire(view: &NodeView) -> wire::Node {
    let facts = &view.facts;
    let node = facts.node.as_ref();
    wire::Node {
        node: facts.key.node.to_string(),
        namespace: facts.key.namespace.to_string(),
        host: node.map(|node| node.address.to_string()),
        metadata: node
            .iter()
            .flat_map(|node| node.metadata.iter())
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect(),
        instances: view.members.len(),
        revision: node.map(|node| node.modified.0),
    }
}

pub(crate) fn entry_to_wire(entry: &Stored<Entry>) -> wire::Entry {
    wire::Entry {
        key: String::from_utf8_lossy(&entry.key.key).into_owned(),
        bytes: entry.value.value.len(),
        lease: entry.lease.map(|lease| lease.to_string()),
        created: entry.created.0,
        revision: entry.modified.0,
        version: entry.version,
    }
}

//! What instances and nodes look like from here. Pure.

use std::net::IpAddr;

use switchboard_model::{Health, Node};
use switchboard_registry::{InstanceView, NodeFacts};

use crate::names::ServiceWanted;

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host<'a> {
    Address(IpAddr),
    Name(&'a str),
}

pub(crate) fn host(address: &str) -> Host<'_> {
    address.parse().map_or(Host::Name(address), Host::Address)
}

/// Whether consumers are told of it.
pub(crate) fn is_given(view: &InstanceView, only_passing: bool) -> bool {
    // What is suspect is served because too many failed at once to believe it; leaving it out would be believing it.
    view.is_served() && !(only_passing && view.health == Health::Warning)
}

pub(crate) fn is_wanted(view: &InstanceView, wanted: &ServiceWanted<'_>) -> bool {
    let tagged = |tag: &str| view.instance.tags.iter().any(|have| have.eq_ignore_ascii_case(tag));
    wanted.tag.as_deref().is_none_or(tagged) && port(view, wanted.port).is_some()
}

/// Its port of this name, or the one that is meant when none is named; 0: it has none.
pub(crate) fn port(view: &InstanceView, name: Option<&str>) -> Option<u16> {
    match name {
        None => Some(view.instance.port().unwrap_or(0)),
        Some(name) => {
            let mut ports = view.instance.ports.iter();
            ports.find(|port| port.name.eq_ignore_ascii_case(name)).map(|port| port.number)
        }
    }
}

pub(crate) fn weight(view: &InstanceView) -> u16 {
    u16::try_from(view.instance.weight_at(view.health)).unwrap_or(u16::MAX)
}

/// The node that it lives on, if it is found at that node's own address.
pub(crate) fn node_at_its_address(view: &InstanceView) -> Option<&NodeFacts> {
    let facts = view.node.as_deref()?;
    let node = facts.node.as_ref()?;
    (node.address == view.instance.address).then_some(facts)
}

pub(crate) fn node(view: &InstanceView) -> Option<&Node> {
    view.node.as_ref()?.node.as_ref().map(|node| &node.value)
}

/// A node's metadata as texts: `key=value`, with what would end the key early quoted (RFC 1464); keys that begin with
/// `rfc1035-` give their value as it is.
pub(crate) fn texts(node: &Node) -> Vec<Vec<u8>> {
    let text = |(key, value): (&std::sync::Arc<str>, &std::sync::Arc<str>)| {
        if key.to_ascii_lowercase().starts_with("rfc1035-") {
            return value.as_bytes().to_vec();
        }
        let quoted = key.replace('`', "``").replace('=', "`=");
        format!("{quoted}={value}").into_bytes()
    };
    node.metadata.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use switchboard_model::{Annex, Metadata, Name, NodeKey};

    use super::*;

    #[test]
    fn metadata_as_texts() {
        let pairs = [("a", "1=2"), ("b=c", "x"), ("d`", ""), ("rfc1035-note", "as it is")];
        let node = Node {
            key: NodeKey { namespace: Name::default_namespace(), node: Name::parse("node", "n1").unwrap() },
            address: "10.0.0.1".into(),
            metadata: Metadata::new(pairs.map(|(key, value)| (key.into(), value.into()))).unwrap(),
            annex: Annex::default(),
        };
        let said: Vec<String> =
            texts(&node).iter().map(|text| String::from_utf8_lossy(text).into()).collect();
        assert_eq!(said, ["a=1=2", "b`=c=x", "d``=", "as it is"]);
    }
}

use domain::base::iana::Rtype;
use switchboard_model::DEFAULT_NAMESPACE;

use super::{Scheme, ServiceWanted, Subject, from_hex, joined, text};

/// Names as Consul has them.
///
/// ```text
/// [tag.]web.service[.dc1]   _web._tag.service[.dc1]   _web._tag[.dc1] for SRV
/// n1.node[.dc1]             c0a80164.addr[.dc1]       name.query[.dc1]
/// ```
#[derive(Debug)]
pub(crate) struct Consul {
    pub(crate) datacenter: String,
}

/// What stands between what is named and where.
const KINDS: [&str; 7] = ["service", "node", "addr", "query", "connect", "virtual", "ingress"];

impl Scheme for Consul {
    fn read<'a>(&self, labels: &[&'a [u8]], qtype: Rtype) -> Subject<'a> {
        let kind_at = labels.iter().rposition(|label| kind(label).is_some());
        let short_at = labels.iter().rposition(|label| qtype == Rtype::SRV && label.starts_with(b"_"));
        let (kind, before, after) = match (kind_at, short_at) {
            // `service` may be left out, and what is rightmost decides.
            (None, Some(short)) => split("service", labels, short + 1, short + 1),
            (Some(at), Some(short)) if short > at => split("service", labels, short + 1, short + 1),
            (Some(at), _) => {
                split(labels.get(at).and_then(|label| kind(label)).unwrap_or(""), labels, at, at + 1)
            }
            (None, None) => return self.without_kind(labels),
        };
        // An address is spelled out in its name, and is the same from everywhere.
        let is_spelled_out = kind == "addr" && after.len() < 3;
        if !self.is_here(after) && !is_spelled_out {
            return Subject::Nothing;
        }
        match (kind, before) {
            ("service" | "node" | "addr" | "query", []) => Subject::Empty,
            ("service", parts) => service(parts),
            ("node", parts) => match joined(parts) {
                Some(node) => Subject::Node { namespace: DEFAULT_NAMESPACE, node },
                None => Subject::Nothing,
            },
            ("addr", [digits]) if !matches!(digits.len(), 8 | 32) => Subject::Empty,
            ("addr", [digits]) => from_hex(digits).map_or(Subject::Nothing, Subject::Address),
            ("query", parts) => query(parts),
            // The mesh's names: there is no mesh.
            _ => Subject::Nothing,
        }
    }

    fn node(&self, namespace: &str, node: &str) -> Option<String> {
        is_default(namespace).then(|| format!("{node}.node.{}", self.datacenter))
    }

    fn service(&self, namespace: &str, service: &str) -> Option<String> {
        // A dot would begin another label, and the name would mean another service.
        let named = is_default(namespace) && !service.contains('.');
        named.then(|| format!("{service}.service.{}", self.datacenter))
    }

    fn address(&self, hex: &str) -> String {
        format!("{hex}.addr.{}", self.datacenter)
    }
}

impl Consul {
    fn without_kind<'a>(&self, labels: &[&[u8]]) -> Subject<'a> {
        match labels {
            [] => Subject::Empty,
            [one] if one.eq_ignore_ascii_case(b"ns") => Subject::Server,
            labels if self.is_here(labels) => Subject::Empty,
            _ => Subject::Nothing,
        }
    }

    /// Whether these labels say where this registry is: nothing, its datacenter, or its datacenter in so many words.
    fn is_here(&self, after: &[&[u8]]) -> bool {
        let own = |label: &[u8]| label.eq_ignore_ascii_case(self.datacenter.as_bytes());
        match after {
            [] => true,
            [datacenter] => own(datacenter),
            [datacenter, dc] => own(datacenter) && dc.eq_ignore_ascii_case(b"dc"),
            _ => false,
        }
    }
}

fn is_default(namespace: &str) -> bool {
    namespace.eq_ignore_ascii_case(DEFAULT_NAMESPACE)
}

fn kind(label: &[u8]) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| label.eq_ignore_ascii_case(kind.as_bytes()))
}

type Split<'l, 'a> = (&'static str, &'l [&'a [u8]], &'l [&'a [u8]]);

fn split<'l, 'a>(kind: &'static str, labels: &'l [&'a [u8]], before: usize, after: usize) -> Split<'l, 'a> {
    (kind, labels.get(..before).unwrap_or_default(), labels.get(after..).unwrap_or_default())
}

fn service<'a>(parts: &[&'a [u8]]) -> Subject<'a> {
    let wanted = |service: &'a [u8], tag| match text(service) {
        Some(service) => {
            Subject::Service(ServiceWanted { namespace: DEFAULT_NAMESPACE, service, tag, port: None })
        }
        None => Subject::Nothing,
    };
    match parts {
        [service, tag] if service.starts_with(b"_") && tag.starts_with(b"_") => {
            let (service, tag) = (unscored(service), unscored(tag));
            match tag.eq_ignore_ascii_case(b"tcp") {
                true => wanted(service, None),
                false => text(tag).map_or(Subject::Nothing, |tag| wanted(service, Some(tag.into()))),
            }
        }
        // Others are below it: whoever walks down to them label by label must not hear that there is nothing.
        [one] if one.starts_with(b"_") => Subject::Empty,
        [service] => wanted(service, None),
        [tags @ .., service] => joined(tags).map_or(Subject::Nothing, |tag| wanted(service, Some(tag))),
        [] => Subject::Empty,
    }
}

/// By name or id. In `_name._tcp` the last label means nothing.
fn query<'a>(parts: &[&'a [u8]]) -> Subject<'a> {
    let name = match parts {
        [first, .., last] if first.starts_with(b"_") && last.starts_with(b"_") => {
            let mut rest = parts.get(..parts.len() - 1).unwrap_or_default().to_vec();
            if let Some(first) = rest.first_mut() {
                *first = unscored(first);
            }
            joined(&rest)
        }
        parts => joined(parts),
    };
    name.map_or(Subject::Nothing, Subject::Set)
}

fn unscored(label: &[u8]) -> &[u8] {
    label.get(1..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a name below the domain means, in one line.
    #[track_caller]
    fn check(name: &str, qtype: Rtype, expected: &str) {
        let labels: Vec<&[u8]> =
            name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes).collect();
        let said = match (Consul { datacenter: "dc1".to_owned() }).read(&labels, qtype) {
            Subject::Service(ServiceWanted { service, tag, .. }) => match tag {
                Some(tag) => format!("service {service} with {tag}"),
                None => format!("service {service}"),
            },
            Subject::Node { node, .. } => format!("node {node}"),
            Subject::Address(address) => format!("address {address}"),
            Subject::Set(name) => format!("set {name}"),
            other => format!("{other:?}"),
        };
        assert_eq!(said, expected, "{name} {qtype}");
    }

    #[test]
    fn names() {
        for (name, expected) in [
            ("web.service", "service web"),
            ("web.service.dc1", "service web"),
            ("web.SERVICE.DC1.dc", "service web"),
            ("web.service.dc2", "Nothing"),
            ("web.service.dc1.peer", "Nothing"),
            ("web.service.a.dc1", "Nothing"),
            ("v1.web.service", "service web with v1"),
            ("a.b.web.service.dc1", "service web with a.b"),
            ("_web._tcp.service", "service web"),
            ("_web._v1.service.dc1", "service web with v1"),
            ("a._web._v1.service", "service _v1 with a._web"),
            ("_tcp.service", "Empty"),
            ("n1.node", "node n1"),
            ("n1.example.com.node.dc1", "node n1.example.com"),
            ("c0a80164.addr.dc1", "address 192.168.1.100"),
            ("c0a80164.addr", "address 192.168.1.100"),
            ("c0a80164.addr.dc2", "address 192.168.1.100"),
            ("c0a8016.addr.dc1", "Empty"),
            ("c0a8016g.addr.dc1", "Nothing"),
            ("a.c0a80164.addr.dc1", "Nothing"),
            ("near.query", "set near"),
            ("near.by.query.dc1", "set near.by"),
            ("_near._tcp.query", "set near"),
            ("_near.by._tcp.query", "set near.by"),
            ("web.connect", "Nothing"),
            ("web.virtual", "Nothing"),
            ("web.ingress", "Nothing"),
            ("", "Empty"),
            ("service", "Empty"),
            ("node.dc1", "Empty"),
            ("dc1", "Empty"),
            ("dc2", "Nothing"),
            ("ns", "Server"),
            ("web", "Nothing"),
        ] {
            check(name, Rtype::A, expected);
        }
    }

    #[test]
    fn srv_may_leave_service_out() {
        check("_web._tcp", Rtype::SRV, "service web");
        check("_web._v1.dc1", Rtype::SRV, "service web with v1");
        check("_web._v1.dc2", Rtype::SRV, "Nothing");
        check("_web._v1.dc1", Rtype::A, "Nothing");
    }
}

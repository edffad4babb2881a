use domain::base::iana::Rtype;
use switchboard_model::DEFAULT_NAMESPACE;

use super::{Scheme, ServiceWanted, Subject, from_hex, text};

/// Names of our own, with namespaces and named ports.
///
/// ```text
/// web.svc   web.shop.svc   _http._tcp.web.shop.svc   n1.node   n1.shop.node   c0a80164.addr
/// ```
#[derive(Debug)]
pub(crate) struct Native;

impl Scheme for Native {
    fn read<'a>(&self, labels: &[&'a [u8]], _: Rtype) -> Subject<'a> {
        let Some((kind, before)) = labels.split_last() else { return Subject::Empty };
        match (kind.to_ascii_lowercase().as_slice(), before) {
            (b"svc" | b"node" | b"addr", []) => Subject::Empty,
            (b"svc", before) => service(before),
            (b"node", [node]) => self::node(DEFAULT_NAMESPACE.as_bytes(), node),
            (b"node", [node, namespace]) => self::node(namespace, node),
            (b"addr", [digits]) => from_hex(digits).map_or(Subject::Nothing, Subject::Address),
            (b"ns", []) => Subject::Server,
            _ => Subject::Nothing,
        }
    }

    fn node(&self, namespace: &str, node: &str) -> Option<String> {
        below(namespace, node, "node")
    }

    fn service(&self, namespace: &str, service: &str) -> Option<String> {
        below(namespace, service, "svc")
    }

    fn address(&self, hex: &str) -> String {
        format!("{hex}.addr")
    }
}

fn below(namespace: &str, name: &str, kind: &str) -> Option<String> {
    // A dot would begin another label, and the name would mean something else.
    if namespace.contains('.') || name.contains('.') {
        return None;
    }
    Some(match namespace.eq_ignore_ascii_case(DEFAULT_NAMESPACE) {
        true => format!("{name}.{kind}"),
        false => format!("{name}.{namespace}.{kind}"),
    })
}

fn service<'a>(before: &[&'a [u8]]) -> Subject<'a> {
    let (port, rest) = match before {
        [port, protocol, rest @ ..] if port.starts_with(b"_") && protocol.starts_with(b"_") => {
            match text(port.get(1..).unwrap_or_default()) {
                // A port says nothing of its protocol, so any is taken at its word.
                Some(port) => (Some(port), rest),
                None => return Subject::Nothing,
            }
        }
        // `_tcp.web` has others below it, and no records.
        [protocol, _, ..] if protocol.starts_with(b"_") => return Subject::Empty,
        rest => (None, rest),
    };
    let (service, namespace) = match rest {
        [service] => (text(service), Some(DEFAULT_NAMESPACE)),
        [service, namespace] => (text(service), text(namespace)),
        _ => return Subject::Nothing,
    };
    match (service, namespace) {
        (Some(service), Some(namespace)) => {
            Subject::Service(ServiceWanted { namespace, service, tag: None, port })
        }
        _ => Subject::Nothing,
    }
}

fn node<'a>(namespace: &'a [u8], node: &'a [u8]) -> Subject<'a> {
    match (text(namespace), text(node)) {
        (Some(namespace), Some(node)) => Subject::Node { namespace, node: node.into() },
        _ => Subject::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("web.svc", "default/web"),
            ("web.shop.svc", "shop/web"),
            ("_http._tcp.web.shop.SVC", "shop/web at http"),
            ("_http._udp.web.svc", "default/web at http"),
            ("_tcp.web.svc", "Empty"),
            ("a.web.shop.svc", "Nothing"),
            ("n1.node", "node default/n1"),
            ("n1.shop.node", "node shop/n1"),
            ("a.n1.shop.node", "Nothing"),
            ("c0a80164.addr", "192.168.1.100"),
            ("", "Empty"),
            ("svc", "Empty"),
            ("ns", "Server"),
            ("web", "Nothing"),
        ] {
            let labels: Vec<&[u8]> =
                name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes).collect();
            let said = match Native.read(&labels, Rtype::A) {
                Subject::Service(ServiceWanted { namespace, service, port, .. }) => match port {
                    Some(port) => format!("{namespace}/{service} at {port}"),
                    None => format!("{namespace}/{service}"),
                },
                Subject::Node { namespace, node } => format!("node {namespace}/{node}"),
                Subject::Address(address) => address.to_string(),
                other => format!("{other:?}"),
            };
            assert_eq!(said, expected, "{name}");
        }
    }
}

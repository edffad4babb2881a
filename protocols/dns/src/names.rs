//! What names mean. Each scheme is one file: it reads names below its domain, and makes names for what answers lead to.

mod consul;
mod native;

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::iana::Rtype;

use crate::wire::DomainName;

pub(crate) use consul::Consul;
pub(crate) use native::Native;

/// What a name is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    /// Nothing that could exist.
    Nothing,
    /// It has no records of its own, and others are below it.
    Empty,
    /// The server itself.
    Server,
    Service(ServiceWanted<'a>),
    Node {
        namespace: &'a str,
        node: Cow<'a, str>,
    },
    Address(IpAddr),
    /// A set that another protocol keeps under this name.
    Set(Cow<'a, str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceWanted<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) service: &'a str,
    /// Only instances with this tag.
    pub(crate) tag: Option<Cow<'a, str>>,
    /// Only instances with a port of this name, and that port.
    pub(crate) port: Option<&'a str>,
}

/// A way to name things.
pub(crate) trait Scheme: fmt::Debug + Send + Sync {
    /// What the name means that these labels make, the domain left out.
    fn read<'a>(&self, labels: &[&'a [u8]], qtype: Rtype) -> Subject<'a>;

    /// The labels before the domain; None: there is no such name.
    fn node(&self, namespace: &str, node: &str) -> Option<String>;

    fn service(&self, namespace: &str, service: &str) -> Option<String>;

    /// `hex` is the address as hexadecimal digits.
    fn address(&self, hex: &str) -> String;
}

/// A domain and how things are named in it.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) domain: DomainName,
    pub(crate) scheme: Box<dyn Scheme>,
    /// Its place among the zones.
    pub(crate) index: u8,
}

impl Zone {
    /// The labels before this domain; None: the name is not in it.
    pub(crate) fn strip<'l, 'a>(&self, labels: &'l [&'a [u8]]) -> Option<&'l [&'a [u8]]> {
        let domain = self.domain.labels();
        let (below, end) = labels.split_at_checked(labels.len().checked_sub(domain.len())?)?;
        let same = end.iter().zip(&domain).all(|(one, other)| one.eq_ignore_ascii_case(other));
        same.then_some(below)
    }

    pub(crate) fn node(&self, namespace: &str, node: &str) -> Option<DomainName> {
        self.below(&self.scheme.node(namespace, node)?)
    }

    pub(crate) fn service(&self, namespace: &str, service: &str) -> Option<DomainName> {
        self.below(&self.scheme.service(namespace, service)?)
    }

    pub(crate) fn address(&self, address: IpAddr) -> Option<DomainName> {
        self.below(&self.scheme.address(&hex(address)))
    }

    pub(crate) fn below(&self, labels: &str) -> Option<DomainName> {
        DomainName::below(labels.split('.').map(str::as_bytes), &self.domain)
    }
}

pub(crate) fn hex(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{:08x}", address.to_bits()),
        IpAddr::V6(address) => format!("{:032x}", address.to_bits()),
    }
}

fn from_hex(label: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(label).ok().filter(|text| !text.starts_with('+'))?;
    match text.len() {
        8 => u32::from_str_radix(text, 16).ok().map(|bits| Ipv4Addr::from_bits(bits).into()),
        32 => u128::from_str_radix(text, 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into()),
        _ => None,
    }
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` is about; Err: it is below neither.
pub(crate) fn reverse(labels: &[&[u8]]) -> Result<Option<IpAddr>, NotReverse> {
    let is = |label: &[u8], text: &str| label.eq_ignore_ascii_case(text.as_bytes());
    match labels {
        [digits @ .., zone, arpa] if is(arpa, "arpa") && is(zone, "in-addr") => Ok(dotted(digits)),
        [digits @ .., zone, arpa] if is(arpa, "arpa") && is(zone, "ip6") => Ok(nibbles(digits)),
        _ => Err(NotReverse),
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotReverse;

fn dotted(digits: &[&[u8]]) -> Option<IpAddr> {
    let mut octets = [0; 4];
    if digits.len() != octets.len() {
        return None;
    }
    for (octet, label) in octets.iter_mut().rev().zip(digits) {
        *octet = std::str::from_utf8(label).ok()?.parse().ok()?;
    }
    Some(IpAddr::from(octets))
}

fn nibbles(digits: &[&[u8]]) -> Option<IpAddr> {
    let mut bits: u128 = 0;
    if digits.len() != 32 {
        return None;
    }
    for label in digits.iter().rev() {
        let digit = char::from(*label.first().filter(|_| label.len() == 1)?).to_digit(16)?;
        bits = (bits << 4) | u128::from(digit);
    }
    Some(Ipv6Addr::from_bits(bits).into())
}

fn text(label: &[u8]) -> Option<&str> {
    std::str::from_utf8(label).ok()
}

/// Labels as one text with dots.
fn joined<'a>(labels: &[&'a [u8]]) -> Option<Cow<'a, str>> {
    match labels {
        [one] => text(one).map(Cow::Borrowed),
        labels => {
            let texts: Option<Vec<&str>> = labels.iter().map(|label| text(label)).collect();
            texts.map(|texts| Cow::Owned(texts.join(".")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_their_names() {
        for address in ["192.168.1.100", "::1", "2001:db8::a1"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(from_hex(hex(address).as_bytes()), Some(address));
        }
        for bad in ["c0a8016", "c0a8016g", "+0a80164", "", "c0a80164c0a80164"] {
            assert_eq!(from_hex(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn reverse_names() {
        let read = |name: &str| {
            let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
            reverse(&labels)
        };
        assert_eq!(read("100.1.168.192.IN-ADDR.arpa"), Ok(Some("192.168.1.100".parse().unwrap())));
        let six = format!("1.{}ip6.arpa", "0.".repeat(31));
        assert_eq!(read(&six), Ok(Some("::1".parse().unwrap())));
        assert_eq!(read("1.168.192.in-addr.arpa"), Ok(None));
        assert_eq!(read("256.1.168.192.in-addr.arpa"), Ok(None));
        assert_eq!(read(&format!("g.{}ip6.arpa", "0.".repeat(31))), Ok(None));
        assert_eq!(read("web.service.consul"), Err(NotReverse));
    }
}

//! Forms of an address: IPv6 has several ways to say an IPv4 address, and each of them is a way around a rule that
//! looks at one form only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that the system would really connect to, where it is another way of writing an IPv4 address.
pub(super) fn plain(ip: IpAddr) -> Result<IpAddr, String> {
    let ip = ip.to_canonical();
    match ip {
        // Deprecated since 2006, and nobody who means well writes it.
        IpAddr::V6(v6) if is_compatible(v6) => {
            Err(format!("{ip} is never probed: write the IPv4 address without the colons"))
        }
        // The IPv4 address in it is scrambled, and the server in between is of the sender's choosing.
        IpAddr::V6(v6) if v6.segments().starts_with(&[0x2001, 0]) => {
            Err(format!("{ip} is never probed: it is a Teredo address"))
        }
        _ => Ok(ip),
    }
}

/// The address, and the IPv4 address that a translator or a tunnel would make of it.
pub(super) fn all(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let hidden = match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => hidden(v6),
    };
    [Some(ip), hidden.map(IpAddr::V4)].into_iter().flatten()
}

/// Why nobody may probe the address, whatever is configured.
pub(super) fn forbidden(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip),
    }
}

fn is_compatible(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0, 0, 0, 0, 0, 0, _, _]) && !ip.is_loopback() && !ip.is_unspecified()
}

fn hidden(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        // NAT64 (RFC 6052, RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => Some(v4(high, low)),
        // Stateless translation (RFC 2765).
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some(v4(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(v4(high, low)),
        // ISATAP (RFC 5214).
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(v4(high, low)),
        _ => None,
    }
}

const METADATA: &str = "the metadata service of a cloud";

fn forbidden_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        // 0.0.0.0 connects to this machine.
        [0, ..] => Some("an unspecified address"),
        [169, 254, ..] => Some("a link-local address, as metadata services of clouds have"),
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Some(METADATA),
        [224..=239, ..] => Some("a multicast address"),
        [255, 255, 255, 255] => Some("the broadcast address"),
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<&'static str> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // Amazon, Google, Scaleway.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
        | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] => Some(METADATA),
        _ => None,
    }
}

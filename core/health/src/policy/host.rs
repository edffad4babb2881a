use std::fmt;
use std::net::IpAddr;

/// What a check names as its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Ip(IpAddr),
    /// A DNS name in lower case, without the dot at its end.
    Name(Box<str>),
}

impl Host {
    /// Reads an IP address in its usual form, or a DNS name.
    ///
    /// Resolvers take much else for an address (`2130706433`, `0x7f.1`, `127.1`), and each of them something else;
    /// what only looks like a name is refused rather than left to the resolver.
    pub fn parse(text: &str) -> Result<Host, String> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Host::Ip(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_name = name.len() <= 253 && name.split('.').all(is_label);
        match name.rsplit('.').next() {
            Some(last) if is_name && !is_number(last) => Ok(Host::Name(name.to_ascii_lowercase().into())),
            _ => Err(format!("{:?} is neither an IP address in its usual form nor a DNS name", Short(text))),
        }
    }

    /// `localhost` and the names below it, which resolvers take for this machine without asking anyone.
    pub fn is_localhost(&self) -> bool {
        match self {
            Host::Ip(_) => false,
            Host::Name(name) => &**name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// The host with what it resolved to, for people.
    pub(super) fn shown(&self, ip: IpAddr) -> String {
        match self {
            Host::Ip(own) if *own == ip => own.to_string(),
            Host::Ip(own) => format!("{own} ({ip})"),
            Host::Name(name) => format!("{name} ({ip})"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(ip) => ip.fmt(f),
            Host::Name(name) => f.write_str(name),
        }
    }
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether a resolver might take a name that ends in this label for an address: decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    hex.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit())) || digits(label)
}

/// The beginning of a text that may be very long.
struct Short<'a>(&'a str);

impl fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: String = self.0.chars().take(64).collect();
        head.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        for name in [
            "localhost",
            "db",
            "web-01.example.com",
            "_sip._tcp.example",
            "3com.com",
            "1.2.3.4.example",
            "a.b.",
        ] {
            assert!(matches!(Host::parse(name), Ok(Host::Name(_))), "{name}");
        }
        for ip in ["127.0.0.1", "::1", "::ffff:1.2.3.4"] {
            assert!(matches!(Host::parse(ip), Ok(Host::Ip(_))), "{ip}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            "-a",
            "a-",
            "2130706433",
            "127.1",
            "0x7f000001",
            "0x7f.1",
            "127.0.0.0x1",
            "x.0x",
            "127.0.0.1.",
            "0177.0.0.1",
            "[::1]",
            "::1%eth0",
            "a b",
            "a@b",
            "a/b",
            "a:80",
            "ⓛocalhost",
        ] {
            assert!(Host::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}

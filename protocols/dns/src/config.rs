use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use switchboard_facade::{ConnectionLimits, Listen, Span};

/// The section `[dns]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub insecure: bool,
    pub domain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alt_domain: Option<String>,
    pub native_domain: String,
    pub datacenter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    pub only_passing: bool,
    pub node_ttl: Span,
    /// By service; a name that ends in `*` is the beginning of many.
    pub service_ttl: BTreeMap<String, Span>,
    pub a_record_limit: usize,
    pub udp_answer_limit: usize,
    pub udp_bytes: u16,
    pub enable_truncate: bool,
    pub node_meta_txt: bool,
    pub recursors: Vec<SocketAddr>,
    pub recursor_timeout: Span,
    pub sockets: usize,
    /// Time that a client has to send its next query over TCP, and to take an answer.
    pub patience: Span,
    /// Queries that wait for others at the same time.
    pub waiting: usize,
    pub soa: SoaTimes,
    pub limits: TcpLimits,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoaTimes {
    pub refresh: Span,
    pub retry: Span,
    pub expire: Span,
    pub min_ttl: Span,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TcpLimits {
    pub connections: usize,
    pub drain: Span,
}

impl Default for TcpLimits {
    fn default() -> TcpLimits {
        TcpLimits { connections: 1000, drain: Span::seconds(5) }
    }
}

impl TcpLimits {
    pub(crate) fn of_connections(self) -> ConnectionLimits {
        let TcpLimits { connections, drain } = self;
        ConnectionLimits { connections, drain, ..ConnectionLimits::default() }
    }
}

impl Default for SoaTimes {
    fn default() -> SoaTimes {
        SoaTimes {
            refresh: Span::seconds(3600),
            retry: Span::seconds(600),
            expire: Span::seconds(86_400),
            min_ttl: Span::seconds(0),
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8600)),
            insecure: false,
            domain: "consul.".to_owned(),
            alt_domain: None,
            native_domain: "switchboard.".to_owned(),
            datacenter: "dc1".to_owned(),
            node_name: None,
            address: None,
            only_passing: false,
            node_ttl: Span::seconds(0),
            service_ttl: BTreeMap::new(),
            a_record_limit: 0,
            udp_answer_limit: 3,
            udp_bytes: 1232,
            enable_truncate: false,
            node_meta_txt: true,
            recursors: Vec::new(),
            recursor_timeout: Span::seconds(2),
            sockets: 0,
            patience: Span::seconds(10),
            waiting: 1024,
            soa: SoaTimes::default(),
            limits: TcpLimits::default(),
        }
    }
}

impl Config {
    const MOST_SOCKETS: usize = 64;
    /// Answers in a small datagram.
    const MOST_IN_SMALL: usize = 8;
    /// Everyone takes a datagram of this size.
    pub(crate) const LEAST_BYTES: u16 = 512;
    const MOST_WAITING: usize = 1 << 20;

    pub(crate) fn listen(&self) -> Listen {
        Listen { address: self.listen, insecure: self.insecure, tls: None }
    }

    /// What could not be kept to is said, instead of doing something else.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let within = |key: &str, value: usize, least: usize, most: usize| {
            ensure!((least..=most).contains(&value), "dns.{key}: {value} is not between {least} and {most}");
            Ok(())
        };
        within("sockets", self.sockets, 0, Config::MOST_SOCKETS)?;
        within("udp_answer_limit", self.udp_answer_limit, 1, Config::MOST_IN_SMALL)?;
        within("udp_bytes", self.udp_bytes.into(), Config::LEAST_BYTES.into(), u16::MAX.into())?;
        within("waiting", self.waiting, 1, Config::MOST_WAITING)?;
        let soa = [
            ("soa.refresh", self.soa.refresh),
            ("soa.retry", self.soa.retry),
            ("soa.expire", self.soa.expire),
            ("soa.min_ttl", self.soa.min_ttl),
            ("node_ttl", self.node_ttl),
        ];
        let of_services = self.service_ttl.iter().map(|(name, ttl)| (format!("service_ttl.{name}"), *ttl));
        for (key, ttl) in soa.map(|(key, ttl)| (key.to_owned(), ttl)).into_iter().chain(of_services) {
            let fits = ttl.0.as_secs() <= i32::MAX.unsigned_abs().into();
            ensure!(
                fits,
                "dns.{key}: {}s is more than a record can say, which is {}s",
                ttl.0.as_secs(),
                i32::MAX
            );
        }
        Ok(())
    }

    /// An exact name first, then the longest beginning.
    pub(crate) fn ttl_of(&self, service: &str) -> u32 {
        if self.service_ttl.is_empty() {
            return 0;
        }
        let exact = self.service_ttl.iter().find(|(name, _)| name.eq_ignore_ascii_case(service));
        let beginning = || {
            let fits = |(name, _): &(&String, &Span)| {
                let head = name.strip_suffix('*').map(|head| (head, service.get(..head.len())));
                head.is_some_and(|(head, have)| have.is_some_and(|have| have.eq_ignore_ascii_case(head)))
            };
            self.service_ttl.iter().filter(fits).max_by_key(|(name, _)| name.len())
        };
        exact.or_else(beginning).map_or(0, |(_, ttl)| seconds(*ttl))
    }
}

pub(crate) fn seconds(span: Span) -> u32 {
    // The sign bit of a TTL means nothing and is not to be set. What is configured is less.
    u32::try_from(span.0.as_secs()).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs())
}

/// Every key with its default.
pub(crate) const EXAMPLE: &str = r#"# Where to listen, over UDP and over TCP. An address that other machines can reach needs `insecure = true`.
listen = "127.0.0.1:8600"
# Listen beyond this machine, unprotected as DNS is.
insecure = false
# The domain of Consul's names, such as web.service.consul, and another one for the same names.
domain = "consul."
# alt_domain = "example.internal."
# The domain of the registry's own names, such as web.svc.switchboard.
native_domain = "switchboard."
# What Consul's names call this registry.
datacenter = "dc1"
# The name of this server, and the address that it is found under where no node of that name is registered. If they are
# not given: the host's name, and the address above.
# node_name = "registry-1"
# address = "192.0.2.1"
# Leave out instances with warnings, too.
only_passing = false
# How long answers about nodes may be kept.
node_ttl = "0s"
# How long answers about services may be kept: { "web" = "10s", "db-*" = "5s", "*" = "1s" }.
service_ttl = {}
# Addresses in one answer at most; 0: all that fit.
a_record_limit = 0
# Answers at most over UDP to clients that say nothing about themselves (EDNS); at most 8.
udp_answer_limit = 3
# Bytes of an answer over UDP at most, whatever the client says it can take. More is likely to be cut up on its way.
udp_bytes = 1232
# Say that something was left out (the TC bit), so that clients ask again over TCP. Without it, what they get is a choice
# of instances, made anew for each query.
enable_truncate = false
# Tell a node's metadata as texts along with its address.
node_meta_txt = true
# Servers that are asked about names of other domains; without any, those are refused.
recursors = []
recursor_timeout = "2s"
# UDP sockets; 0: one for each processor.
sockets = 0
# Time that a client has to send its next query over TCP, and to take an answer.
patience = "10s"
# Queries at most that wait for a recursor or for a search; one more is told to try again.
waiting = 1024

# The times in the domain's SOA record. Others keep for `min_ttl` that a name does not exist.
[dns.soa]
refresh = "1h"
retry = "10m"
expire = "24h"
min_ttl = "0s"

# What the listener takes at most over TCP. All of it applies before anything is parsed.
[dns.limits]
# Open connections; one more is closed.
connections = 1000
# Time that connections have to end when the process stops.
drain = "5s"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_says_the_defaults_and_nothing_else() {
        let section = EXAMPLE.replace("[dns.", "[").parse().unwrap();
        let said: Config = switchboard_facade::from_section("dns", &section).unwrap();
        let section = switchboard_facade::to_section;
        assert_eq!(section(&said), section(&Config::default()));
    }

    #[test]
    fn what_cannot_be_kept_to_is_said() {
        let said = |text: &str| {
            let section = text.parse().unwrap();
            let config: Config = switchboard_facade::from_section("dns", &section).unwrap();
            config.check().map_err(|why| why.to_string()).unwrap_err()
        };
        for (text, why) in [
            ("sockets = 65", "dns.sockets: 65 is not between 0 and 64"),
            ("udp_answer_limit = 9", "dns.udp_answer_limit: 9 is not between 1 and 8"),
            ("udp_answer_limit = 0", "dns.udp_answer_limit: 0 is not between 1 and 8"),
            ("udp_bytes = 511", "dns.udp_bytes: 511 is not between 512 and 65535"),
            ("waiting = 0", "dns.waiting: 0 is not between 1 and 1048576"),
            (
                "node_ttl = '1000000h'",
                "dns.node_ttl: 3600000000s is more than a record can say, which is 2147483647s",
            ),
            ("service_ttl = { web = '1000000h' }", "dns.service_ttl.web: 3600000000s is more"),
        ] {
            assert!(said(text).starts_with(why), "{text}: {}", said(text));
        }
        Config::default().check().unwrap();
    }

    #[test]
    fn the_longest_beginning_decides_unless_the_name_is_there() {
        let spans = [("web", 1), ("we*", 2), ("web*", 3), ("*", 4)];
        let service_ttl = spans.map(|(name, ttl)| (name.to_owned(), Span::seconds(ttl))).into();
        let config = Config { service_ttl, ..Config::default() };
        for (service, ttl) in [("WEB", 1), ("webs", 3), ("Welt", 2), ("db", 4)] {
            assert_eq!(config.ttl_of(service), ttl, "{service}");
        }
        assert_eq!(Config::default().ttl_of("web"), 0);
    }
}

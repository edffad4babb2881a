use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use switchboard_facade::{Limits, Listen, Span, Tls};

/// The section `[eureka]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub insecure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How long an instance whose heartbeats stopped stays visible as DOWN before it goes.
    pub linger: Span,
    /// How far back a delta reaches.
    pub delta_window: Span,
    /// Other Eureka servers that share this registry.
    pub peers: Vec<String>,
    /// The application name under which the servers of the cluster know each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    pub peer_timeout: Span,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8761)),
            insecure: false,
            tls: None,
            linger: Span::seconds(60),
            delta_window: Span::seconds(180),
            peers: Vec::new(),
            cluster_name: None,
            peer_timeout: Span::seconds(5),
            limits: Limits { body_bytes: 8 * 1024 * 1024, ..Limits::default() },
        }
    }
}

impl Config {
    pub(crate) fn listen(&self) -> Listen {
        Listen { address: self.listen, insecure: self.insecure, tls: self.tls.clone() }
    }
}

/// Every key with its default.
pub(crate) const EXAMPLE: &str = r#"# Where to listen. An address that other machines can reach needs `tls`, or `insecure = true`.
listen = "127.0.0.1:8761"
# Listen beyond this machine without TLS.
insecure = false
# tls = { certificate = "server.pem", key = "server.key", client_ca = "clients.pem" }
# How long an instance whose heartbeats stopped stays visible, as DOWN, before it goes.
linger = "1m"
# How far back `apps/delta` reaches: longer than any client waits between two fetches.
delta_window = "3m"
# Other Eureka servers to replicate with, in both directions, such as "http://eureka-1:8761/eureka/".
peers = []
# The application name under which the servers of that cluster know each other, such as "EUREKA-SERVER". With it, this
# server registers itself with its peers.
# cluster_name = "EUREKA-SERVER"
# How long a peer may take to answer.
peer_timeout = "5s"

# What the listener takes at most. All of it applies before anything is parsed.
[eureka.limits]
# Open connections; one more is answered with 503 and closed.
connections = 16000
# Bytes of a request's head.
header_bytes = 16384
headers = 64
# Bytes of a request's body, also after it has been unpacked. A batch of a peer holds up to 250 instances.
body_bytes = 8388608
# Time to send a request's head, and time that a connection may idle between requests.
header_timeout = "1m"
# Time to send a request's body.
body_timeout = "30s"
# Time in which a client has to take some of what it is told; one that reads nothing is hung up on.
send_timeout = "1m"
handshake_timeout = "5s"
# Concurrent requests on one HTTP/2 connection.
http2_streams = 256
# Time that requests have to end when the process stops.
drain = "5s"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_says_the_defaults_and_nothing_else() {
        let text = EXAMPLE.replace("[eureka.limits]", "[limits]");
        let section: switchboard_facade::Section = text.parse().unwrap();
        let from_example: Config = switchboard_facade::from_section("eureka", &section).unwrap();
        let default = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(serde_json::to_value(from_example).unwrap(), default);
    }
}

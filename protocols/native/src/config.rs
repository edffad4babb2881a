use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use switchboard_facade::{Limits, Listen, Span, Tls};

/// The section `[native]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub insecure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How long a lapsed instance stays visible, where its registration does not say.
    pub linger: Span,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7700)),
            insecure: false,
            tls: None,
            linger: Span::seconds(300),
            limits: Limits::default(),
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
listen = "127.0.0.1:7700"
# Listen beyond this machine without TLS.
insecure = false
# tls = { certificate = "server.pem", key = "server.key", client_ca = "clients.pem" }
# How long an instance whose heartbeats stopped stays visible, with the reason, before it goes.
linger = "5m"

# What the listener takes at most. All of it applies before anything is parsed.
[native.limits]
# Open connections; one more is answered with 503 and closed.
connections = 16000
# Bytes of a request's head.
header_bytes = 16384
headers = 64
# Bytes of a request's body.
body_bytes = 1572864
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
        let text = EXAMPLE.replace("[native.limits]", "[limits]");
        let from_example: Config = toml_of(&text);
        let default = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(serde_json::to_value(from_example).unwrap(), default);
    }

    fn toml_of(text: &str) -> Config {
        let section: switchboard_facade::Section = text.parse().unwrap();
        switchboard_facade::from_section("native", &section).unwrap()
    }
}

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use switchboard_facade::{Limits, Listen, Tls};

/// The section `[consul]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub insecure: bool,
    /// Another way in, beside the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<std::path::PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    pub datacenter: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    pub node_meta: std::collections::BTreeMap<String, String>,
    pub version: String,
    /// A folder of definitions of services and checks, or one file of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<std::path::PathBuf>,
    pub snapshot_bytes: u64,
    pub snapshot_records: usize,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8500)),
            insecure: false,
            socket: None,
            tls: None,
            datacenter: "dc1".into(),
            node_name: None,
            node_id: None,
            node_meta: Default::default(),
            version: "1.16.3".into(),
            services: None,
            snapshot_bytes: 1 << 30,
            snapshot_records: 1_000_000,
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
listen = "127.0.0.1:8500"
# Listen beyond this machine without TLS.
insecure = false
# A socket in the file system that leads there, too; whoever may write to it may speak.
# socket = "/run/switchboard/consul.sock"
# tls = { certificate = "server.pem", key = "server.key", client_ca = "clients.pem" }
# The datacenter that this registry is.
datacenter = "dc1"
# The node that clients on this machine register their services on. By default the name of this machine.
# node_name = "web-01"
# Its id, a UUID. By default made from its name.
# node_id = "6b0d9f3e-8c5f-4f4e-9d2f-0c7a4f6f2a11"
# Metadata of that node.
node_meta = {}
# The version of Consul that clients are told: some of them look at it to learn what they may ask for.
version = "1.16.3"
# A folder with definitions of services and checks (*.json, *.hcl) as agents of Consul have them, or one such file. They are
# registered on this registry's own node, read again when they change, and what is no longer in them is deregistered.
# services = "/etc/consul.d"
# What a snapshot that is restored may hold at most.
snapshot_bytes = 1073741824
snapshot_records = 1000000

# What the listener takes at most. All of it applies before anything is parsed.
[consul.limits]
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
        let text = EXAMPLE.replace("[consul.limits]", "[limits]");
        let section: switchboard_facade::Section = text.parse().unwrap();
        let from_example: Config = switchboard_facade::from_section("consul", &section).unwrap();
        let default = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(serde_json::to_value(from_example).unwrap(), default);
    }
}

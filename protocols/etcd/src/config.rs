use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use switchboard_facade::{ConfigError, Limits, Listen, Span, Tls, host_name};
use switchboard_model::{DEFAULT_NAMESPACE, Name};

use crate::lens::projection::{Projection, Projections};
use crate::lens::value::Form;

/// The section `[etcd]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub insecure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Where clients are told to connect next; none: where it listens.
    pub advertise: Vec<String>,
    pub name: String,
    /// The node whose instances are shown without it.
    pub node: String,
    /// How often a watch that asked for it is told how far it is.
    pub progress_interval: Span,
    /// What tokens are: `simple`, or `jwt,` and how they are signed, as etcd's `--auth-token` has it.
    pub auth_token: String,
    /// How long a simple token lasts that nobody uses.
    pub auth_token_ttl: Span,
    /// How hard passwords are hashed; one more is twice as long.
    pub bcrypt_cost: u32,
    /// Operations of a transaction.
    pub max_txn_ops: usize,
    /// How long after a lease has ended a keepalive still brings it back, with the instances under it.
    pub revive_within: Span,
    /// Answers that wait for their clients to read them, before further ones wait to be made.
    pub unread_bytes: usize,
    /// What ordinary keys and their history may take; 0: as much as anyone likes.
    pub quota_bytes: u64,
    /// Prefixes under which keys are instances.
    pub prefixes: Vec<Prefix>,
    pub limits: Limits,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefix {
    /// Ends in `{service}/{id}`.
    pub keys: String,
    #[serde(default)]
    pub value: Form,
    #[serde(default = "default_namespace")]
    pub namespace: String,
}

/// A transaction is planned in one go.
const MOST_TXN_OPS: usize = 10_000;

fn default_namespace() -> String {
    DEFAULT_NAMESPACE.to_owned()
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 2379)),
            insecure: false,
            tls: None,
            advertise: Vec::new(),
            name: "switchboard".to_owned(),
            node: String::new(),
            progress_interval: Span::seconds(600),
            auth_token: "simple".to_owned(),
            auth_token_ttl: Span::seconds(300),
            bcrypt_cost: 10,
            max_txn_ops: 128,
            revive_within: Span::seconds(0),
            unread_bytes: 512 * 1024 * 1024,
            quota_bytes: 2 * 1024 * 1024 * 1024,
            prefixes: vec![Prefix {
                keys: "/services/{service}/{id}".to_owned(),
                value: Form::Address,
                namespace: default_namespace(),
            }],
            limits: Limits { body_bytes: crate::wire::MAX_MESSAGE, http2_streams: 4096, ..Limits::default() },
        }
    }
}

impl Config {
    pub(crate) fn listen(&self) -> Listen {
        Listen { address: self.listen, insecure: self.insecure, tls: self.tls.clone() }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(4..=31).contains(&self.bcrypt_cost) {
            let why = format!("{} is no cost of bcrypt: choose one from 4 to 31", self.bcrypt_cost);
            return Err(ConfigError { key: "etcd.bcrypt_cost".to_owned(), why });
        }
        if !(1..=MOST_TXN_OPS).contains(&self.max_txn_ops) {
            let why = format!(
                "a transaction of {} operations is none, or would keep all others waiting: choose from 1 to {MOST_TXN_OPS}",
                self.max_txn_ops
            );
            return Err(ConfigError { key: "etcd.max_txn_ops".to_owned(), why });
        }
        Ok(())
    }

    pub(crate) fn projections(&self) -> Result<Projections, ConfigError> {
        let node = if self.node.is_empty() { host_name() } else { self.node.clone() };
        let home = Name::parse("node", &node).ok();
        let mut found: Vec<Projection> = Vec::new();
        for Prefix { keys, value, namespace } in &self.prefixes {
            let wrong = |why: String| ConfigError { key: "etcd.prefixes".to_owned(), why };
            let prefix = keys
                .strip_suffix("{service}/{id}")
                .filter(|prefix| !prefix.is_empty() && !prefix.contains(['{', '}']));
            let prefix = prefix
                .ok_or_else(|| wrong(format!("{keys:?} must be a prefix followed by {{service}}/{{id}}")))?;
            if let Some(other) = found
                .iter()
                .find(|other| other.prefix.starts_with(prefix) || prefix.starts_with(&other.prefix))
            {
                return Err(wrong(format!("{prefix:?} and {:?} lie within each other", other.prefix)));
            }
            let namespace = Name::parse("namespace", namespace).map_err(|error| wrong(error.to_string()))?;
            found.push(Projection { prefix: prefix.to_owned(), namespace, form: *value, home: home.clone() });
        }
        Ok(Projections(found))
    }
}

/// Every key with its default.
pub(crate) const EXAMPLE: &str = r#"# Where to listen, for gRPC and for HTTP. An address that other machines can reach needs `tls`, or `insecure = true`.
listen = "127.0.0.1:2379"
# Listen beyond this machine without TLS.
insecure = false
# tls = { certificate = "server.pem", key = "server.key", client_ca = "clients.pem", client_optional = false }
# URLs that clients are told to connect to; none: where it listens.
advertise = []
# What this member of the cluster is called.
name = "switchboard"
# The node whose instances are shown without it, `service/id` instead of `service/id@node`; empty: this host's name.
node = ""
# How often a watch that asked for it is told how far it is.
progress_interval = "10m"
# What tokens are: "simple", or signed ones, "jwt,pub-key=FILE,priv-key=FILE,sign-method=RS256,ttl=5m", as etcd's
# --auth-token has it. Without priv-key they are only looked at.
auth_token = "simple"
# How long a simple token lasts that nobody uses.
auth_token_ttl = "5m"
# How hard passwords are hashed, from 4 to 31; one more takes twice as long.
bcrypt_cost = 10
# Operations that a transaction has at most, as etcd's `--max-txn-ops`.
max_txn_ops = 128
# How long after a lease has ended a keepalive still brings it back, with the instances under it, though not with
# ordinary keys. "0s": never, as with etcd.
revive_within = "0s"
# Bytes of large answers that wait for their clients to read them. Beyond that further large ones wait to be made, for
# half a minute, and are then refused.
unread_bytes = 536870912
# Bytes that ordinary keys and values may take, with what of their history can still be read. Beyond that puts and
# leases are refused, and the alarm NOSPACE is raised, until somebody compacts and disarms it. 0: no bound.
quota_bytes = 2147483648
# Prefixes under which keys are instances, and instances are keys. `value` is how instances from elsewhere are shown:
# "address", "url", "grpc-endpoint" or "json"; all of them are understood.
prefixes = [{ keys = "/services/{service}/{id}", value = "address", namespace = "default" }]

# What the listener takes at most. All of it applies before anything is parsed.
[etcd.limits]
# Open connections; one more is answered with 503 and closed.
connections = 16000
# Bytes of a request's head.
header_bytes = 16384
headers = 64
# Bytes of a message. As JSON it may be four times as long.
body_bytes = 2097152
# Time to send a request's head, and time that a connection may idle between requests.
header_timeout = "1m"
# Time to send a request's body.
body_timeout = "30s"
# Time in which a client has to take some of what it is told; one that reads nothing is hung up on.
send_timeout = "1m"
handshake_timeout = "5s"
# Concurrent requests on one HTTP/2 connection.
http2_streams = 4096
# Time that requests have to end when the process stops.
drain = "5s"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let section: switchboard_facade::Section = text.parse().unwrap();
        switchboard_facade::from_section("etcd", &section).unwrap()
    }

    #[test]
    fn the_example_says_the_defaults_and_nothing_else() {
        let from_example = config(&EXAMPLE.replace("[etcd.limits]", "[limits]"));
        let default = serde_json::to_value(Config::default()).unwrap();
        assert_eq!(serde_json::to_value(from_example).unwrap(), default);
    }

    #[test]
    fn prefixes_have_a_shape_and_keep_apart() {
        for (keys, good) in [("/x/{service}/{id}", true), ("{service}/{id}", false), ("/x/{id}", false)] {
            let config = config(&format!("prefixes = [{{ keys = '{keys}', value = 'json' }}]"));
            assert_eq!(config.projections().is_ok(), good, "{keys}");
        }
        let within = "prefixes = [{ keys = '/a/{service}/{id}' }, { keys = '/a/b/{service}/{id}' }]";
        assert!(config(within).projections().is_err());
    }
}

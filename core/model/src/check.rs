use std::sync::Arc;
use std::time::Duration;

use crate::words::{lines_limit, text_limit};
use crate::{Annex, Id, InstanceKey, NodeKey, Rejection, Status};

/// Whom a check is about. A check on a node counts for every instance on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    Instance(Arc<InstanceKey>),
    Node(NodeKey),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckKey {
    pub owner: Owner,
    pub id: Id,
}

impl std::fmt::Display for CheckKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.owner {
            Owner::Instance(key) => write!(f, "{key}#{}", self.id),
            Owner::Node(key) => write!(f, "{}/{}#{}", key.namespace, key.node, self.id),
        }
    }
}

/// A question about health, and the newest committed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub key: CheckKey,
    pub name: Box<str>,
    pub notes: Box<str>,
    pub probe: Probe,
    pub interval: Duration,
    pub timeout: Duration,
    pub thresholds: Thresholds,
    pub status: Status,
    /// What the newest change of status came with. Newer output of the same status stays in memory.
    pub output: Box<str>,
    /// Wall-clock time of the newest change of status, for people only.
    pub since_ms: u64,
    /// Critical by its own evidence, but so many others are that it is not believed yet: counted as passing.
    pub suspect: bool,
    /// Deregister the owner when the check has been critical for this long.
    pub deregister_after: Option<Duration>,
    pub annex: Annex,
}

impl Check {
    /// Output beyond this is cut: it is for people, and it is committed with every change of status.
    pub const MAX_OUTPUT: usize = 4096;

    pub fn validate(&self) -> Result<(), Rejection> {
        text_limit("check.name", &self.name, 255)?;
        lines_limit("check.notes", &self.notes, Check::MAX_OUTPUT)?;
        if self.thresholds.unhealthy > 1000 || self.thresholds.healthy > 1000 {
            return Err(Rejection::invalid("check.unhealthy_threshold", "thresholds must be at most 1000"));
        }
        if self.probe.is_active() {
            if self.interval < Duration::from_millis(100) || self.interval > Duration::from_secs(86_400) {
                return Err(Rejection::invalid("check.interval", "must be between 100ms and 24h"));
            }
            // Longer than the interval is allowed, since clients send it; the prober then cuts it to the interval.
            if self.timeout.is_zero() {
                return Err(Rejection::invalid("check.timeout", "must be more than 0"));
            }
        }
        if self.thresholds.unhealthy == 0 || self.thresholds.healthy == 0 {
            return Err(Rejection::invalid("check.unhealthy_threshold", "thresholds must be at least 1"));
        }
        if self.deregister_after.is_some() && matches!(self.key.owner, Owner::Node(_)) {
            return Err(Rejection::invalid(
                "check.deregister_after",
                "is only for the checks of an instance",
            ));
        }
        if let Probe::Ttl { ttl } = self.probe
            && ttl < Duration::from_millis(100)
        {
            return Err(Rejection::invalid("check.ttl", "must be at least 100ms"));
        }
        Ok(())
    }

    /// What the check counts for. A suspect verdict is not believed yet.
    pub fn counted(&self) -> Status {
        if self.suspect { Status::Passing } else { self.status }
    }
}

/// How many answers in a row it takes to change a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thresholds {
    pub unhealthy: u32,
    pub healthy: u32,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds { unhealthy: 3, healthy: 1 }
    }
}

/// How a check gets its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The provider reports; silence for `ttl` is critical.
    Ttl {
        ttl: Duration,
    },
    /// The provider reports whenever it likes; silence means nothing.
    Manual,
    Http(Box<HttpProbe>),
    /// Connects and hangs up. `target` is `host:port`; empty parts are the owner's.
    Tcp {
        target: Target,
    },
    /// Sends one datagram; anything but a refusal counts as life.
    Udp {
        target: Target,
    },
    /// gRPC health v1 of `service` (empty: the server as a whole).
    Grpc {
        target: Target,
        service: Box<str>,
        tls: Option<Box<str>>,
    },
}

impl Probe {
    pub fn is_active(&self) -> bool {
        matches!(self, Probe::Http(_) | Probe::Tcp { .. } | Probe::Udp { .. } | Probe::Grpc { .. })
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Probe::Ttl { .. } => "ttl",
            Probe::Manual => "manual",
            Probe::Http(_) => "http",
            Probe::Tcp { .. } => "tcp",
            Probe::Udp { .. } => "udp",
            Probe::Grpc { .. } => "grpc",
        }
    }
}

/// Where a probe goes. What is not given is taken from the owner of the check when the probe runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub host: Option<Box<str>>,
    pub port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    pub target: Target,
    pub method: Box<str>,
    pub path: Box<str>,
    pub headers: Box<[(Box<str>, Box<str>)]>,
    pub body: Box<str>,
    /// Status codes that mean passing, as inclusive ranges. Empty: 200 to 299.
    pub expect: Box<[(u16, u16)]>,
    /// Speak TLS, with this server name (empty: the host's).
    pub tls: Option<Box<str>>,
    /// Accept any certificate. Off unless someone asked for it in so many words.
    pub tls_skip_verify: bool,
}

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use switchboard_facade::{ConfigError, Listen, Span, Tls};

/// The section `[gateway]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub insecure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The namespace whose services are routed to.
    pub namespace: String,
    pub preserve_host: bool,
    pub access_log: AccessLog,
    /// Networks that no request goes to, whatever is registered.
    pub deny: Vec<IpNet>,
    pub admin: Admin,
    pub locator: Locator,
    pub forwarded: Forwarded,
    pub timeouts: Timeouts,
    pub balance: Balance,
    pub retry: Retry,
    pub upstream: Upstream,
    pub limits: Limits,
    /// Asked before the routes that services have by themselves, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

/// Which requests are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    Off,
    /// Those that ended with a status from 500 on.
    Errors,
    All,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    pub enabled: bool,
    /// None: port 7701 on this machine, or a free one where the gateway itself takes a free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// The routes that services have by themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Locator {
    pub enabled: bool,
    /// With one segment `{service}`, and `**` at its end.
    pub path: String,
    /// Such as `{service}.example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Which service is asked: `{service}` stands for the name in the path.
    pub target: String,
    pub case: Case,
    /// Whether everything up to the name is taken off the path.
    pub strip: bool,
    /// Names; a `*` stands for any text.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    /// What at least one instance must say about itself.
    pub metadata: BTreeMap<String, String>,
}

/// How the service's name may be written in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    Any,
    /// In lower case only.
    Lower,
    /// As it is registered.
    Exact,
}

/// What is said to instances about whose request it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forwarded {
    /// `X-Forwarded-For`, `-Host`, `-Proto`, `-Port` and `-Prefix`.
    pub x_forwarded: bool,
    /// `Forwarded` of RFC 7239.
    pub standard: bool,
    /// Clients that are believed what they say themselves in these headers.
    pub trust: Vec<IpNet>,
}

/// Zero: no limit.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    pub connect: Span,
    /// From the end of the request to the head of the answer.
    pub first_byte: Span,
    /// Without a byte in either direction.
    pub idle: Span,
    /// From the head of the request to the end of the answer.
    pub total: Span,
    /// Without a byte in either direction, once a connection has become a WebSocket.
    pub tunnel: Span,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Instances that are tried for one request at most.
    pub attempts: usize,
    /// Answers that another instance may better, for idempotent requests.
    pub on_status: Vec<u16>,
    /// Bytes of a request's body that are kept for another try.
    pub body_bytes: usize,
    /// Retries under way at most, as a share of the requests to a service that are under way, and so many in any case.
    pub budget: f64,
    pub budget_min: u32,
}

/// How an instance is chosen, and when one is left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Balance {
    pub algorithm: Algorithm,
    /// The zone that is preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Within this time an instance that joins gets its share. Zero: at once.
    pub slow_start: Span,
    pub panic_threshold: f64,
    pub eject: Eject,
    pub breaker: Breaker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    P2c,
    LeastRequest,
    RoundRobin,
    Weighted,
    Random,
}

/// When an instance that fails is left out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Eject {
    pub enabled: bool,
    pub consecutive: u32,
    pub success_rate: f64,
    pub rest: Span,
    pub longest_rest: Span,
    pub max_share: f64,
}

/// When a service that fails as a whole is asked nothing for a while.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    pub enabled: bool,
    pub success_rate: f64,
    pub rest: Span,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    /// Requests under way to one instance at most.
    pub requests: usize,
    /// Open connections to one port of an instance that wait for a request, and how long.
    pub idle_connections: usize,
    pub idle_timeout: Span,
    /// HTTP/2 connections to one port of an instance at most.
    pub http2_connections: usize,
    pub header_bytes: usize,
    pub headers: usize,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub connections: usize,
    /// Requests under way; one more is answered with 503.
    pub requests: usize,
    pub tunnels: usize,
    pub header_bytes: usize,
    pub headers: usize,
    pub header_timeout: Span,
    /// Bytes of a request's body; zero: no limit, for bodies are passed on and not held.
    pub body_bytes: u64,
    pub handshake_timeout: Span,
    pub http2_streams: u32,
    pub drain: Span,
}

/// One route of the configuration. All conditions that are given must hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// By name: a value, `*` for any, or a regular expression after a `~`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Where it goes: to a service, to fixed addresses, or divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<Split>,
    /// Segments that are taken off the front of the path, and what is put there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strip: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preserve_host: Option<bool>,
    /// The name of the instances' port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<usize>,
}

/// One part of divided traffic.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The route's own service, if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What instances must say about themselves to be among this part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    pub weight: u32,
}

/// What is spoken with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    #[serde(rename = "http1")]
    Http1,
    /// HTTP/2 without TLS, known beforehand.
    #[serde(rename = "h2c")]
    H2c,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            insecure: false,
            tls: None,
            namespace: switchboard_model::DEFAULT_NAMESPACE.to_owned(),
            preserve_host: true,
            access_log: AccessLog::Errors,
            deny: Vec::new(),
            admin: Admin::default(),
            locator: Locator::default(),
            forwarded: Forwarded::default(),
            timeouts: Timeouts::default(),
            balance: Balance::default(),
            retry: Retry::default(),
            upstream: Upstream::default(),
            limits: Limits::default(),
            routes: Vec::new(),
        }
    }
}

impl Default for Admin {
    fn default() -> Admin {
        Admin { enabled: true, listen: None }
    }
}

impl Default for Locator {
    fn default() -> Locator {
        Locator {
            enabled: true,
            path: "/{service}/**".to_owned(),
            host: None,
            target: "{service}".to_owned(),
            case: Case::Any,
            strip: true,
            include: vec!["*".to_owned()],
            exclude: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }
}

impl Default for Forwarded {
    fn default() -> Forwarded {
        Forwarded { x_forwarded: true, standard: false, trust: Vec::new() }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Span::seconds(1),
            first_byte: Span::seconds(60),
            idle: Span::seconds(300),
            total: Span::seconds(0),
            tunnel: Span::seconds(3600),
        }
    }
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            attempts: 3,
            on_status: vec![502, 503, 504],
            body_bytes: 64 * 1024,
            budget: 0.2,
            budget_min: 10,
        }
    }
}

impl Default for Balance {
    fn default() -> Balance {
        Balance {
            algorithm: Algorithm::P2c,
            zone: None,
            slow_start: Span::seconds(30),
            panic_threshold: 0.5,
            eject: Eject::default(),
            breaker: Breaker::default(),
        }
    }
}

impl Default for Eject {
    fn default() -> Eject {
        Eject {
            enabled: true,
            consecutive: 5,
            success_rate: 0.5,
            rest: Span::seconds(30),
            longest_rest: Span::seconds(300),
            max_share: 0.5,
        }
    }
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker { enabled: false, success_rate: 0.2, rest: Span::seconds(1) }
    }
}

impl Default for Upstream {
    fn default() -> Upstream {
        Upstream {
            requests: 1024,
            idle_connections: 128,
            idle_timeout: Span::seconds(50),
            http2_connections: 4,
            header_bytes: 64 * 1024,
            headers: 100,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 16_000,
            requests: 16_000,
            tunnels: 8_000,
            header_bytes: 32 * 1024,
            headers: 100,
            header_timeout: Span::seconds(60),
            body_bytes: 0,
            handshake_timeout: Span::seconds(5),
            http2_streams: 256,
            drain: Span::seconds(10),
        }
    }
}

/// Above the port that the registry's own API has.
const ADMIN_PORT: u16 = 7701;

impl Config {
    /// Names the first setting that makes no sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, why: String| ConfigError { key: format!("gateway.{key}"), why };
        switchboard_model::Name::parse("namespace", &self.namespace)
            .map_err(|rejection| wrong("namespace", rejection.to_string()))?;
        if let Some(listen) = self.admin_listen().filter(|listen| !listen.address.ip().is_loopback()) {
            let address = listen.address;
            let why =
                format!("{address} can be reached from other machines, and that page is for this one only");
            return Err(wrong("admin.listen", why));
        }
        crate::balance::Bench::new(self)
            .map_err(|error| wrong(crate::balance::key_of(error.setting), error.why.to_owned()))?;
        crate::route::Table::new(self).map(drop)
    }

    pub(crate) fn listen(&self) -> Listen {
        Listen { address: self.listen, insecure: self.insecure, tls: self.tls.clone() }
    }

    pub(crate) fn admin_listen(&self) -> Option<Listen> {
        let port = if self.listen.port() == 0 { 0 } else { ADMIN_PORT };
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let address = self.admin.listen.unwrap_or(default);
        self.admin.enabled.then_some(Listen { address, insecure: false, tls: None })
    }
}

impl Limits {
    pub(crate) fn of_listener(&self) -> switchboard_facade::Limits {
        let Limits { connections, header_bytes, headers, header_timeout, .. } = *self;
        let Limits { handshake_timeout, http2_streams, drain, .. } = *self;
        switchboard_facade::Limits {
            connections,
            header_bytes,
            headers,
            header_timeout,
            handshake_timeout,
            http2_streams,
            drain,
            ..switchboard_facade::Limits::default()
        }
    }
}

/// Every key with its default.
pub(crate) const EXAMPLE: &str = include_str!("config/example.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_says_the_defaults_and_nothing_else() {
        let section = EXAMPLE.replace("[gateway.", "[").parse().unwrap();
        let said: Config = switchboard_facade::from_section("gateway", &section).unwrap();
        let section = switchboard_facade::to_section;
        assert_eq!(section(&said), section(&Config::default()));
    }
}

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use http::{HeaderMap, Method};
use switchboard_facade::ConfigError;

use super::condition::{Condition, Wrong, wrong};
use super::locator::{Locator, folded};
use super::pattern::{bare, decoded};
use super::{Address, Part, Rewrite, Route, Settings, Subset, Target, limit};
use crate::config::{self, Config, Protocol};
use crate::upstream::Dialer;

/// What routing looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Without port, in lower case.
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
}

/// What a request means.
#[derive(Debug)]
pub(crate) enum Meant<'a> {
    Route(&'a Arc<Route>),
    /// A service by its name, as it is written there; whether the host said so.
    Service {
        written: std::borrow::Cow<'a, str>,
        by_host: bool,
    },
    Nothing,
}

/// The routes of the configuration in their order, found by what they have in common, and the locator after them.
#[derive(Debug)]
pub(crate) struct Table {
    routes: Box<[(Condition, Arc<Route>)]>,
    by_host: HashMap<Box<str>, Vec<usize>, RandomState>,
    by_segment: HashMap<Box<str>, Vec<usize>, RandomState>,
    rest: Vec<usize>,
    locator: Option<Locator>,
}

impl Table {
    pub(crate) fn new(config: &Config) -> Result<Table, ConfigError> {
        let mut table = Table {
            routes: Box::default(),
            by_host: HashMap::default(),
            by_segment: HashMap::default(),
            rest: Vec::new(),
            locator: None,
        };
        let admin = config.admin_listen().map(|listen| listen.address);
        // A port that is not chosen yet is nobody's.
        let own = [Some(config.listen), admin].into_iter().flatten().filter(|own| own.port() > 0);
        let dialer = Dialer::new(config, own.collect());
        let mut routes = Vec::new();
        for (i, route) in config.routes.iter().enumerate() {
            let at = |Wrong { key, why }| {
                let key = format!("gateway.routes.{i}.{key}");
                ConfigError { key, why: format!("route {:?}: {why}", route.id) }
            };
            let condition = Condition::read(route).map_err(at)?;
            let made = Arc::new(read(route, config).map_err(at)?);
            if let Target::Fixed(addresses) = &made.target {
                addresses.iter().try_for_each(|to| vet(&dialer, to)).map_err(|why| at(wrong("to", why)))?;
            }
            if config.routes.iter().take(i).any(|before| before.id == route.id) {
                return Err(at(wrong("id", "is given twice")));
            }
            table.index(i, &condition);
            routes.push((condition, made));
        }
        table.routes = routes.into();
        if config.locator.enabled {
            let bad = |(key, why)| ConfigError { key: format!("gateway.locator.{key}"), why };
            table.locator = Some(Locator::read(config).map_err(bad)?);
        }
        Ok(table)
    }

    /// Where a route can be found: under each of its hosts, else under the beginnings of its paths, else anywhere.
    fn index(&mut self, i: usize, condition: &Condition) {
        let hosts: Option<Vec<&str>> = condition.hosts.iter().map(|host| host.exact()).collect();
        let firsts: Option<Vec<&str>> = condition.paths.iter().map(|path| path.first()).collect();
        let (map, keys) = match (hosts, firsts) {
            (Some(hosts), _) if !hosts.is_empty() => (&mut self.by_host, hosts),
            (_, Some(firsts)) if !firsts.is_empty() => (&mut self.by_segment, firsts),
            _ => return self.rest.push(i),
        };
        for key in keys {
            let list = map.entry(key.into()).or_default();
            if list.last() != Some(&i) {
                list.push(i);
            }
        }
    }

    pub(crate) fn locator(&self) -> Option<&Locator> {
        self.locator.as_ref()
    }

    pub(crate) fn routes(&self) -> impl Iterator<Item = &(Condition, Arc<Route>)> {
        self.routes.iter()
    }

    /// The first route whose conditions hold, or else the service that is named.
    pub(crate) fn find<'a>(&'a self, asked: &Asked<'a>) -> Meant<'a> {
        if !self.routes.is_empty()
            && let Some(route) = self.configured(asked)
        {
            return Meant::Route(route);
        }
        let name = self.locator.as_ref().and_then(|locator| locator.name(asked.host, asked.path));
        match name {
            Some((written, by_host)) => Meant::Service { written, by_host },
            None => Meant::Nothing,
        }
    }

    fn configured(&self, asked: &Asked<'_>) -> Option<&Arc<Route>> {
        let first = asked.path.strip_prefix('/').and_then(|path| path.split('/').next()).unwrap_or_default();
        let lists = [
            self.by_host.get(asked.host).map(Vec::as_slice).unwrap_or_default(),
            self.by_segment.get(&*decoded(first)).map(Vec::as_slice).unwrap_or_default(),
            self.rest.as_slice(),
        ];
        let found = lists.map(|list| list.iter().copied().find(|i| self.holds(*i, asked)));
        let first = found.into_iter().flatten().min()?;
        self.routes.get(first).map(|(_, route)| route)
    }

    fn holds(&self, i: usize, asked: &Asked<'_>) -> bool {
        self.routes.get(i).is_some_and(|(condition, _)| condition.holds(asked))
    }
}

impl<'a> Asked<'a> {
    /// The host as patterns compare it.
    pub(crate) fn host(host: &'a http::HeaderValue) -> std::borrow::Cow<'a, str> {
        bare(host.to_str().unwrap_or_default())
    }
}

fn read(route: &config::Route, config: &Config) -> Result<Route, Wrong> {
    if route.id.is_empty() || switchboard_model::Name::parse("id", &route.id).is_err() {
        return Err(wrong("id", "expected a short name"));
    }
    if route.hosts.is_empty()
        && route.paths.is_empty()
        && route.headers.is_empty()
        && route.methods.is_empty()
    {
        return Err(wrong("paths", "nothing says when it is taken; for all requests: [\"/**\"]"));
    }
    let target = target(route)?;
    let prefix = match &route.prefix {
        Some(prefix) if !prefix.starts_with('/') || prefix.ends_with('/') || !is_path(prefix) => {
            return Err(wrong("prefix", "expected the beginning of a path, such as \"/v2\""));
        }
        prefix => prefix.as_deref().map(Box::from),
    };
    let base = Settings::new(config);
    let settings = Settings {
        preserve_host: route.preserve_host.unwrap_or(base.preserve_host),
        port: route.port.as_deref().map(Arc::from),
        protocol: route.protocol,
        first_byte: route.first_byte.map_or(base.first_byte, limit),
        idle: route.idle.map_or(base.idle, limit),
        total: route.total.map_or(base.total, limit),
        attempts: route.attempts.unwrap_or(base.attempts).max(1),
    };
    let rewrite = Rewrite { strip: route.strip.unwrap_or(0), prefix };
    Ok(Route { id: route.id.as_str().into(), target, rewrite, settings })
}

/// Whether requests may go to an address, as far as it says without asking anyone.
pub(crate) fn vet(dialer: &Dialer, to: &Address) -> Result<(), String> {
    let ip = if &*to.host == "localhost" { Ok(Ipv4Addr::LOCALHOST.into()) } else { to.host.parse() };
    ip.map_or(Ok(()), |ip| dialer.vet(ip, to.port).map(drop))
}

fn is_path(text: &str) -> bool {
    text.parse::<http::uri::PathAndQuery>().is_ok_and(|path| path.query().is_none())
}

fn target(route: &config::Route) -> Result<Target, Wrong> {
    let service = route.service.as_deref();
    if !route.to.is_empty() {
        if service.is_some() || !route.split.is_empty() {
            return Err(wrong("to", "goes with neither `service` nor `split`"));
        }
        let addresses = route.to.iter().map(|to| address(to).map_err(|why| wrong("to", why)));
        return Ok(Target::Fixed(addresses.collect::<Result<_, _>>()?));
    }
    let part = |service: Option<&str>, subset, weight, key: &str| {
        let service =
            service.ok_or_else(|| wrong(key, "nothing says where it goes: `service`, `to` or `split`"))?;
        switchboard_model::Name::parse("service", service).map_err(|why| wrong(key, why.to_string()))?;
        Ok(Part { service: folded(service).into(), subset, weight })
    };
    if route.split.is_empty() {
        return Ok(Target::Services([part(service, Subset::default(), 1, "service")?].into()));
    }
    let total: u64 = route.split.iter().map(|split| u64::from(split.weight)).sum();
    if total == 0 || total > u64::from(u32::MAX) {
        return Err(wrong("split", "the weights must add up to more than 0, and to less than 2^32"));
    }
    let parts = route.split.iter().map(|split| {
        let subset = Subset::new(split.metadata.clone());
        part(split.service.as_deref().or(service), subset, split.weight, "split")
    });
    Ok(Target::Services(parts.collect::<Result<_, _>>()?))
}

/// `http://host:port`, or `h2c://host:port`.
fn address(text: &str) -> Result<Address, String> {
    let expected = || {
        format!("{text:?}: expected an address such as \"http://10.0.0.1:8080\" or \"h2c://10.0.0.1:50051\"")
    };
    let uri: http::Uri = text.parse().map_err(|_| expected())?;
    let protocol = match uri.scheme_str() {
        Some("http") => None,
        Some("h2c") => Some(Protocol::H2c),
        Some("https") => return Err(format!("{text:?}: TLS towards instances is not spoken")),
        _ => return Err(expected()),
    };
    let bare_path = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let authority = uri.authority().filter(|authority| bare_path && !authority.as_str().contains('@'));
    let authority = authority.ok_or_else(expected)?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    switchboard_health::Host::parse(host)?;
    let port = authority.port_u16().or((protocol.is_none()).then_some(80)).filter(|port| *port > 0);
    Ok(Address { host: host.into(), port: port.ok_or_else(expected)?, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        switchboard_facade::from_section("gateway", &text.parse().unwrap()).unwrap()
    }

    fn meant(table: &Table, method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let (headers, method) = (headers.collect(), method.parse().unwrap());
        match table.find(&Asked { host, path, method: &method, headers: &headers }) {
            Meant::Route(route) => route.id.to_string(),
            Meant::Service { written, by_host } => format!("{written}{}", if by_host { "!" } else { "" }),
            Meant::Nothing => "-".to_owned(),
        }
    }

    #[test]
    fn the_first_route_that_holds_is_taken_and_the_locator_after_all() {
        let table = Table::new(&config(
            r#"
            locator.host = "{service}.svc"
            [[routes]]
            id = "write"
            paths = ["/users/**"]
            methods = ["POST", "PUT"]
            service = "users-write"
            [[routes]]
            id = "tenant"
            headers = { x-tenant = "~^t[0-9]+$" }
            service = "tenants"
            [[routes]]
            id = "users"
            paths = ["/users/**", "/people/{id}"]
            service = "users"
            [[routes]]
            id = "api"
            hosts = ["api.example"]
            service = "api"
            [[routes]]
            id = "below"
            hosts = ["*.example"]
            paths = ["/x"]
            to = ["http://10.0.0.1:80"]
            "#,
        ))
        .unwrap();
        let meant = |method, host, path, headers: &[_]| meant(&table, method, host, path, headers);
        assert_eq!(meant("POST", "h", "/users/1", &[]), "write");
        assert_eq!(meant("GET", "h", "/users/1", &[("x-tenant", "t1")]), "tenant");
        assert_eq!(meant("GET", "h", "/users/1", &[("x-tenant", "none")]), "users");
        assert_eq!(meant("GET", "h", "/people/1", &[]), "users");
        assert_eq!(meant("GET", "api.example", "/users", &[]), "users");
        assert_eq!(meant("GET", "api.example", "/other", &[]), "api");
        assert_eq!(meant("GET", "b.example", "/x", &[]), "below");
        assert_eq!(meant("GET", "b.example", "/orders/1", &[]), "orders");
        assert_eq!(meant("GET", "orders.svc", "/1", &[]), "orders!");
        assert_eq!(meant("GET", "h", "/", &[]), "-");
    }

    #[test]
    fn what_is_wrong_with_a_route_is_said_with_its_key() {
        for (route, key) in [
            ("id = 'a'\npaths = ['x']\nservice = 's'", "paths"),
            ("id = 'a'\nservice = 's'", "paths"),
            ("id = 'a'\npaths = ['/**']", "service"),
            ("id = ''\npaths = ['/**']\nservice = 's'", "id"),
            ("id = 'a'\npaths = ['/**']\nto = ['http://h:1']\nservice = 's'", "to"),
            ("id = 'a'\npaths = ['/**']\nto = ['https://h:1']", "to"),
            ("id = 'a'\npaths = ['/**']\nto = ['http://u@h:1']", "to"),
            ("id = 'a'\npaths = ['/**']\nto = ['http://2130706433:1']", "to"),
            ("id = 'a'\npaths = ['/**']\nto = ['http://h:1/path']", "to"),
            ("id = 'a'\nmethods = ['get']\nservice = 's'", "methods"),
            ("id = 'a'\nhosts = ['a.*']\nservice = 's'", "hosts"),
            ("id = 'a'\nheaders = { x = '~(' }\nservice = 's'", "headers.x"),
            ("id = 'a'\npaths = ['/**']\nprefix = 'v2'\nservice = 's'", "prefix"),
            ("id = 'a'\npaths = ['/**']\nservice = 's'\nsplit = [{ weight = 0 }]", "split"),
            ("id = 'a'\npaths = ['/**']\nsplit = [{ weight = 1 }]", "split"),
        ] {
            let error = Table::new(&config(&format!("[[routes]]\n{route}"))).unwrap_err();
            assert_eq!(error.key, format!("gateway.routes.0.{key}"), "{route}: {error}");
        }
        let twice = "[[routes]]\nid = 'a'\npaths = ['/**']\nservice = 's'\n".repeat(2);
        assert_eq!(Table::new(&config(&twice)).unwrap_err().key, "gateway.routes.1.id");
    }

    #[test]
    fn addresses_are_read_with_their_protocol() {
        let v6 = address("h2c://[::1]:50051").unwrap();
        assert_eq!((&*v6.host, v6.port, v6.protocol), ("::1", 50051, Some(Protocol::H2c)));
        let plain = address("http://web.internal").unwrap();
        assert_eq!((&*plain.host, plain.port), ("web.internal", 80));
    }
}

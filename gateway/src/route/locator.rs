use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use switchboard_facade::Span;
use switchboard_model::Metadata;

use super::pattern::{self, Glob, PathPattern};
use super::{Part, Rewrite, Route, Settings, Subset, Target};
use crate::config::{self, Case, Protocol};

/// The routes that services have by themselves: `/{service}/**`.
#[derive(Debug)]
pub(crate) struct Locator {
    /// What stands before the name.
    before: Box<[Box<str>]>,
    host: Option<Box<str>>,
    target: Option<(Box<str>, Box<str>)>,
    case: Case,
    strip: bool,
    include: Box<[Glob]>,
    exclude: Box<[Glob]>,
    metadata: Subset,
    settings: Settings,
}

/// What a service's instances say about how it is to be reached, and what is made of it.
#[derive(Debug)]
pub(crate) struct Exposure {
    /// None: not through the gateway.
    pub(crate) route: Option<Arc<Route>>,
    /// Instead of the path that it has by itself.
    pub(crate) path: Option<PathPattern>,
    /// What it says that cannot be understood.
    pub(crate) complaints: Box<[String]>,
}

const SERVICE: &str = "{service}";

impl Locator {
    pub(crate) fn read(config: &config::Config) -> Result<Locator, (&'static str, String)> {
        let locator = &config.locator;
        let bad_path =
            || ("path", "expected a path such as \"/{service}/**\", with one `{service}`".to_owned());
        let path = locator.path.strip_prefix('/').and_then(|path| path.strip_suffix("/{service}/**"));
        let before: Vec<&str> = match (path, locator.path.as_str()) {
            (_, "/{service}/**") => Vec::new(),
            (Some(before), _) => before.split('/').collect(),
            (None, _) => return Err(bad_path()),
        };
        if before.iter().any(|part| part.is_empty() || part.contains(['*', '{', '}'])) {
            return Err(bad_path());
        }
        let host = locator.host.as_ref().map(|host| {
            let below = host
                .strip_prefix("{service}.")
                .filter(|rest| !rest.is_empty() && !rest.contains(['{', '*', ':']));
            below.map(|below| below.to_ascii_lowercase().into())
        });
        if let Some(None) = host {
            return Err(("host", "expected a host such as \"{service}.example.com\"".to_owned()));
        }
        let target = match locator.target.split_once(SERVICE) {
            Some(("", "")) => None,
            Some((head, tail)) => Some((head.to_ascii_lowercase().into(), tail.to_ascii_lowercase().into())),
            None => return Err(("target", "expected `{service}` in it".to_owned())),
        };
        let globs = |texts: &[String]| texts.iter().map(|text| Glob::parse(text)).collect();
        Ok(Locator {
            before: before.into_iter().map(|part| Box::from(&*pattern::decoded(part))).collect(),
            host: host.flatten(),
            target,
            case: locator.case,
            strip: locator.strip,
            include: globs(&locator.include),
            exclude: globs(&locator.exclude),
            metadata: Subset::new(locator.metadata.clone()),
            settings: Settings::new(config),
        })
    }

    /// The name that a request means, as it is written there. `by_host`: the path is the service's own.
    pub(crate) fn name<'a>(&self, host: &'a str, path: &'a str) -> Option<(Cow<'a, str>, bool)> {
        if let Some(below) = &self.host
            && let Some(name) = host.strip_suffix(&**below).and_then(|rest| rest.strip_suffix('.'))
            && !name.is_empty()
        {
            return Some((Cow::Borrowed(name), true));
        }
        let mut segments = path.strip_prefix('/')?.split('/');
        if !self
            .before
            .iter()
            .all(|part| segments.next().is_some_and(|given| pattern::decoded(given) == **part))
        {
            return None;
        }
        segments.next().filter(|name| !name.is_empty()).map(|name| (pattern::decoded(name), false))
    }

    /// The service that is asked for a name, in lower case.
    pub(crate) fn service<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let folded = folded(name);
        match &self.target {
            None => folded,
            Some((head, tail)) => Cow::Owned(format!("{head}{folded}{tail}")),
        }
    }

    /// Whether the name may be written like this.
    pub(crate) fn spells(&self, written: &str, registered: &str) -> bool {
        match self.case {
            Case::Any => true,
            Case::Lower => !written.bytes().any(|b| b.is_ascii_uppercase()),
            // Where another service is asked than the name says, the name is nobody's.
            Case::Exact => self.target.is_some() || written == registered,
        }
    }

    /// The route of a service, out of what its instances say: the first that says something decides.
    pub(crate) fn expose(&self, service: &Arc<str>, instances: &[&Metadata]) -> Exposure {
        let told = Overrides::read(instances);
        let matches = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(service));
        let wanted =
            self.metadata.is_everyone() || instances.iter().any(|metadata| self.metadata.has(metadata));
        if !told.expose || !wanted || !matches(&self.include) || matches(&self.exclude) {
            return Exposure { route: None, path: None, complaints: told.complaints.into() };
        }
        let own_path = told.path.is_some();
        let strip = match told.strip {
            Some(strip) => strip,
            None if own_path || !self.strip => 0,
            None => self.before.len() + 1,
        };
        let settings = Settings {
            port: told.port.or_else(|| self.settings.port.clone()),
            protocol: told.protocol,
            first_byte: told
                .first_byte
                .map_or(self.settings.first_byte, |span| Some(span).filter(|s| !s.is_zero())),
            total: told.total.map_or(self.settings.total, |span| Some(span).filter(|s| !s.is_zero())),
            ..self.settings.clone()
        };
        let part = Part { service: service.clone(), subset: Subset::default(), weight: 1 };
        let route = Route {
            id: format!("auto:{service}").into(),
            target: Target::Services([part].into()),
            rewrite: Rewrite { strip, prefix: None },
            settings,
        };
        Exposure { route: Some(Arc::new(route)), path: told.path, complaints: told.complaints.into() }
    }
}

/// A name in the spelling under which services are kept.
pub(crate) fn folded(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// `gateway.*` in the metadata of instances.
#[derive(Debug)]
pub(crate) struct Overrides {
    expose: bool,
    path: Option<PathPattern>,
    strip: Option<usize>,
    port: Option<Arc<str>>,
    protocol: Option<Protocol>,
    first_byte: Option<Duration>,
    total: Option<Duration>,
    complaints: Vec<String>,
}

impl Overrides {
    pub(crate) fn read(instances: &[&Metadata]) -> Overrides {
        let say = |key: &str| instances.iter().find_map(|metadata| metadata.get(key));
        let mut complaints = Vec::new();
        let mut read = |key: &str, expected: &str, ok: bool| {
            if let Some(said) = say(key).filter(|_| !ok) {
                complaints.push(format!("{key} = {said:?} is not understood: expected {expected}"));
            }
        };
        let path = say("gateway.path").and_then(|text| PathPattern::parse(text).ok());
        read("gateway.path", "a path such as \"/users/**\"", path.is_some());
        let strip = say("gateway.strip").and_then(|text| text.parse().ok());
        read("gateway.strip", "a number of segments", strip.is_some());
        let protocol = say("gateway.protocol").and_then(protocol);
        read("gateway.protocol", "\"http1\" or \"h2c\"", protocol.is_some());
        let span = |key: &str| say(key).and_then(|text| Span::parse(text).ok()).map(|span| span.0);
        let (first_byte, total) = (span("gateway.first_byte"), span("gateway.total"));
        read("gateway.first_byte", "a duration such as \"5s\"", first_byte.is_some());
        read("gateway.total", "a duration such as \"5s\"", total.is_some());
        let expose = match say("gateway.expose") {
            None | Some("true") => true,
            // What cannot be understood keeps nobody's door open.
            Some(_) => false,
        };
        read(
            "gateway.expose",
            "\"true\" or \"false\"",
            matches!(say("gateway.expose"), Some("true" | "false")),
        );
        let port = say("gateway.port").map(Arc::from);
        Overrides { expose, path, strip, port, protocol, first_byte, total, complaints }
    }
}

/// A protocol as instances say it.
pub(crate) fn protocol(text: &str) -> Option<Protocol> {
    match text {
        "http1" | "http/1.1" | "http" => Some(Protocol::Http1),
        "h2c" | "h2" | "http2" | "grpc" => Some(Protocol::H2c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator(change: impl FnOnce(&mut config::Locator)) -> Locator {
        let mut config = config::Config::default();
        change(&mut config.locator);
        Locator::read(&config).unwrap_or_else(|(key, why)| panic!("{key}: {why}"))
    }

    fn name(locator: &Locator, host: &str, path: &str) -> Option<String> {
        locator.name(host, path).map(|(name, _)| name.into_owned())
    }

    fn metadata(pairs: &[(&str, &str)]) -> Metadata {
        Metadata::new(pairs.iter().map(|(key, value)| (Arc::from(*key), Arc::from(*value)))).unwrap()
    }

    #[test]
    fn the_first_segment_is_the_service() {
        let plain = locator(|_| {});
        assert_eq!(name(&plain, "x", "/User-Service/1").as_deref(), Some("User-Service"));
        assert_eq!(name(&plain, "x", "/my%20service").as_deref(), Some("my service"));
        assert_eq!(name(&plain, "x", "/"), None);
        assert_eq!(name(&plain, "x", "//a"), None);
        assert_eq!(plain.service("User-Service"), "user-service");
    }

    #[test]
    fn the_pattern_may_begin_elsewhere_and_ask_someone_else() {
        let api = locator(|locator| {
            locator.path = "/api/v1/{service}/**".to_owned();
            locator.host = Some("{service}.Example.com".to_owned());
            locator.target = "{service}-v2".to_owned();
        });
        assert_eq!(name(&api, "x", "/api/v1/users/7").as_deref(), Some("users"));
        assert_eq!(name(&api, "x", "/api/users/7"), None);
        assert_eq!(name(&api, "orders.example.com", "/7").as_deref(), Some("orders"));
        assert_eq!(api.service("Users"), "users-v2");
        for bad in
            ["{service}/**", "/{service}", "/{service}/x/**", "/*/{service}/**", "//{service}/**", "/a/**"]
        {
            let mut config = config::Config::default();
            config.locator.path = bad.to_owned();
            assert!(Locator::read(&config).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn spelling_is_free_unless_someone_minds() {
        let spells = |case, written| locator(|l| l.case = case).spells(written, "Users");
        assert!(spells(Case::Any, "uSERS"));
        assert!(spells(Case::Lower, "users") && !spells(Case::Lower, "Users"));
        assert!(spells(Case::Exact, "Users") && !spells(Case::Exact, "users"));
    }

    #[test]
    fn services_are_left_out_by_name_and_by_what_they_say() {
        let service: Arc<str> = "user-service".into();
        let exposed = |locator: &Locator, said: &[(&str, &str)]| {
            locator.expose(&service, &[&metadata(said)]).route.is_some()
        };
        assert!(exposed(&locator(|_| {}), &[]));
        assert!(!exposed(&locator(|_| {}), &[("gateway.expose", "false")]));
        assert!(!exposed(&locator(|_| {}), &[("gateway.expose", "maybe")]));
        assert!(!exposed(&locator(|l| l.include = vec!["web-*".into()]), &[]));
        assert!(!exposed(&locator(|l| l.exclude = vec!["*-service".into()]), &[]));
        let edge = locator(|l| l.metadata = [("edge".to_owned(), "true".to_owned())].into());
        assert!(exposed(&edge, &[("edge", "true")]) && !exposed(&edge, &[("edge", "no")]));
    }

    #[test]
    fn instances_say_how_they_are_to_be_reached() {
        let service: Arc<str> = "s".into();
        let said =
            metadata(&[("gateway.path", "/users/**"), ("gateway.protocol", "h2c"), ("gateway.total", "2s")]);
        let exposure = locator(|_| {}).expose(&service, &[&metadata(&[]), &said]);
        let route = exposure.route.unwrap();
        assert!(exposure.path.unwrap().matches("/users/1"));
        assert_eq!((route.rewrite.strip, route.settings.protocol), (0, Some(Protocol::H2c)));
        assert_eq!(route.settings.total, Some(Duration::from_secs(2)));
        let bad = metadata(&[("gateway.path", "users"), ("gateway.strip", "-1"), ("gateway.total", "soon")]);
        assert_eq!(locator(|_| {}).expose(&service, &[&bad]).complaints.len(), 3);
    }
}

use http::header::HeaderName;
use http::{HeaderMap, Method};
use regex::bytes::Regex;

use super::pattern::{HostPattern, PathPattern};
use super::table::Asked;
use crate::config;

/// When a route is taken: all that is given must hold.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(super) hosts: Box<[HostPattern]>,
    pub(super) paths: Box<[PathPattern]>,
    methods: Box<[Method]>,
    headers: Box<[(HeaderName, Value)]>,
}

#[derive(Debug)]
enum Value {
    Any,
    Is(Box<[u8]>),
    Like(Regex),
}

/// What is wrong, and with which key.
pub(crate) struct Wrong {
    pub(crate) key: String,
    pub(crate) why: String,
}

pub(crate) fn wrong(key: impl Into<String>, why: impl Into<String>) -> Wrong {
    Wrong { key: key.into(), why: why.into() }
}

impl Condition {
    pub(crate) fn read(route: &config::Route) -> Result<Condition, Wrong> {
        let hosts =
            route.hosts.iter().map(|host| HostPattern::parse(host).map_err(|why| wrong("hosts", why)));
        let paths =
            route.paths.iter().map(|path| PathPattern::parse(path).map_err(|why| wrong("paths", why)));
        let methods = route.methods.iter().map(|method| {
            let is_known = method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
            let method = Method::from_bytes(method.as_bytes()).ok().filter(|_| is_known);
            method.ok_or_else(|| wrong("methods", "expected methods such as \"GET\""))
        });
        let headers = route.headers.iter().map(|(name, value)| {
            let key = format!("headers.{name}");
            let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong(&key, "is no header's name"))?;
            Ok((name, Value::read(value).map_err(|why| wrong(&key, why))?))
        });
        Ok(Condition {
            hosts: hosts.collect::<Result<_, _>>()?,
            paths: paths.collect::<Result<_, _>>()?,
            methods: methods.collect::<Result<_, _>>()?,
            headers: headers.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn holds(&self, asked: &Asked<'_>) -> bool {
        (self.hosts.is_empty() || self.hosts.iter().any(|host| host.matches(asked.host)))
            && (self.paths.is_empty() || self.paths.iter().any(|path| path.matches(asked.path)))
            && (self.methods.is_empty() || self.methods.contains(asked.method))
            && self.headers.iter().all(|(name, value)| value.is_in(asked.headers, name))
    }
}

impl Value {
    fn read(text: &str) -> Result<Value, String> {
        match text.strip_prefix('~') {
            _ if text == "*" => Ok(Value::Any),
            Some(pattern) => {
                let regex = regex::bytes::RegexBuilder::new(pattern).size_limit(1 << 20).build();
                regex.map(Value::Like).map_err(|error| format!("is no regular expression: {error}"))
            }
            None => Ok(Value::Is(text.as_bytes().into())),
        }
    }

    fn is_in(&self, headers: &HeaderMap, name: &HeaderName) -> bool {
        let mut values = headers.get_all(name).into_iter().map(http::HeaderValue::as_bytes);
        match self {
            Value::Any => values.next().is_some(),
            Value::Is(wanted) => values.any(|value| value == &**wanted),
            Value::Like(regex) => values.any(|value| regex.is_match(value)),
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said = Vec::new();
        let hosts = self.hosts.iter().map(ToString::to_string);
        said.extend((!self.hosts.is_empty()).then(|| hosts.collect::<Vec<_>>().join(" | ")));
        let paths: Vec<&str> = self.paths.iter().map(PathPattern::as_str).collect();
        said.extend((!paths.is_empty()).then(|| paths.join(" | ")));
        let methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        said.extend((!methods.is_empty()).then(|| methods.join(" | ")));
        said.extend(self.headers.iter().map(|(name, value)| match value {
            Value::Any => format!("{name}: *"),
            Value::Is(value) => format!("{name}: {}", String::from_utf8_lossy(value)),
            Value::Like(regex) => format!("{name}: ~{regex}"),
        }));
        f.write_str(&said.join(", "))
    }
}

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use switchboard_discover::Query;
use thiserror::Error;

/// A registry and a service in it, written as one text: `scheme://registry/service?parameters`.
///
/// ```
/// use switchboard::Target;
///
/// let target: Target = "etcd://10.0.0.1:2379/greeter?prefix=/prod&tag=v2".parse().unwrap();
/// assert_eq!((target.scheme(), target.registry(), target.service()), ("etcd", "10.0.0.1:2379", "greeter"));
/// assert_eq!(target.parameter("prefix"), Some("/prod"));
/// assert_eq!(target.query("greeter").unwrap().tags.len(), 1);
/// assert_eq!(target.to_string(), "etcd://10.0.0.1:2379/greeter?prefix=/prod&tag=v2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    written: String,
    scheme: String,
    registry: String,
    /// What is before the service in the path, with a slash at its end, or nothing.
    folder: String,
    service: String,
    parameters: Vec<(String, String)>,
}

/// Why a target leads nowhere.
///
/// ```
/// let error = "greeter:50051".parse::<switchboard::Target>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "\"greeter:50051\": has no scheme; write scheme://registry/service, such as switchboard:///greeter"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{target:?}: {why}")]
pub struct TargetError {
    target: Arc<str>,
    why: Arc<str>,
}

impl TargetError {
    /// For people.
    pub fn new(target: &str, why: impl fmt::Display) -> TargetError {
        TargetError { target: Arc::from(target), why: Arc::from(why.to_string()) }
    }
}

/// What every target may say, whatever its scheme.
const TAG: &str = "tag";
const NAMESPACE: &str = "namespace";
const UNHEALTHY: &str = "unhealthy";

impl Target {
    /// What is before `://`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Which registry: an address, or several, or nothing.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The registry, or this one if none is said.
    pub fn registry_or<'a>(&'a self, usual: &'a str) -> &'a str {
        if self.registry.is_empty() { usual } else { &self.registry }
    }

    /// The last part of the path.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The path before the service, without a slash at either end.
    pub fn folder(&self) -> &str {
        self.folder.trim_end_matches('/')
    }

    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Which instances of a service are wanted, as the parameters say.
    pub fn query(&self, service: &str) -> Result<Query, TargetError> {
        if service.is_empty() {
            return Err(self.wrong("names no service; it is what stands behind the third slash"));
        }
        let namespace = self.parameter(NAMESPACE).unwrap_or(switchboard_model::DEFAULT_NAMESPACE);
        let query = Query::in_namespace(namespace, service).map_err(|rejection| self.wrong(rejection))?;
        let tags = self.parameters.iter().filter(|(name, _)| name == TAG);
        let query = tags.fold(query, |query, (_, tag)| query.tag(tag));
        match self.parameter(UNHEALTHY) {
            None | Some("false") => Ok(query),
            Some("true") => Ok(query.with_unhealthy()),
            Some(other) => Err(self.wrong(format!("unhealthy is true or false, not {other:?}"))),
        }
    }

    /// An error about this target.
    pub fn wrong(&self, why: impl fmt::Display) -> TargetError {
        TargetError::new(&self.written, why)
    }

    /// No parameter is there that nobody looks at.
    pub(super) fn only_has(&self, known: &[&str]) -> Result<(), TargetError> {
        let known: Vec<&str> = [TAG, NAMESPACE, UNHEALTHY].iter().chain(known).copied().collect();
        match self.parameters.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                Err(self.wrong(format!("the parameter {name:?} is none of {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    /// What targets to the same registry have in common.
    pub(super) fn registry_key(&self) -> String {
        let of_query = [TAG, NAMESPACE, UNHEALTHY];
        let mut parameters: Vec<_> =
            self.parameters.iter().filter(|(name, _)| !of_query.contains(&name.as_str())).collect();
        parameters.sort();
        // A port is part of what is asked of DNS, and not of a name in a registry.
        let port = self.service.split_once(':').map_or("", |(_, port)| port);
        format!("{}://{}/{}:{port}?{parameters:?}", self.scheme.to_lowercase(), self.registry, self.folder)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let wrong = |why: &str| TargetError::new(text, why);
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            wrong("has no scheme; write scheme://registry/service, such as switchboard:///greeter")
        })?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return Err(wrong("what stands before :// is no scheme"));
        }
        let (place, asked) = rest.split_once('?').unwrap_or((rest, ""));
        let (registry, path) = place.split_once('/').unwrap_or((place, ""));
        if registry.contains('@') {
            return Err(wrong("names and passwords are not taken from a target"));
        }
        let path = percent_encoding::percent_decode_str(path).decode_utf8();
        let path = path.map_err(|_| wrong("what the path stands for is no UTF-8"))?;
        let split = path.rfind('/').map_or(0, |slash| slash + 1);
        let (folder, service) = path.split_at_checked(split).unwrap_or(("", &path));
        let parameters = form_urlencoded::parse(asked.as_bytes())
            .map(|(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned()))
            .collect();
        Ok(Target {
            written: text.to_owned(),
            scheme: scheme.to_owned(),
            registry: registry.to_owned(),
            folder: folder.to_owned(),
            service: service.to_owned(),
            parameters,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let check = |text: &str, scheme: &str, registry: &str, folder: &str, service: &str| {
            let target: Target = text.parse().unwrap();
            let read = (target.scheme(), target.registry(), target.folder(), target.service());
            assert_eq!(read, (scheme, registry, folder, service), "{text}");
        };
        check("consul:///users", "consul", "", "", "users");
        check("consul://a:1,b:2/users", "consul", "a:1,b:2", "", "users");
        check("consul://a:1", "consul", "a:1", "", "");
        check("etcd:///a/b/users", "etcd", "", "a/b", "users");
        check("dns://[::1]:53/users.example.com:80", "dns", "[::1]:53", "", "users.example.com:80");
        check("consul:///a%20b?tag=x", "consul", "", "", "a b");
    }

    #[test]
    fn targets_that_make_no_sense_are_refused() {
        for bad in
            ["", "users", "users:80", "://a/b", "a b://c/d", "consul://me:secret@a/users", "consul:///%ff"]
        {
            assert!(bad.parse::<Target>().is_err(), "{bad:?} was accepted");
        }
        for bad in ["consul:///", "consul://a:1", "consul:///users?unhealthy=maybe"] {
            let target: Target = bad.parse().unwrap();
            assert!(target.query(target.service()).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn targets_of_one_registry_are_of_one_registry() {
        let key = |text: &str| text.parse::<Target>().unwrap().registry_key();
        assert_eq!(key("consul://a:1/users?tag=x"), key("consul://a:1/orders?namespace=y"));
        assert_ne!(key("etcd://a:1/users?prefix=/x"), key("etcd://a:1/users?prefix=/y"));
        assert_ne!(key("etcd://a:1/x/users"), key("etcd://a:1/users"));
        assert_ne!(key("dns:///a.example.com:80"), key("dns:///a.example.com:81"));
    }
}

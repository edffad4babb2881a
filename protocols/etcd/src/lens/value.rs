//! What stands in the value of a key that is an instance: an address, a URL, or JSON of two kinds.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use switchboard_model::{Instance, Metadata, Port, Tags};

/// The form in which instances from elsewhere are shown. Whatever the form, all of them are understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `10.0.0.1:8080`
    #[default]
    Address,
    /// `http://10.0.0.1:8080`
    Url,
    /// `{"Op":0,"Addr":"10.0.0.1:8080","Metadata":{}}`, as gRPC's resolver for etcd reads it
    GrpcEndpoint,
    /// `{"host":"10.0.0.1","port":8080,"tags":[],"metadata":{},"weight":1}`
    Json,
}

/// What a value says. None: it says nothing about that.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Described {
    address: String,
    port: Option<u16>,
    metadata: Option<Metadata>,
    tags: Option<Tags>,
    weight: Option<u32>,
    zone: Option<Arc<str>>,
}

impl Described {
    /// None: these bytes are not the value of an instance.
    pub(crate) fn from_wire(value: &[u8]) -> Option<Described> {
        let text = std::str::from_utf8(value).ok()?.trim();
        if text.starts_with('{') {
            return of_json(serde_json::from_str(text).ok()?);
        }
        let (scheme, place) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest.split(['/', '?', '#']).next()?),
            None => (None, text),
        };
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        let (address, port) = host_and_port(place)?;
        let by_scheme = match scheme {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        };
        Some(Described { address, port: port.or(by_scheme), ..Described::default() })
    }

    /// `instance` as the value describes it; what the value says nothing about stays.
    pub(crate) fn apply(self, instance: &mut Instance) {
        instance.address = self.address.into();
        instance.ports = match (self.port, instance.ports.split_first()) {
            (None, _) => Box::new([]),
            (Some(number), None) => Box::new([Port { name: "".into(), number }]),
            (Some(number), Some((first, rest))) => {
                let first = Port { name: first.name.clone(), number };
                std::iter::once(first).chain(rest.iter().cloned()).collect()
            }
        };
        if let Some(metadata) = self.metadata {
            instance.metadata = metadata;
        }
        if let Some(tags) = self.tags {
            instance.tags = tags;
        }
        if let Some(weight) = self.weight {
            instance.weight = weight;
        }
        if let Some(zone) = self.zone {
            instance.zone = Some(zone);
        }
    }
}

fn of_json(value: Value) -> Option<Described> {
    let Value::Object(object) = value else { return None };
    let text = |names: &[&str]| names.iter().find_map(|name| object.get(*name)?.as_str());
    let place = text(&["host", "address", "addr", "Addr", "ip", "Address"])?;
    let (address, port) = host_and_port(place)?;
    let given = ["port", "Port"].iter().find_map(|name| object.get(*name));
    let given = match given {
        None | Some(Value::Null) => None,
        Some(Value::Number(number)) => Some(u16::try_from(number.as_u64()?).ok()?),
        Some(Value::String(text)) => Some(text.parse().ok()?),
        Some(_) => return None,
    };
    let number = |name: &str| u32::try_from(object.get(name)?.as_u64()?).ok();
    Some(Described {
        address,
        port: given.or(port),
        metadata: ["metadata", "Metadata"].iter().find_map(|name| metadata(object.get(*name)?)),
        tags: tags(object.get("tags")),
        weight: number("weight"),
        zone: text(&["zone"]).map(Into::into),
    })
}

/// Only what is flat text. What is not, the value keeps for those who read it.
fn metadata(value: &Value) -> Option<Metadata> {
    let Value::Object(object) = value else { return None };
    let pair = |(key, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return None,
        };
        Some((Arc::from(key.as_str()), Arc::from(text)))
    };
    Metadata::new(object.iter().map(pair).collect::<Option<Vec<_>>>()?).ok()
}

fn tags(value: Option<&Value>) -> Option<Tags> {
    let tags = value?.as_array()?.iter().map(|tag| Some(Arc::from(tag.as_str()?)));
    Tags::new(tags.collect::<Option<Vec<Arc<str>>>>()?).ok()
}

/// `host`, `host:port`, `[v6]`, `[v6]:port` or a bare v6 address.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host.to_owned(), Some(port.parse().ok()?))),
            None => rest.is_empty().then(|| (host.to_owned(), None)),
        };
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Some((text.to_owned(), None));
    }
    match text.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), Some(port.parse().ok()?))),
        // A word alone is a host name only if it looks like one: otherwise every value would be an instance.
        None => {
            let host = text.parse::<std::net::IpAddr>().is_ok() || text.contains('.');
            host.then(|| (text.to_owned(), None))
        }
    }
}

fn place(instance: &Instance) -> String {
    let host = &instance.address;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
    match instance.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// The instance in this form.
pub(crate) fn to_wire(form: Form, instance: &Instance) -> Bytes {
    match form {
        Form::Address => place(instance).into(),
        Form::Url => {
            let secure = instance.port() == Some(443);
            format!("{}://{}", if secure { "https" } else { "http" }, place(instance)).into()
        }
        Form::GrpcEndpoint => {
            let metadata = if instance.metadata.is_empty() { Value::Null } else { pairs(&instance.metadata) };
            let mut object = Map::new();
            object.insert("Op".to_owned(), json!(0));
            object.insert("Addr".to_owned(), json!(place(instance)));
            object.insert("Metadata".to_owned(), metadata);
            Value::Object(object).to_string().into()
        }
        Form::Json => {
            let mut object = Map::new();
            object.insert("service".to_owned(), json!(instance.key.service.as_str()));
            object.insert("id".to_owned(), json!(instance.key.id.as_str()));
            object.insert("host".to_owned(), json!(&*instance.address));
            object.insert("port".to_owned(), json!(instance.port()));
            object.insert("tags".to_owned(), instance.tags.iter().map(|tag| json!(&**tag)).collect());
            object.insert("metadata".to_owned(), pairs(&instance.metadata));
            object.insert("weight".to_owned(), json!(instance.weight));
            object.insert("zone".to_owned(), json!(instance.zone.as_deref()));
            Value::Object(object).to_string().into()
        }
    }
}

fn pairs(metadata: &Metadata) -> Value {
    metadata.iter().map(|(key, value)| (key.to_string(), json!(&**value))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<(&str, Option<u16>)>) {
        let said = Described::from_wire(value.as_bytes());
        let said = said.as_ref().map(|said| (said.address.as_str(), said.port));
        assert_eq!(said, expected, "{value:?}");
    }

    #[test]
    fn every_form_is_understood() {
        check("10.0.0.1:8080", Some(("10.0.0.1", Some(8080))));
        check("[::1]:80", Some(("::1", Some(80))));
        check("::1", Some(("::1", None)));
        check("web.example.com", Some(("web.example.com", None)));
        check("http://1.2.3.4:8080", Some(("1.2.3.4", Some(8080))));
        check("https://a.b/path?x#y", Some(("a.b", Some(443))));
        check("tcp://u:p@a.b:9", Some(("a.b", Some(9))));
        check(r#"{"Op":0,"Addr":"1.2.3.4:80","Metadata":null}"#, Some(("1.2.3.4", Some(80))));
        check(r#"{"host":"10.0.0.1","port":8080}"#, Some(("10.0.0.1", Some(8080))));
        check(r#"{"address":"10.0.0.1","port":"8080"}"#, Some(("10.0.0.1", Some(8080))));
        for other in ["", "hello", "bar", "a:b", "a:99999", "{", "{}", "[1,2]", r#"{"port":1}"#, "12"] {
            check(other, None);
        }
    }
}

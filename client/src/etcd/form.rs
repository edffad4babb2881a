use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use switchboard_discover::Instance;
use switchboard_model::{Metadata, Port, Rejection, ServiceKey, Tags};

use crate::registration::Registration;

/// What the values of keys look like that are written. Whatever the form, all of them are understood, and URLs too.
///
/// ```
/// use switchboard::{Etcd, EtcdForm};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let as_go_kit_does = Etcd::at("http://127.0.0.1:2379")?.form(EtcdForm::Address);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EtcdForm {
    /// JSON with the words of Switchboard's native API: `{"host":"10.0.0.1","port":80,"weight":1,...}`.
    #[default]
    Json,
    /// `10.0.0.1:80`, as go-kit writes it. It has room for nothing else.
    Address,
    /// JSON of etcd's own gRPC naming: `{"Addr":"10.0.0.1:80"}`.
    GrpcEndpoint,
}

#[derive(Debug, Serialize, Deserialize)]
struct Value {
    host: String,
    port: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ports: Vec<NamedPort>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<Arc<str>, Arc<str>>,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Arc<str>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NamedPort {
    name: Arc<str>,
    port: u16,
}

#[derive(Debug, Serialize, Deserialize)]
struct Endpoint {
    #[serde(rename = "Addr")]
    address: String,
    /// Whatever it is; only flat text can be told on.
    #[serde(rename = "Metadata", default, skip_serializing)]
    metadata: serde_json::Value,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Json {
    Value(Value),
    Endpoint(Endpoint),
}

fn one() -> u32 {
    1
}

/// The instance that a value describes.
pub(super) fn read(service: &ServiceKey, id: &str, value: &str) -> Result<Instance, Rejection> {
    let wrong = |why: &str| Rejection::invalid("value", why.to_owned());
    if !value.trim_start().starts_with('{') {
        return at(service, id, value);
    }
    let json = serde_json::from_str(value).map_err(|_| {
        wrong("is no JSON object with host and port, as Switchboard, or with Addr, as etcd has it")
    });
    match json? {
        Json::Endpoint(Endpoint { address, metadata }) => {
            let mut instance = at(service, id, &address)?;
            let pairs = metadata.as_object().into_iter().flatten();
            let flat = pairs.filter_map(|(key, value)| Some((Arc::from(&**key), Arc::from(value.as_str()?))));
            instance.metadata = Metadata::new(flat)?;
            Ok(instance)
        }
        Json::Value(value) => {
            let mut instance = Instance::of(service, id, &value.host, value.port.unwrap_or_default())?;
            let named = value.ports.into_iter().map(|port| Port { name: port.name, number: port.port });
            instance.ports = instance.ports.into_iter().chain(named).collect();
            instance.tags = Tags::new(value.tags)?;
            instance.metadata = Metadata::new(value.metadata)?;
            instance.weight = value.weight;
            instance.zone = value.zone;
            Ok(instance)
        }
    }
}

impl EtcdForm {
    pub(super) fn write(self, of: &Registration) -> Result<String, String> {
        let address = match of.host.parse::<std::net::Ipv6Addr>() {
            Ok(_) => format!("[{}]:{}", of.host, of.main_port()),
            Err(_) => format!("{}:{}", of.host, of.main_port()),
        };
        let is_bare = of.tags.is_empty() && of.metadata.is_empty() && of.weight == 1 && of.zone.is_none();
        if self != EtcdForm::Json && (!is_bare || of.ports.len() > 1) {
            return Err(format!("values of the form {self:?} hold an address and nothing else"));
        }
        let json = match self {
            EtcdForm::Address => return Ok(address),
            EtcdForm::GrpcEndpoint => {
                let metadata = serde_json::Value::Null;
                serde_json::to_string(&Endpoint { address, metadata })
            }
            EtcdForm::Json => serde_json::to_string(&Value {
                host: of.host.to_string(),
                port: Some(of.main_port()),
                ports: of
                    .ports
                    .iter()
                    .skip(1)
                    .map(|port| NamedPort { name: port.name.clone(), port: port.number })
                    .collect(),
                tags: of.tags.iter().cloned().collect(),
                metadata: of.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
                weight: of.weight,
                zone: of.zone.clone(),
            }),
        };
        json.map_err(|error| error.to_string())
    }
}

/// `host:port`, an IPv6 address in brackets; or a URL of it.
fn at(service: &ServiceKey, id: &str, address: &str) -> Result<Instance, Rejection> {
    let wrong = || Rejection::invalid("value", format!("{address:?} is not host:port"));
    let address = address.trim();
    let place = address.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    let (host, port) = place.unwrap_or(address).rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if port == 0 || (host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err()) {
        return Err(wrong());
    }
    Instance::of(service, id, host, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let bare = Registration::new("users", "fd00::1", 80).unwrap();
        let full = bare
            .clone()
            .weight(3)
            .zone("z")
            .port("admin", 81)
            .tags(&["a"])
            .unwrap()
            .metadata("k", "v")
            .unwrap();
        for (form, registration, text) in [
            (EtcdForm::Address, &bare, Some("[fd00::1]:80")),
            (EtcdForm::GrpcEndpoint, &bare, Some(r#"{"Addr":"[fd00::1]:80"}"#)),
            (EtcdForm::Json, &bare, None),
            (EtcdForm::Json, &full, None),
        ] {
            let written = form.write(registration).unwrap();
            if let Some(text) = text {
                assert_eq!(written, text);
            }
            let read = read(&registration.service, "id", &written).unwrap();
            assert_eq!(read.authority().unwrap(), "[fd00::1]:80");
            assert_eq!(read.ports.to_vec(), registration.ports);
            assert_eq!((read.weight, read.zone.as_ref()), (registration.weight, registration.zone.as_ref()));
            assert_eq!((&read.tags, &read.metadata), (&registration.tags, &registration.metadata));
        }
        assert!(EtcdForm::Address.write(&full).is_err(), "what has no room was dropped silently");
    }

    /// However the registry shows instances that came from elsewhere.
    #[test]
    fn every_form_is_understood() {
        let service = Registration::new("users", "h", 1).unwrap().service;
        for good in [
            "10.0.0.1:80",
            "http://10.0.0.1:80/path",
            r#"{"Op":0,"Addr":"10.0.0.1:80","Metadata":null}"#,
            r#"{"Op":0,"Addr":"10.0.0.1:80","Metadata":{"deep":{"er":1}}}"#,
            r#"{"service":"users","id":"a","host":"10.0.0.1","port":80,"tags":[],"metadata":{},"weight":1,"zone":null}"#,
        ] {
            let read = read(&service, "id", good).unwrap();
            assert_eq!(read.authority().unwrap(), "10.0.0.1:80", "{good}");
        }
        let with_metadata = r#"{"Addr":"10.0.0.1:80","Metadata":{"version":"2"}}"#;
        assert_eq!(read(&service, "id", with_metadata).unwrap().metadata.get("version"), Some("2"));
        for bad in [
            "",
            "h",
            "h:0",
            "h:99999",
            "fd00::1",
            "a:b:80",
            "{",
            "{}",
            "[1]",
            r#"{"host":1}"#,
            r#"{"port":80}"#,
        ] {
            assert!(read(&service, "id", bad).is_err(), "{bad:?} was accepted");
        }
    }
}

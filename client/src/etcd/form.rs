use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use switchboard_discover::Instance;
use switchboard_model::{Metadata, Port, Rejection, ServiceKey, Tags};

use crate::registration::Registration;

/// What the value of a key looks like.
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

#[derive(Debug, Default, Serialize, Deserialize)]
struct Value {
    host: String,
    #[serde(default)]
    port: u16,
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
}

fn one() -> u32 {
    1
}

impl EtcdForm {
    pub(super) fn read(self, service: &ServiceKey, id: &str, value: &str) -> Result<Instance, Rejection> {
        let wrong = |error: serde_json::Error| Rejection::invalid("value", error.to_string());
        match self {
            EtcdForm::Address => at(service, id, value),
            EtcdForm::GrpcEndpoint => {
                let endpoint: Endpoint = serde_json::from_str(value).map_err(wrong)?;
                at(service, id, &endpoint.address)
            }
            EtcdForm::Json => {
                let value: Value = serde_json::from_str(value).map_err(wrong)?;
                let mut instance = Instance::of(service, id, &value.host, value.port)?;
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
            EtcdForm::GrpcEndpoint => serde_json::to_string(&Endpoint { address }),
            EtcdForm::Json => serde_json::to_string(&Value {
                host: of.host.to_string(),
                port: of.main_port(),
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

/// `host:port`, an IPv6 address in brackets.
fn at(service: &ServiceKey, id: &str, address: &str) -> Result<Instance, Rejection> {
    let wrong = || Rejection::invalid("value", format!("{address:?} is not host:port"));
    let (host, port) = address.trim().rsplit_once(':').ok_or_else(wrong)?;
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
            let read = form.read(&registration.service, "id", &written).unwrap();
            assert_eq!(read.authority().unwrap(), "[fd00::1]:80");
            assert_eq!(read.ports.to_vec(), registration.ports);
            assert_eq!((read.weight, read.zone.as_ref()), (registration.weight, registration.zone.as_ref()));
            assert_eq!((&read.tags, &read.metadata), (&registration.tags, &registration.metadata));
        }
        assert!(EtcdForm::Address.write(&full).is_err(), "what has no room was dropped silently");
    }

    #[test]
    fn values_that_are_no_address_are_refused() {
        let service = Registration::new("users", "h", 1).unwrap().service;
        for bad in ["", "h", "h:0", "h:99999", "fd00::1", "a:b:80", "http://h:80"] {
            assert!(EtcdForm::Address.read(&service, "id", bad).is_err(), "{bad:?} was accepted");
        }
    }
}

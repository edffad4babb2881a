//! What Consul says, and what it is told. Fields that are not used here are not read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use switchboard_discover::Instance;
use switchboard_model::{Health, InstanceKey, Metadata, Name, Rejection, Revision, ServiceKey, Tags};

use crate::registration::{ActiveCheck, Registration};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceEntry {
    node: Node,
    service: Service,
    #[serde(default, deserialize_with = "or_null")]
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    node: String,
    address: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: i64,
    #[serde(default, deserialize_with = "or_null")]
    tags: Vec<Arc<str>>,
    #[serde(default, deserialize_with = "or_null")]
    meta: BTreeMap<Arc<str>, Arc<str>>,
    #[serde(default)]
    weights: Option<Weights>,
    #[serde(default)]
    locality: Option<Locality>,
    #[serde(default)]
    modify_index: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u32,
    warning: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Locality {
    #[serde(default)]
    zone: Arc<str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID")]
    id: String,
    status: String,
}

/// Go writes an empty list as `null`.
fn or_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The metadata that a zone is kept under: this Consul may know no localities.
const ZONE: &str = "zone";

impl ServiceEntry {
    pub(super) fn read(self, of: &ServiceKey) -> Result<Instance, Rejection> {
        let service = self.service;
        let host = if service.address.is_empty() { &self.node.address } else { &service.address };
        let port = u16::try_from(service.port).unwrap_or_default();
        let mut instance = Instance::of(of, &service.id, host, port)?;
        let key =
            InstanceKey { node: Some(Name::parse("node", &self.node.node)?), ..(*instance.key).clone() };
        instance.key = Arc::new(key);
        instance.health = health(&self.checks);
        instance.weight = match (&service.weights, instance.health) {
            (None, _) => 1,
            (Some(weights), Health::Warning) => weights.warning,
            (Some(weights), _) => weights.passing,
        };
        let zone = service.locality.map(|locality| locality.zone).filter(|zone| !zone.is_empty());
        instance.zone = zone.or_else(|| service.meta.get(ZONE).cloned());
        instance.tags = Tags::new(service.tags)?;
        instance.metadata = Metadata::new(service.meta)?;
        instance.revision = Revision(service.modify_index);
        Ok(instance)
    }
}

fn health(checks: &[Check]) -> Health {
    let is_out =
        |check: &Check| check.id.starts_with("_service_maintenance") || check.id == "_node_maintenance";
    if checks.iter().any(is_out) {
        return Health::OutOfService;
    }
    let says = |status: &str| checks.iter().any(|check| check.status == status);
    if says("critical") {
        Health::Critical
    } else if says("warning") {
        Health::Warning
    } else {
        Health::Passing
    }
}

pub(super) fn ttl_check(of: &Registration) -> String {
    format!("service:{}", of.id)
}

pub(super) fn registration(of: &Registration) -> Result<Value, String> {
    if let Some(port) = of.ports.get(1) {
        return Err(format!(
            "ports: Consul knows one port for each service, and cannot keep {:?}",
            port.name
        ));
    }
    let namespace = of.service.namespace.as_str();
    if !namespace.eq_ignore_ascii_case(switchboard_model::DEFAULT_NAMESPACE) {
        return Err(format!("namespace: registering in {namespace:?} is not supported with Consul"));
    }
    if of.weight == 0 {
        return Err("weight: Consul knows no weight of 0; drain the instance instead".to_owned());
    }
    let mut meta: BTreeMap<&str, &str> = of.metadata.iter().map(|(key, value)| (&**key, &**value)).collect();
    if let Some(zone) = &of.zone {
        meta.insert(ZONE, zone);
    }
    let tags: Vec<&str> = of.tags.iter().map(|tag| &**tag).collect();
    let millis = |duration: std::time::Duration| format!("{}ms", duration.as_millis());
    let bracketed = match of.host.parse::<std::net::Ipv6Addr>() {
        Ok(_) => format!("[{}]:{}", of.host, of.main_port()),
        Err(_) => format!("{}:{}", of.host, of.main_port()),
    };
    let check = match &of.check {
        None => json!({ "CheckID": ttl_check(of), "TTL": millis(of.ttl), "Status": "passing" }),
        Some(ActiveCheck::Http { path, interval }) => json!({
            "CheckID": ttl_check(of),
            "HTTP": format!("http://{bracketed}{path}"),
            "Interval": millis(*interval),
        }),
        Some(ActiveCheck::Tcp { interval }) => {
            json!({ "CheckID": ttl_check(of), "TCP": bracketed, "Interval": millis(*interval) })
        }
    };
    Ok(json!({
        "ID": &*of.id,
        "Name": of.service.service.as_str(),
        "Address": &*of.host,
        "Port": of.main_port(),
        "Tags": tags,
        "Meta": meta,
        "Weights": { "Passing": of.weight, "Warning": 1 },
        "Check": check,
    }))
}

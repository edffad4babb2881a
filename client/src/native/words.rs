//! What the native API says, and what it is told. Fields that are not used here are not read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use switchboard_discover::Instance;
use switchboard_model::{Health, InstanceKey, Metadata, Name, Port, Rejection, Revision, ServiceKey, Tags};

use crate::registration::{ActiveCheck, Registration};

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) instances: Vec<WireInstance>,
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Change {
    pub(super) id: String,
    /// None: it is gone.
    pub(super) instance: Option<WireInstance>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireInstance {
    id: String,
    service: String,
    namespace: String,
    node: Option<String>,
    host: String,
    ports: Vec<WirePort>,
    tags: Vec<Arc<str>>,
    metadata: BTreeMap<Arc<str>, Arc<str>>,
    weight: u32,
    warning_weight: Option<u32>,
    zone: Option<Arc<str>>,
    health: String,
    revision: u64,
}

#[derive(Debug, Deserialize)]
struct WirePort {
    name: Arc<str>,
    port: u16,
}

impl WireInstance {
    pub(super) fn read(self) -> Result<Instance, Rejection> {
        let service = ServiceKey {
            namespace: Name::parse("namespace", &self.namespace)?,
            service: Name::parse("service", &self.service)?,
        };
        let mut instance = Instance::of(&service, &self.id, &self.host, 0)?;
        if let Some(node) = &self.node {
            let key = InstanceKey { node: Some(Name::parse("node", node)?), ..(*instance.key).clone() };
            instance.key = Arc::new(key);
        }
        instance.ports = self.ports.into_iter().map(|it| Port { name: it.name, number: it.port }).collect();
        instance.tags = Tags::new(self.tags)?;
        instance.metadata = Metadata::new(self.metadata)?;
        instance.zone = self.zone;
        instance.health = health(&self.health);
        let warning = self.warning_weight.filter(|_| instance.health == Health::Warning);
        instance.weight = warning.unwrap_or(self.weight);
        instance.revision = Revision(self.revision);
        Ok(instance)
    }
}

fn health(word: &str) -> Health {
    let all = [
        Health::Passing,
        Health::Warning,
        Health::Suspect,
        Health::Starting,
        Health::Draining,
        Health::OutOfService,
        Health::Critical,
        Health::Lapsed,
    ];
    // A word of a later version: better not to use it.
    all.into_iter().find(|health| health.as_str() == word).unwrap_or(Health::Critical)
}

pub(super) fn registration(of: &Registration) -> Value {
    let metadata: BTreeMap<&str, &str> = of.metadata.iter().map(|(key, value)| (&**key, &**value)).collect();
    let tags: Vec<&str> = of.tags.iter().map(|tag| &**tag).collect();
    let ports: Vec<Value> =
        of.ports.iter().skip(1).map(|port| json!({ "name": &*port.name, "port": port.number })).collect();
    let mut body = json!({
        "service": of.service.service.as_str(),
        "namespace": of.service.namespace.as_str(),
        "id": &*of.id,
        "host": &*of.host,
        "port": of.main_port(),
        "tags": tags,
        "metadata": metadata,
        "weight": of.weight,
        "lifecycle": "up",
    });
    let mut add = |key: &str, value: Value| {
        if let Some(fields) = body.as_object_mut() {
            fields.insert(key.to_owned(), value);
        }
    };
    if !ports.is_empty() {
        add("ports", Value::Array(ports));
    }
    if let Some(zone) = &of.zone {
        add("zone", Value::from(&**zone));
    }
    match &of.check {
        None => add("ttl", Value::from(of.ttl.as_secs_f64())),
        Some(ActiveCheck::Http { path, interval }) => {
            add("check", json!({ "type": "http", "path": path, "interval": interval.as_secs_f64() }));
        }
        Some(ActiveCheck::Tcp { interval }) => {
            add("check", json!({ "type": "tcp", "interval": interval.as_secs_f64() }));
        }
    }
    body
}

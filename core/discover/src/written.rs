//! Instances as JSON in files: those that people write for the file source, and the last known good.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use switchboard_model::{
    DEFAULT_NAMESPACE, Health, InstanceKey, Metadata, Name, Port, Rejection, Revision, ServiceKey, Tags,
};

use crate::instance::Instance;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenInstance {
    service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ports: Vec<WrittenPort>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<Arc<str>, Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<Arc<str>>,
    #[serde(default)]
    health: WrittenHealth,
    #[serde(default)]
    revision: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPort {
    name: Arc<str>,
    port: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenHealth {
    #[default]
    Passing,
    Warning,
    Suspect,
    Starting,
    Draining,
    OutOfService,
    Critical,
    Lapsed,
}

const HEALTH: [(WrittenHealth, Health); 8] = [
    (WrittenHealth::Passing, Health::Passing),
    (WrittenHealth::Warning, Health::Warning),
    (WrittenHealth::Suspect, Health::Suspect),
    (WrittenHealth::Starting, Health::Starting),
    (WrittenHealth::Draining, Health::Draining),
    (WrittenHealth::OutOfService, Health::OutOfService),
    (WrittenHealth::Critical, Health::Critical),
    (WrittenHealth::Lapsed, Health::Lapsed),
];

impl WrittenInstance {
    pub(crate) fn of(instance: &Instance) -> WrittenInstance {
        let key = &instance.key;
        let health = HEALTH.iter().find(|(_, health)| *health == instance.health);
        WrittenInstance {
            service: key.service.to_string(),
            namespace: Some(key.namespace.to_string()),
            node: key.node.as_ref().map(ToString::to_string),
            id: Some(key.id.to_string()),
            host: instance.host.to_string(),
            port: None,
            ports: instance
                .ports
                .iter()
                .map(|port| WrittenPort { name: port.name.clone(), port: port.number })
                .collect(),
            tags: instance.tags.iter().cloned().collect(),
            metadata: instance.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            weight: Some(instance.weight),
            zone: instance.zone.clone(),
            health: health.map(|(written, _)| *written).unwrap_or_default(),
            revision: instance.revision.0,
        }
    }

    pub(crate) fn read(self) -> Result<Instance, Rejection> {
        let namespace = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let service = ServiceKey {
            namespace: Name::parse("namespace", namespace)?,
            service: Name::parse("service", &self.service)?,
        };
        let named = self.ports.into_iter().map(|port| Port { name: port.name, number: port.port });
        let main = self.port.map(|number| Port { name: Arc::from(""), number });
        let ports: Vec<Port> = main.into_iter().chain(named).collect();
        if ports.iter().any(|port| port.number == 0) {
            return Err(Rejection::invalid("port", "must be between 1 and 65535"));
        }
        let id = self.id.unwrap_or_else(|| {
            let port = ports.first().map(|port| format!("-{}", port.number)).unwrap_or_default();
            format!("{}-{}{port}", self.service, self.host)
        });
        let mut instance = Instance::of(&service, &id, &self.host, 0)?;
        if let Some(node) = &self.node {
            let key = InstanceKey { node: Some(Name::parse("node", node)?), ..(*instance.key).clone() };
            instance.key = Arc::new(key);
        }
        instance.ports = ports.into();
        instance.tags = Tags::new(self.tags)?;
        instance.metadata = Metadata::new(self.metadata)?;
        instance.weight = self.weight.unwrap_or(1);
        instance.zone = self.zone;
        let health = HEALTH.iter().find(|(written, _)| *written == self.health);
        instance.health = health.map_or(Health::Passing, |(_, health)| *health);
        instance.revision = Revision(self.revision);
        Ok(instance)
    }
}

//! What Eureka says. Fields that are not used here are not read.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use switchboard_discover::Instance;
use switchboard_model::{Health, Metadata, Rejection, ServiceKey};

#[derive(Debug, Deserialize)]
pub(super) struct Said {
    applications: Applications,
}

#[derive(Debug, Deserialize)]
struct Applications {
    #[serde(default, rename = "apps__hashcode")]
    hash: String,
    #[serde(default, deserialize_with = "several")]
    application: Vec<Application>,
}

#[derive(Debug, Deserialize)]
struct Application {
    name: String,
    #[serde(default, deserialize_with = "several")]
    instance: Vec<Info>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    instance_id: Option<String>,
    host_name: String,
    ip_addr: Option<String>,
    status: String,
    port: Option<Port>,
    secure_port: Option<Port>,
    #[serde(default)]
    metadata: BTreeMap<Arc<str>, Arc<str>>,
    #[serde(default)]
    action_type: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Port {
    #[serde(rename = "$")]
    number: Loose,
    #[serde(rename = "@enabled")]
    enabled: Loose,
}

/// Numbers and booleans come as themselves or as text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(u16),
    Truth(bool),
    Text(String),
}

impl Port {
    fn usable(&self) -> Option<u16> {
        let enabled = match &self.enabled {
            Loose::Truth(truth) => *truth,
            Loose::Text(text) => text.eq_ignore_ascii_case("true"),
            Loose::Number(_) => false,
        };
        let number = match &self.number {
            Loose::Number(number) => Some(*number),
            Loose::Text(text) => text.parse().ok(),
            Loose::Truth(_) => None,
        };
        number.filter(|_| enabled)
    }
}

/// Old servers write one element without its brackets.
fn several<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Several(Vec<T>),
        One(T),
    }
    Ok(match Option::<Either<T>>::deserialize(deserializer)? {
        Some(Either::Several(all)) => all,
        Some(Either::One(one)) => vec![one],
        None => Vec::new(),
    })
}

/// Everything, by application and id.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(BTreeMap<(String, String), Info>);

impl Known {
    pub(super) fn whole(said: Said) -> Known {
        let mut known = Known::default();
        // What is told whole is all there is to go by, whatever the count that was made beside it.
        let _ = known.take(said);
        known
    }

    /// What changed; false: it does not come to what the registry counts.
    #[must_use]
    pub(super) fn take(&mut self, said: Said) -> bool {
        for application in said.applications.application {
            for info in application.instance {
                let id = info.instance_id.clone().unwrap_or_else(|| info.host_name.clone());
                let key = (application.name.to_uppercase(), id);
                match info.action_type.as_deref() {
                    Some("DELETED") => drop(self.0.remove(&key)),
                    _ => drop(self.0.insert(key, info)),
                }
            }
        }
        self.hash() == said.applications.hash
    }

    fn hash(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for info in self.0.values() {
            *counts.entry(&info.status).or_default() += 1;
        }
        let mut hash = String::new();
        for (status, count) in counts {
            // Writing to a text does not fail.
            let _ = write!(hash, "{status}_{count}_");
        }
        hash
    }

    pub(super) fn instances(&self, of: &ServiceKey) -> Result<Vec<Instance>, Rejection> {
        let app = of.service.as_str().to_uppercase();
        let those = self.0.iter().filter(|((name, _), _)| *name == app);
        those.map(|((_, id), info)| info.read(of, id)).collect()
    }
}

impl Info {
    fn read(&self, of: &ServiceKey, id: &str) -> Result<Instance, Rejection> {
        let host = self.ip_addr.as_deref().filter(|ip| !ip.is_empty()).unwrap_or(&self.host_name);
        // Eureka's own clients go to the secure port wherever it is enabled.
        let port = [&self.secure_port, &self.port].into_iter().flatten().find_map(Port::usable);
        let mut instance = Instance::of(of, id, host, port.unwrap_or_default())?;
        instance.health = match self.status.as_str() {
            "UP" => Health::Passing,
            "STARTING" => Health::Starting,
            "OUT_OF_SERVICE" => Health::OutOfService,
            _ => Health::Critical,
        };
        instance.zone = self.metadata.get("zone").cloned();
        instance.weight = self.metadata.get("weight").and_then(|weight| weight.parse().ok()).unwrap_or(1);
        let plain = self.metadata.iter().filter(|(key, _)| &***key != "@class");
        instance.metadata = Metadata::new(plain.map(|(key, value)| (key.clone(), value.clone())))?;
        Ok(instance)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use switchboard_model::Name;

    use super::*;

    fn said(hash: &str, instances: &serde_json::Value) -> Said {
        let all = json!({ "applications": { "versions__delta": "1", "apps__hashcode": hash,
            "application": [{ "name": "WEB", "instance": instances }] } });
        serde_json::from_value(all).unwrap()
    }

    fn info(id: &str, status: &str, action: &str) -> serde_json::Value {
        json!({ "instanceId": id, "hostName": "h", "ipAddr": "10.0.0.1", "status": status, "actionType": action,
            "port": { "$": 80, "@enabled": "true" }, "securePort": { "$": "443", "@enabled": false },
            "metadata": { "zone": "east-1", "weight": "3" } })
    }

    #[test]
    fn deltas_are_held_against_the_count() {
        let web =
            ServiceKey { namespace: Name::default_namespace(), service: Name::parse("s", "web").unwrap() };
        let mut known = Known::whole(said("UP_1_", &json!(info("a", "UP", "ADDED"))));
        let found = known.instances(&web).unwrap();
        assert_eq!((&*found[0].host, found[0].port(), found[0].weight), ("10.0.0.1", Some(80), 3));
        assert_eq!((found[0].zone.as_deref(), found[0].health), (Some("east-1"), Health::Passing));
        assert!(known.take(said("DOWN_1_UP_1_", &json!([info("b", "DOWN", "ADDED")]))));
        assert!(known.take(said("DOWN_1_", &json!([info("a", "UP", "DELETED")]))));
        assert_eq!(known.instances(&web).unwrap()[0].health, Health::Critical);
        assert!(!known.take(said("UP_7_", &json!([]))), "a change was missed");
        assert_eq!(Known::default().hash(), "");
    }
}

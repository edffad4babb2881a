use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use switchboard_model::{Metadata, Tags};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Node<'a> {
    #[serde(rename = "ID")]
    pub(crate) id: Cow<'a, str>,
    pub(crate) node: &'a str,
    pub(crate) address: &'a str,
    pub(crate) datacenter: Cow<'a, str>,
    pub(crate) tagged_addresses: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    pub(crate) meta: Pairs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locality: Option<Locality<'a>>,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

/// A service as the catalogue and the health endpoints show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Service<'a> {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) kind: String,
    #[serde(rename = "ID")]
    pub(crate) id: &'a str,
    pub(crate) service: &'a str,
    pub(crate) tags: List<'a>,
    pub(crate) address: Cow<'a, str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tagged_addresses: BTreeMap<String, ServiceAddress>,
    pub(crate) meta: Pairs<'a>,
    #[serde(skip_serializing_if = "super::is_default")]
    pub(crate) port: u16,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<NamedPort<'a>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) socket_path: String,
    pub(crate) weights: Weights,
    pub(crate) enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locality: Option<Locality<'a>>,
    pub(crate) proxy: Proxy,
    pub(crate) connect: Connect,
    pub(crate) peer_name: &'static str,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

/// A service as the agent shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentService<'a> {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) kind: String,
    #[serde(rename = "ID")]
    pub(crate) id: &'a str,
    pub(crate) service: &'a str,
    pub(crate) tags: List<'a>,
    pub(crate) meta: Pairs<'a>,
    pub(crate) port: u16,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<NamedPort<'a>>,
    pub(crate) address: Cow<'a, str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) socket_path: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tagged_addresses: BTreeMap<String, ServiceAddress>,
    pub(crate) weights: Weights,
    pub(crate) enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locality: Option<Locality<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<Proxy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connect: Option<Connect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_hash: Option<String>,
    pub(crate) datacenter: &'a str,
}

/// One row of `catalog/service`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CatalogRow<'a> {
    #[serde(rename = "ID")]
    pub(crate) id: Cow<'a, str>,
    pub(crate) node: &'a str,
    pub(crate) address: &'a str,
    pub(crate) datacenter: Cow<'a, str>,
    pub(crate) tagged_addresses: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    pub(crate) node_meta: Pairs<'a>,
    pub(crate) service_kind: String,
    #[serde(rename = "ServiceID")]
    pub(crate) service_id: &'a str,
    pub(crate) service_name: &'a str,
    pub(crate) service_tags: List<'a>,
    pub(crate) service_address: Cow<'a, str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) service_tagged_addresses: BTreeMap<String, ServiceAddress>,
    pub(crate) service_weights: Weights,
    pub(crate) service_meta: Pairs<'a>,
    pub(crate) service_port: u16,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) service_ports: Vec<NamedPort<'a>>,
    pub(crate) service_socket_path: String,
    pub(crate) service_enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_locality: Option<Locality<'a>>,
    pub(crate) service_proxy: Proxy,
    pub(crate) service_connect: Connect,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Check<'a> {
    pub(crate) node: &'a str,
    #[serde(rename = "CheckID")]
    pub(crate) check_id: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    pub(crate) status: &'static str,
    pub(crate) notes: Cow<'a, str>,
    pub(crate) output: Cow<'a, str>,
    #[serde(rename = "ServiceID")]
    pub(crate) service_id: &'a str,
    pub(crate) service_name: Cow<'a, str>,
    pub(crate) service_tags: List<'a>,
    #[serde(rename = "Type")]
    pub(crate) kind: Cow<'a, str>,
    pub(crate) interval: String,
    pub(crate) timeout: String,
    pub(crate) exposed_port: u16,
    pub(crate) definition: Value,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthElement<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) service: Service<'a>,
    pub(crate) checks: Option<Vec<Check<'a>>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentHealth<'a> {
    pub(crate) aggregated_status: &'static str,
    pub(crate) service: Option<AgentService<'a>>,
    pub(crate) checks: Option<Vec<Check<'a>>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceAddress {
    pub(crate) address: String,
    pub(crate) port: u16,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NamedPort<'a> {
    pub(crate) name: &'a str,
    pub(crate) port: u16,
    pub(crate) default: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Weights {
    pub(crate) passing: u32,
    pub(crate) warning: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Locality<'a> {
    pub(crate) region: Cow<'a, str>,
    pub(crate) zone: Cow<'a, str>,
}

impl<'a> Locality<'a> {
    /// None: nothing is known of it.
    pub(crate) fn of(region: impl Into<Cow<'a, str>>, zone: impl Into<Cow<'a, str>>) -> Option<Locality<'a>> {
        let (region, zone) = (region.into(), zone.into());
        (!region.is_empty() || !zone.is_empty()).then_some(Locality { region, zone })
    }
}

/// How a proxy is set up. None: what every service that is no proxy shows.
#[derive(Debug)]
pub(crate) struct Proxy(pub(crate) Option<serde_json::Map<String, Value>>);

impl Serialize for Proxy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct NoProxy {
            mode: &'static str,
            mesh_gateway: Nothing,
            expose: Nothing,
        }
        match &self.0 {
            Some(given) => given.serialize(serializer),
            None => NoProxy { mode: "", mesh_gateway: Nothing {}, expose: Nothing {} }.serialize(serializer),
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Nothing {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Connect {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) native: bool,
}

/// Metadata as an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pairs<'a>(pub(crate) Option<&'a Metadata>);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0.into_iter().flat_map(Metadata::iter) {
            map.serialize_entry(&**key, &**value)?;
        }
        map.end()
    }
}

/// Tags as a list that is never null.
#[derive(Clone, Debug)]
pub(crate) struct List<'a>(pub(crate) Option<Cow<'a, Tags>>);

impl<'a> List<'a> {
    pub(crate) fn of(tags: &'a Tags) -> List<'a> {
        List(Some(Cow::Borrowed(tags)))
    }
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().flat_map(|tags| tags.iter()).map(Arc::as_ref))
    }
}

/// What an answer that nobody can block on says of itself in its body.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct QueryMeta {
    pub(crate) index: u64,
    pub(crate) last_contact: u64,
    pub(crate) known_leader: bool,
    pub(crate) consistency_level: &'static str,
    pub(crate) not_modified: bool,
    pub(crate) backend: u8,
    #[serde(rename = "ResultsFilteredByACLs")]
    pub(crate) results_filtered_by_acls: bool,
}

impl QueryMeta {
    pub(crate) fn at(index: u64, consistency_level: &'static str) -> QueryMeta {
        QueryMeta {
            index,
            last_contact: 0,
            known_leader: true,
            consistency_level,
            not_modified: false,
            backend: 0,
            results_filtered_by_acls: false,
        }
    }
}

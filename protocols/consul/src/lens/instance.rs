use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use switchboard_model::{
    Annex, Health, Id, Instance, InstanceKey, Lifecycle, Metadata, Name, Port, Rejection, Tags,
};
use switchboard_registry::InstanceView;

use super::default_only;
use super::mesh::Mesh;
use super::meta::check_meta;
use super::node::{annex_of, node_to_wire};
use crate::identity::Here;
use crate::refusal::Refusal;
use crate::wire::{self, ServiceBody};

/// What Consul says about a service and the model has no noun for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default)]
struct Words {
    /// It has no address of its own and is reached at its node's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    at_node: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged: BTreeMap<String, wire::ServiceAddress>,
    #[serde(skip_serializing_if = "String::is_empty")]
    socket: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tag_override: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    region: String,
    #[serde(skip_serializing_if = "Mesh::is_empty")]
    mesh: Mesh,
    /// Why it was taken out, in its owner's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    maintenance: String,
}

impl Words {
    fn of(instance: &Instance) -> Words {
        instance.annex.get("consul").and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    fn annex(&self) -> Result<Annex, Rejection> {
        annex_of(self, *self == Words::default())
    }
}

/// Whether a service of this name is reached through the instance: it is a proxy for it, or needs none.
pub(crate) fn leads_to(instance: &Instance, service: &str) -> bool {
    const MESH: &[u8] = br#""mesh":{"#;
    // Hardly any says something of a mesh, and all of them are asked.
    let is_likely = |bytes: &bytes::Bytes| bytes.windows(MESH.len()).any(|part| part == MESH);
    instance.annex.get("consul").is_some_and(is_likely)
        && Words::of(instance).mesh.leads_to(instance.key.service.as_str(), service)
}

/// What is said of a service that is reached at its node's address, and nothing else.
pub(crate) fn at_node() -> Result<Annex, Rejection> {
    Words { at_node: true, ..Words::default() }.annex()
}

/// The words of maintenance that an instance is in.
pub(super) fn maintenance(instance: &Instance) -> String {
    Words::of(instance).maintenance
}

/// The words of `after`, with the maintenance that `before` is in.
pub(crate) fn maintenance_moved(before: &Instance, after: &Instance) -> Result<Annex, Rejection> {
    Words { maintenance: maintenance(before), ..Words::of(after) }.annex()
}

/// The same instance, in or out of maintenance.
pub(crate) fn maintained(instance: &Instance, reason: Option<&str>) -> Result<Instance, Rejection> {
    let words = Words { maintenance: reason.unwrap_or_default().to_owned(), ..Words::of(instance) };
    let lifecycle = if reason.is_some() { Lifecycle::OutOfService } else { Lifecycle::Up };
    // What other protocols said about it stays.
    let annex = instance.annex.with("consul", words.annex()?.get("consul").cloned())?;
    Ok(Instance { lifecycle, annex, ..instance.clone() })
}

/// Where a service is registered.
#[derive(Clone, Debug)]
pub(crate) struct Given<'a> {
    pub(crate) node: Option<Name>,
    pub(crate) node_address: &'a str,
    /// Agents fill in what the catalogue leaves as it is.
    pub(crate) by_agent: bool,
}

pub(crate) fn instance_from_body(given: &Given<'_>, body: &ServiceBody) -> Result<Instance, Refusal> {
    let invalid = |why: &str| Refusal::bad(format!("Invalid {why}"));
    let name = &body.name;
    if name.is_empty() {
        return Err(Refusal::bad("Missing service name"));
    }
    let mesh = Mesh::of(body)?;
    default_only("Namespace", &body.namespace)?;
    default_only("Partition", &body.partition)?;
    if body.address.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
        return Err(invalid("service address"));
    }
    check_meta(&body.meta, Some("consul-"))
        .map_err(|why| Refusal::bad(format!("Invalid Service Meta: {why}")))?;
    let id = if body.id.is_empty() { name } else { &body.id };
    let ports = ports(body)?;
    let (weight, warning_weight) = weights(given, body)?;
    let mut tagged = BTreeMap::new();
    for (kind, address) in &body.tagged_addresses {
        tagged.insert(
            kind.clone(),
            wire::ServiceAddress { address: address.address.clone(), port: port(address.port)? },
        );
    }
    let main = ports.first().map_or(0, |port| port.number);
    if given.by_agent
        && let Ok(ip) = body.address.parse::<IpAddr>()
    {
        let kinds = if ip.is_ipv4() { ["lan_ipv4", "wan_ipv4"] } else { ["lan_ipv6", "wan_ipv6"] };
        for kind in kinds {
            let own = || wire::ServiceAddress { address: body.address.clone(), port: main };
            tagged.entry(kind.to_owned()).or_insert_with(own);
        }
    }
    let locality = body.locality.as_ref();
    let words = Words {
        at_node: body.address.is_empty(),
        tagged,
        socket: body.socket_path.clone(),
        tag_override: body.enable_tag_override,
        region: locality.map(|l| l.region.clone()).unwrap_or_default(),
        mesh,
        maintenance: String::new(),
    };
    let metadata = Metadata::new(body.meta.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())))
        .map_err(|why| Refusal::bad(format!("Invalid Service Meta: {why}")))?;
    let instance = Instance {
        key: Arc::new(InstanceKey {
            namespace: Name::default_namespace(),
            service: Name::parse("Name", name)?,
            node: given.node.clone(),
            id: Id::parse("ID", id)?,
        }),
        address: if body.address.is_empty() {
            given.node_address.into()
        } else {
            body.address.as_str().into()
        },
        ports: ports.into(),
        tags: Tags::new(body.tags.iter().map(|tag| tag.as_str().into()))?,
        metadata,
        weight,
        warning_weight: Some(warning_weight),
        zone: locality.map(|l| l.zone.as_str()).filter(|zone| !zone.is_empty()).map(Into::into),
        lifecycle: Lifecycle::Up,
        lease: None,
        origin: "consul".into(),
        annex: words.annex()?,
    };
    instance.validate()?;
    Ok(instance)
}

fn port(number: i64) -> Result<u16, Refusal> {
    u16::try_from(number)
        .map_err(|_| Refusal::bad(format!("Invalid port: {number} is not between 0 and 65535")))
}

fn ports(body: &ServiceBody) -> Result<Vec<Port>, Refusal> {
    let single = port(body.port)?;
    if body.ports.is_empty() {
        let number = Some(single).filter(|number| *number != 0);
        return Ok(number.map(|number| Port { name: "".into(), number }).into_iter().collect());
    }
    let mut named = Vec::new();
    for one in &body.ports {
        let port = Port { name: one.name.as_str().into(), number: port(one.port)? };
        // The default is the one that is meant by whoever names none.
        if one.default { named.insert(0, port) } else { named.push(port) }
    }
    if single != 0 && named.first().is_some_and(|first| first.number != single) {
        return Err(Refusal::bad("Validation failed: Port and Ports cannot both be specified"));
    }
    Ok(named)
}

/// The weight while passing, and the one while warning.
fn weights(given: &Given<'_>, body: &ServiceBody) -> Result<(u32, u32), Refusal> {
    let Some(weights) = &body.weights else { return Ok((1, 1)) };
    // Consul's own client writes zeros into the catalogue where nobody set anything.
    if !given.by_agent && (weights.passing < 1 || weights.warning < 0) {
        return Ok((1, 1));
    }
    let refuse = |why: &str| Err(Refusal::bad(format!("Invalid Weights: {why}")));
    if weights.passing < 1 {
        return refuse("Passing must be greater than 0");
    }
    if weights.warning < 0 {
        return refuse("Warning must be greater or equal than 0");
    }
    match (u16::try_from(weights.passing), u16::try_from(weights.warning)) {
        (Ok(passing), Ok(warning)) => Ok((passing.into(), warning.into())),
        _ => refuse("DNS Weight must be between 0 and 65535"),
    }
}

pub(crate) fn service_to_wire(view: &InstanceView) -> wire::Service<'_> {
    let instance = &view.instance;
    let words = Words::of(instance);
    wire::Service {
        kind: words.mesh.kind.clone(),
        id: instance.key.id.as_str(),
        service: instance.key.service.as_str(),
        tags: wire::List::of(&instance.tags),
        address: own_address(instance, &words),
        meta: wire::Pairs(Some(&instance.metadata)),
        port: instance.port().unwrap_or(0),
        ports: named_ports(instance),
        weights: weights_to_wire(instance),
        enable_tag_override: words.tag_override,
        locality: wire::Locality::of(words.region.clone(), instance.zone.as_deref().unwrap_or_default()),
        tagged_addresses: words.tagged,
        socket_path: words.socket,
        proxy: words.mesh.proxy(),
        connect: words.mesh.connect(),
        peer_name: "",
        create_index: instance.created.0,
        modify_index: instance.modified.0,
    }
}

pub(crate) fn agent_service<'a>(here: &'a Here, view: &'a InstanceView) -> wire::AgentService<'a> {
    let instance = &view.instance;
    let words = Words::of(instance);
    wire::AgentService {
        kind: words.mesh.kind.clone(),
        id: instance.key.id.as_str(),
        service: instance.key.service.as_str(),
        tags: wire::List::of(&instance.tags),
        meta: wire::Pairs(Some(&instance.metadata)),
        port: instance.port().unwrap_or(0),
        ports: named_ports(instance),
        address: own_address(instance, &words),
        weights: weights_to_wire(instance),
        enable_tag_override: words.tag_override,
        socket_path: words.socket,
        tagged_addresses: words.tagged,
        locality: wire::Locality::of(words.region.clone(), instance.zone.as_deref().unwrap_or_default()),
        proxy: words.mesh.own_proxy(),
        connect: words.mesh.own_connect(),
        content_hash: None,
        datacenter: &here.datacenter,
    }
}

pub(crate) fn catalog_row<'a>(here: &'a Here, view: &'a InstanceView) -> wire::CatalogRow<'a> {
    let instance = &view.instance;
    let words = Words::of(instance);
    let node = node_to_wire(here, view.node.as_deref(), Some(view));
    wire::CatalogRow {
        id: node.id,
        node: node.node,
        address: node.address,
        datacenter: node.datacenter,
        tagged_addresses: node.tagged_addresses,
        node_meta: node.meta,
        service_kind: words.mesh.kind.clone(),
        service_id: instance.key.id.as_str(),
        service_name: instance.key.service.as_str(),
        service_tags: wire::List::of(&instance.tags),
        service_address: own_address(instance, &words),
        service_weights: weights_to_wire(instance),
        service_meta: wire::Pairs(Some(&instance.metadata)),
        service_port: instance.port().unwrap_or(0),
        service_ports: named_ports(instance),
        service_enable_tag_override: words.tag_override,
        service_tagged_addresses: words.tagged,
        service_socket_path: words.socket,
        service_locality: wire::Locality::of(
            words.region.clone(),
            instance.zone.as_deref().unwrap_or_default(),
        ),
        service_proxy: words.mesh.proxy(),
        service_connect: words.mesh.connect(),
        create_index: instance.created.0,
        modify_index: instance.modified.0,
    }
}

fn own_address<'a>(instance: &'a Instance, words: &Words) -> Cow<'a, str> {
    if words.at_node { Cow::Borrowed("") } else { Cow::Borrowed(&*instance.address) }
}

fn weights_to_wire(instance: &Instance) -> wire::Weights {
    wire::Weights { passing: instance.weight, warning: instance.weight_at(Health::Warning) }
}

/// Only where there is more to say than one port without a name.
fn named_ports(instance: &Instance) -> Vec<wire::NamedPort<'_>> {
    match &*instance.ports {
        [] => Vec::new(),
        [only] if only.name.is_empty() => Vec::new(),
        ports => (ports.iter().enumerate())
            .map(|(i, port)| wire::NamedPort { name: &port.name, port: port.number, default: i == 0 })
            .collect(),
    }
}

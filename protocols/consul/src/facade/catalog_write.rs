//! `catalog/register` and `catalog/deregister`: what somebody else found out, written as it is.

use std::ops::Bound;

use http::StatusCode;
use switchboard_model::{Id, Metadata, Node, NodeKey, Noun, Owner, Rejection};
use switchboard_registry::View;
use switchboard_registry::plan::{DeleteCheck, DeleteNode, Deregister};

use super::health::{is_nodeless, is_ours};
use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::identity::{Here, NODELESS};
use crate::lens::{
    Given, NodeWords, check_typed_by_definition, default_only, has_id, instance_from_body, node_id,
};
use crate::plan::{RegisterInCatalog, check_on, on_node};
use crate::refusal::Refusal;
use crate::wire::{CatalogDeregister, CatalogRegister};

pub(crate) async fn register(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let body: CatalogRegister = ask.json(&state.config.limits).await?;
    state.here_only(&body.datacenter)?;
    default_only("Namespace", &body.namespace)?;
    default_only("Partition", &body.partition)?;
    if body.node.is_empty() {
        return Err(Refusal::failed("Must provide node"));
    }
    let nodeless = is_nodeless(&body.node);
    if body.address.is_empty() && !body.skip_node_update && !nodeless {
        return Err(Refusal::failed("Must provide address if SkipNodeUpdate is not set"));
    }
    let key = State::node_key(&body.node)?;
    let view = state.context.registry.view(&ask.caller)?;
    let address = match view.node(&key).and_then(|node| node.facts.node.as_ref()) {
        Some(node) if body.address.is_empty() => node.address.to_string(),
        // A node of which nothing but its name is known may at least be found by that.
        None if body.address.is_empty() => body.node.clone(),
        _ => body.address.clone(),
    };
    let node = if nodeless { None } else { Some(node(&state.here, &body, key.clone(), &address)?) };
    let renamed = match &node {
        Some(_) => state.renamed(&view, &body.id, &key)?,
        None => None,
    };
    let given = Given {
        node: node.as_ref().map(|node| node.key.node.clone()),
        node_address: &address,
        by_agent: false,
    };
    if body.service.as_ref().is_some_and(|service| !service.name.is_empty()) {
        // What agents call the name is called the service here.
        return Err(Refusal::bad("Request decode failed: json: unknown field \"Name\""));
    }
    let instance = match &body.service {
        Some(service) if service.service.is_empty() && service.name.is_empty() => {
            let why = if service.id.is_empty() {
                "Must provide service name (Service.Service)"
            } else {
                "Must provide service name (Service.Service) when service ID is provided"
            };
            return Err(Refusal::failed(why));
        }
        Some(service) => {
            Some(instance_from_body(&given, service).map_err(|refusal| inserting(&body, refusal))?)
        }
        None => None,
    };
    let mut checks = Vec::new();
    for check in body.check.iter().chain(&body.checks) {
        if !check.node.is_empty() && !check.node.eq_ignore_ascii_case(&body.node) {
            let id = if check.check_id.is_empty() { &check.name } else { &check.check_id };
            return Err(Refusal::failed(format!(
                "Node '{}' for check '{id}' doesn't match register request node '{}'",
                check.node, body.node
            )));
        }
        if check.check_id.is_empty() && check.name.is_empty() {
            let why = "failed health check lookup: index error: object is missing a value for this index";
            return Err(Refusal::failed(format!("failed inserting check on node {:?}: {why}", body.node)));
        }
        let service_id = Some(check.service_id.clone()).filter(|id| !id.is_empty());
        if nodeless && service_id.is_none() {
            return Err(Refusal::bad(format!("{NODELESS} is no node; its checks are those of its services")));
        }
        checks.push((service_id, check_typed_by_definition(Owner::Node(key.clone()), check)?));
    }
    let wish = RegisterInCatalog { node, renamed, skip_node: body.skip_node_update, instance, checks };
    match state.context.registry.submit(&ask.caller, wish).await {
        Ok(_) => Ok(Answer::bytes("true")),
        Err(Rejection::NotFound { noun: Noun::Instance, name }) => {
            let check = body.check.iter().chain(&body.checks).find(|check| check.service_id == name);
            let id = check
                .map_or("", |check| if check.check_id.is_empty() { &check.name } else { &check.check_id });
            Err(Refusal::failed(format!("Unknown service ID '{name}' for check ID '{id}'")))
        }
        Err(rejection) => Err(rejection.into()),
    }
}

/// Consul looks at what is written into the catalogue late, and says so.
fn inserting(body: &CatalogRegister, refusal: Refusal) -> Refusal {
    let service = body
        .service
        .as_ref()
        .map_or("", |service| if service.id.is_empty() { &service.service } else { &service.id });
    match refusal.text.strip_prefix("Invalid Service Meta: ") {
        Some(why) => Refusal::failed(format!(
            "failed inserting service: Invalid Service Meta for node {} and serviceID {service}: {why}",
            body.node
        )),
        None if refusal.text == "Invalid service address" => Refusal::failed(refusal.text),
        None => refusal,
    }
}

/// The id that a node is given; empty: the one that it has anyway, which is not worth a word.
pub(super) fn node_id_of(here: &Here, given: &str, node: &str) -> Result<String, Refusal> {
    if given.is_empty() {
        return Ok(String::new());
    }
    let id = uuid::Uuid::parse_str(given).ok().filter(|_| given.len() == 36);
    let id = id.ok_or_else(|| Refusal::failed(format!("Bad node ID: {}", malformed(given))))?;
    Ok(if id == node_id(&here.datacenter, node) { String::new() } else { id.to_string() })
}

/// What is wrong with an id.
fn malformed(id: &str) -> String {
    if id.len() != 36 {
        return "uuid string is wrong length".to_owned();
    }
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let misplaced = id.char_indices().any(|(at, c)| is_dash(at) != (c == '-'));
    match id.chars().find(|c| *c != '-' && !c.is_ascii_hexdigit()) {
        Some(c) if !misplaced => {
            format!("encoding/hex: invalid byte: U+{:04X} {c:?}", u32::from(c))
        }
        _ => "uuid is improperly formatted".to_owned(),
    }
}

fn node(here: &Here, body: &CatalogRegister, key: NodeKey, address: &str) -> Result<Node, Refusal> {
    let id = node_id_of(here, &body.id, &body.node)?;
    let is_nowhere = body.address.is_empty();
    let words = NodeWords { id, tagged: body.tagged_addresses.clone(), is_nowhere, ..NodeWords::default() };
    let words = words.at(body.locality.as_ref());
    let metadata = Metadata::new(body.meta.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())))?;
    Ok(Node { key, address: address.into(), metadata, annex: words.annex()? })
}

pub(crate) async fn deregister(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let body: CatalogDeregister = ask.json(&state.config.limits).await?;
    state.here_only(&body.datacenter)?;
    default_only("Namespace", &body.namespace)?;
    default_only("Partition", &body.partition)?;
    if body.node.is_empty() {
        return Err(Refusal::failed("Must provide node"));
    }
    let registry = &state.context.registry;
    let view = registry.view(&ask.caller)?;
    let key = State::node_key(&body.node)?;
    let node = (!is_nodeless(&body.node)).then_some(&key);
    // What is gone already is as it should be.
    if !body.service_id.is_empty() {
        if let Some(instance) = on_node(&view, node, &body.service_id) {
            registry.submit(&ask.caller, Deregister { key: instance.clone() }).await?;
        }
    } else if !body.check_id.is_empty() {
        Id::parse("CheckID", &body.check_id)?;
        if let Some(key) = check_on(&view, &key, &body.check_id) {
            registry.submit(&ask.caller, DeleteCheck { key }).await?;
        }
    } else if node.is_none() {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            format!("{NODELESS} stands for all instances without a node"),
        ));
    } else if view.node(&key).is_some() {
        registry.submit(&ask.caller, DeleteNode { key, with_instances: true }).await?;
    }
    Ok(Answer::bytes("true"))
}

impl State {
    /// The node that had this id under another name. Nobody has it where a node is written again as it was.
    fn renamed(&self, view: &View, id: &str, node: &NodeKey) -> Result<Option<NodeKey>, Refusal> {
        let Ok(id) = uuid::Uuid::parse_str(id) else { return Ok(None) };
        let datacenter = &self.here.datacenter;
        let known = |key: &NodeKey| view.node(key).and_then(|node| node.facts.node.as_ref());
        if known(node).is_some_and(|node| has_id(datacenter, node, id))
            || id == node_id(datacenter, node.node.as_str())
        {
            return Ok(None);
        }
        if id.to_string() == self.here.node_id && *node != self.here.own().key() {
            let why =
                format!("Node ID {id} is that of this registry's own node {:?}", self.here.node.as_str());
            return Err(Refusal::failed(why));
        }
        let nodes = view.nodes(Bound::Unbounded).filter(|other| is_ours(&other.facts.key.namespace));
        let mut nodes = nodes.filter_map(|other| other.facts.node.as_ref());
        Ok(nodes
            .find(|other| other.key != *node && has_id(datacenter, other, id))
            .map(|other| other.key.clone()))
    }

    pub(super) fn here_only(&self, datacenter: &str) -> Result<(), Refusal> {
        if datacenter.is_empty() || datacenter.eq_ignore_ascii_case(&self.here.datacenter) {
            return Ok(());
        }
        Err(Refusal::failed("No path to datacenter"))
    }
}

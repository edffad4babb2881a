//! `catalog/register` and `catalog/deregister`: what somebody else found out, written as it is.

use http::StatusCode;
use switchboard_model::{Id, NODELESS, NodeKey, Noun, Owner, Rejection};
use switchboard_registry::plan::{DeleteCheck, DeleteNode, Deregister};

use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::{
    Given, NodeGiven, check_typed_by_definition, default_only, instance_from_body, node_from_words, node_id,
};
use crate::plan::{NodeId, RegisterInCatalog, WriteNode, check_on, on_node};
use crate::refusal::Refusal;
use crate::scope::is_nodeless;
use crate::wire::{CatalogDeregister, CatalogRegister, ServiceBody};

pub(crate) async fn register(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let body: CatalogRegister = ask.json(&state.config.limits).await?;
    let key = state.node_here(&body.datacenter, &body.namespace, &body.partition, &body.node)?;
    let nodeless = is_nodeless(&body.node);
    if body.address.is_empty() && !body.skip_node_update && !nodeless {
        return Err(Refusal::failed("Must provide address if SkipNodeUpdate is not set"));
    }
    let view = state.context.registry.view(&ask.caller)?;
    let address = match view.node(&key).and_then(|node| node.facts.node.as_ref()) {
        Some(node) if body.address.is_empty() => node.address.to_string(),
        // A node of which nothing but its name is known may at least be found by that.
        None if body.address.is_empty() => body.node.clone(),
        _ => body.address.clone(),
    };
    let node = match nodeless {
        true => None,
        false => Some(state.node(&body, &address)?),
    };
    let given = Given {
        node: node.as_ref().map(|write| write.node.key.node.clone()),
        node_address: &address,
        by_agent: false,
    };
    let service = body.service.as_ref().map(|service| &service.0);
    let instance = match service {
        Some(service) if service.name.is_empty() => {
            let why = if service.id.is_empty() {
                "Must provide service name (Service.Service)"
            } else {
                "Must provide service name (Service.Service) when service ID is provided"
            };
            return Err(Refusal::failed(why));
        }
        Some(service) => Some(
            instance_from_body(&given, service).map_err(|refusal| inserting(&body.node, service, refusal))?,
        ),
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
    let wish = RegisterInCatalog { node, instance, checks };
    match state.context.registry.submit(&ask.caller, wish).await {
        Ok(_) => Ok(Answer::bytes("true")),
        Err(Rejection::NotFound { noun: Noun::Instance, name }) => {
            let check = body.check.iter().chain(&body.checks).find(|check| check.service_id == name);
            let id = check
                .map_or("", |check| if check.check_id.is_empty() { &check.name } else { &check.check_id });
            Err(Refusal::failed(format!("Unknown service ID '{name}' for check ID '{id}'")))
        }
        Err(Rejection::Invalid { field, why }) if field.is_empty() => {
            Err(Refusal::failed(format!("failed inserting node: {why}")))
        }
        Err(rejection) => Err(rejection.into()),
    }
}

/// Consul looks at what is written into the catalogue late, and says so.
fn inserting(node: &str, service: &ServiceBody, refusal: Refusal) -> Refusal {
    let id = if service.id.is_empty() { &service.name } else { &service.id };
    match refusal.text.strip_prefix("Invalid Service Meta: ") {
        Some(why) => Refusal::failed(format!(
            "failed inserting service: Invalid Service Meta for node {node} and serviceID {id}: {why}"
        )),
        None if refusal.text == "Invalid service address" => Refusal::failed(refusal.text),
        None => refusal,
    }
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

pub(crate) async fn deregister(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let body: CatalogDeregister = ask.json(&state.config.limits).await?;
    let key = state.node_here(&body.datacenter, &body.namespace, &body.partition, &body.node)?;
    let registry = &state.context.registry;
    let view = registry.view(&ask.caller)?;
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
    /// The node that something in the catalogue is about.
    fn node_here(
        &self,
        datacenter: &str,
        namespace: &str,
        partition: &str,
        name: &str,
    ) -> Result<NodeKey, Refusal> {
        self.here_only(datacenter)?;
        default_only("Namespace", namespace)?;
        default_only("Partition", partition)?;
        if name.is_empty() {
            return Err(Refusal::failed("Must provide node"));
        }
        State::node_key(name)
    }

    fn node(&self, body: &CatalogRegister, found: &str) -> Result<WriteNode, Refusal> {
        let id = self.given_id(&body.id).map_err(|why| Refusal::failed(format!("Bad node ID: {why}")))?;
        let given = NodeGiven {
            name: &body.node,
            address: &body.address,
            tagged: &body.tagged_addresses,
            meta: &body.meta,
            locality: body.locality.as_ref(),
            datacenter: "",
        };
        Ok(WriteNode { only_if_new: body.skip_node_update, ..self.write_node(given, id, found)? })
    }

    /// `found` is where the node is found if it does not say.
    pub(super) fn write_node(
        &self,
        given: NodeGiven<'_>,
        id: Option<NodeId>,
        found: &str,
    ) -> Result<WriteNode, Refusal> {
        // The id that a node of this name has anyway is not worth a word.
        let made = node_id(&self.here.datacenter, given.name);
        let kept = id.as_ref().filter(|id| id.id != made).map(|id| id.id.to_string());
        let node = node_from_words(&given, kept, &self.here.datacenter, found)?;
        let own = &self.here.node_id;
        if id.as_ref().is_some_and(|id| id.id.to_string() == *own) && node.key != self.here.own().key() {
            let name = self.here.node.as_str();
            return Err(Refusal::failed(format!(
                "Node ID {own} is that of this registry's own node {name:?}"
            )));
        }
        Ok(WriteNode { node, id, only_if_new: false })
    }

    /// The id that a node is given. Err: what is wrong with it.
    pub(super) fn given_id(&self, given: &str) -> Result<Option<NodeId>, String> {
        if given.is_empty() {
            return Ok(None);
        }
        let id = uuid::Uuid::parse_str(given).ok().filter(|_| given.len() == 36);
        let id = id.ok_or_else(|| malformed(given))?;
        Ok(Some(NodeId { id, datacenter: self.here.datacenter.as_str().into() }))
    }

    pub(super) fn here_only(&self, datacenter: &str) -> Result<(), Refusal> {
        if datacenter.is_empty() || datacenter == self.here.datacenter {
            return Ok(());
        }
        Err(Refusal::failed("No path to datacenter"))
    }
}

//! `agent/…` and `status/…`, as far as they are read: what the agent of the client's node knows.

use std::collections::{BTreeMap, hash_map::DefaultHasher};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use switchboard_model::{DEFAULT_NAMESPACE, Lifecycle, Selector};
use switchboard_registry::{InstanceView, Snapshot};
use tokio::time::Instant;

use super::{Shared, State, filter_of, filtered};
use crate::answer::{Answer, encode};
use crate::ask::Ask;
use crate::block::Woken;
use crate::filter::shapes;
use crate::identity::Agent;
use crate::lens::{agent_service, checks_of, checks_of_node};
use crate::near::coordinate_of;
use crate::plan::on_node;
use crate::refusal::Refusal;
use crate::scope;
use crate::wire::{self, Coordinate};

pub(crate) async fn own(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let here = &state.here;
    let agent = here.agent_of(&ask)?;
    let id = here.id_of(&agent);
    let view = state.context.registry.view(&ask.caller).ok();
    let coord =
        view.and_then(|view| coordinate_of(here, &view, &agent.key())).unwrap_or_else(Coordinate::origin);
    Ok(Answer::json(&json!({
        "Config": {
            "Datacenter": here.datacenter,
            "PrimaryDatacenter": here.datacenter,
            "NodeName": agent.name.as_str(),
            "NodeID": id,
            "Revision": "",
            "Server": agent.is_own,
            "Version": state.config.version,
            "BuildDate": "1970-01-01T00:00:01Z",
            "SessionTTLMin": 10_000_000_000_u64,
        },
        "DebugConfig": { "EnableDebug": false },
        "Coord": coord,
        "Member": state.member(&agent),
        "Stats": {
            "switchboard": { "version": state.context.about.version, "engine": state.context.about.engine },
        },
        "Meta": here.node_meta_of(&agent),
    })))
}

pub(crate) async fn members(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let filter = filter_of(&ask, &shapes::AGENT_MEMBER)?;
    match (ask.get("segment"), ask.get("wan")) {
        (Some(_), Some(_)) => return Err(Refusal::bad("Cannot provide a segment with wan=true")),
        // There is only the segment without a name.
        (None | Some("_all"), _) => {}
        (Some(_), None) => {
            return Err(Refusal::failed("Network segments are not supported in this version of Consul"));
        }
    }
    let mut own = state.here.own();
    if ask.get("wan").is_some() {
        let name = format!("{}.{}", own.name, state.here.datacenter);
        own.name = switchboard_model::Name::parse("node", &name)?;
    }
    Ok(Answer::json(&filtered(filter.as_ref(), vec![state.member(&own)])?))
}

impl State {
    fn member(&self, agent: &Agent) -> Value {
        json!({
            "Name": agent.name.as_str(),
            "Addr": agent.address,
            "Port": self.here.http_port,
            "Tags": {
                "role": if agent.is_own { "consul" } else { "node" },
                "dc": self.here.datacenter,
                "id": self.here.id_of(agent),
                "build": format!("{}:", self.config.version),
                "vsn": "2",
            },
            "Status": 1,
            "ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2,
            "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4,
        })
    }
}

pub(crate) async fn version(state: Shared, _ask: Ask) -> Result<Answer, Refusal> {
    Ok(Answer::json(&json!({
        "SHA": "",
        "BuildDate": "1970-01-01T00:00:01Z",
        "HumanVersion": state.config.version,
        "FIPS": "",
    })))
}

pub(crate) async fn leader(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    state.context.registry.view(&ask.caller)?;
    Ok(Answer::json(&state.here.http_address()))
}

pub(crate) async fn peers(state: Shared, _ask: Ask) -> Result<Answer, Refusal> {
    Ok(Answer::json(&[state.here.http_address()]))
}

/// What is registered on the agent's node.
fn on_agent<'a>(view: &'a Snapshot, agent: &Agent) -> impl Iterator<Item = &'a Arc<InstanceView>> {
    view.node(&agent.key()).into_iter().flat_map(|node| scope::members(view, node))
}

fn by_id<'a>(view: &'a Snapshot, agent: &Agent, id: &str) -> Option<&'a Arc<InstanceView>> {
    on_node(view, Some(&agent.key()), id).and_then(|key| view.instance(key))
}

pub(crate) async fn services(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let filter = filter_of(&ask, &shapes::AGENT_SERVICE)?;
    let view = state.context.registry.view(&ask.caller)?;
    let agent = state.here.agent_of(&ask)?;
    let services: Vec<_> = on_agent(&view, &agent).map(|view| agent_service(&state.here, view)).collect();
    let services = filtered(filter.as_ref(), services)?;
    let services: BTreeMap<_, _> = services.into_iter().map(|service| (service.id, service)).collect();
    Ok(Answer::json(&services))
}

pub(crate) async fn checks(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let filter = filter_of(&ask, &shapes::AGENT_CHECK)?;
    let view = state.context.registry.view(&ask.caller)?;
    let agent = state.here.agent_of(&ask)?;
    let mut checks: Vec<wire::Check<'_>> = Vec::new();
    if let Some(node) = view.node(&agent.key()) {
        // The agent does not watch itself.
        checks.extend(
            checks_of_node(&node.facts, state.output())
                .filter(|check| check.check_id != crate::identity::SERF),
        );
    }
    checks.extend(on_agent(&view, &agent).flat_map(|view| checks_of(view, state.output(), false)));
    let checks = filtered(filter.as_ref(), checks)?;
    let checks: BTreeMap<String, _> =
        checks.into_iter().map(|check| (check.check_id.to_string(), check)).collect();
    Ok(Answer::json(&checks))
}

pub(crate) async fn service(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let id = ask.rest.as_str();
    let registry = &state.context.registry;
    let agent = state.here.agent_of(&ask)?;
    let until = Instant::now() + ask.blocking()?.wait;
    let mut is_over = false;
    let missing = || Refusal::missing(format!("unknown service ID: {id}"));
    loop {
        let view = registry.view(&ask.caller)?;
        let found = by_id(&view, &agent, id).ok_or_else(missing)?;
        let mut service = agent_service(&state.here, found);
        let hash = hash_of(&service);
        if is_over || ask.get("hash").is_none_or(|have| have != hash) {
            service.content_hash = Some(hash.clone());
            return Ok(Answer::json(&service).with("x-consul-contenthash", &hash));
        }
        let selector = Selector::Service(found.key().service_key());
        let mut watch = registry.watch(&ask.caller, &selector, view.revision())?;
        drop(view);
        let left = until.saturating_duration_since(Instant::now());
        is_over = matches!(state.wait(&mut watch, left, |_| true).await?, Woken::TooLate);
    }
}

fn hash_of<T: Serialize>(value: &T) -> String {
    let mut hasher = DefaultHasher::new();
    encode(value).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

pub(crate) async fn health_by_id(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let id = ask.rest("Missing serviceID").map_err(|refusal| Refusal::failed(refusal.text))?;
    let view = state.context.registry.view(&ask.caller)?;
    let agent = state.here.agent_of(&ask)?;
    let Some(found) = by_id(&view, &agent, id) else {
        let reason = format!("ServiceId {id} not found");
        let nothing = wire::AgentHealth { aggregated_status: "critical", service: None, checks: None };
        return Ok(told(&ask, StatusCode::NOT_FOUND, &reason, &nothing));
    };
    let (word, status) = aggregated(found);
    Ok(told(&ask, status, word, &state.agent_health(found, word)))
}

pub(crate) async fn health_by_name(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing service Name").map_err(|refusal| Refusal::failed(refusal.text))?;
    let view = state.context.registry.view(&ask.caller)?;
    let agent = state.here.agent_of(&ask)?;
    let service = view.service(DEFAULT_NAMESPACE, name);
    let found: Vec<_> = service
        .iter()
        .flat_map(|service| service.instances())
        // The agent looks for the name as it was registered.
        .filter(|view| view.key().service.as_str() == name && view.key().node.as_ref() == Some(&agent.name))
        .collect();
    let worst = found.iter().map(|view| aggregated(view)).max_by_key(|(word, _)| severity(word));
    let Some((word, status)) = worst else {
        let reason = format!("ServiceName {name} Not Found");
        return Ok(told(&ask, StatusCode::NOT_FOUND, &reason, &Value::Array(Vec::new())));
    };
    let all: Vec<_> = found.iter().map(|view| state.agent_health(view, aggregated(view).0)).collect();
    Ok(told(&ask, status, word, &all))
}

impl State {
    fn agent_health<'a>(&'a self, view: &'a InstanceView, word: &'static str) -> wire::AgentHealth<'a> {
        let mut checks = checks_of(view, self.output(), false);
        let of_node = view.node.iter().flat_map(|node| checks_of_node(node, self.output()));
        checks.extend(of_node.filter(|check| check.check_id != crate::identity::SERF));
        wire::AgentHealth {
            aggregated_status: word,
            service: Some(agent_service(&self.here, view)),
            checks: Some(checks),
        }
    }
}

fn told<T: Serialize>(ask: &Ask, status: StatusCode, reason: &str, value: &T) -> Answer {
    let accept =
        ask.headers.get(http::header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let as_text = ask.get("format") == Some("text") || accept.starts_with("text/plain");
    let answer = if as_text { Answer::word(reason) } else { Answer::json(value) };
    answer.with_status(status).with("x-consul-reason", reason)
}

fn severity(word: &str) -> u8 {
    match word {
        "maintenance" => 3,
        "critical" => 2,
        "warning" => 1,
        _ => 0,
    }
}

/// An instance's health in one word, and as a status of HTTP.
fn aggregated(view: &InstanceView) -> (&'static str, StatusCode) {
    use switchboard_model::Health::{
        Critical, Draining, Lapsed, OutOfService, Passing, Starting, Suspect, Warning,
    };
    let in_maintenance = view.instance.lifecycle != Lifecycle::Up
        || view
            .node
            .iter()
            .flat_map(|node| node.checks.iter())
            .any(|check| check.key.id.as_str() == "_node_maintenance");
    match view.health {
        _ if in_maintenance => ("maintenance", StatusCode::SERVICE_UNAVAILABLE),
        Passing | Suspect => ("passing", StatusCode::OK),
        Warning => ("warning", StatusCode::TOO_MANY_REQUESTS),
        Critical | Lapsed | Starting | Draining | OutOfService => {
            ("critical", StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

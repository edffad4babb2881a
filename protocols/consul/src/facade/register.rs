//! `agent/service/…` and `agent/check/…`, as far as they write.

use std::sync::Arc;

use switchboard_model::{CheckKey, Id, InstanceKey, Noun, Owner, Rejection};
use switchboard_registry::View;
use switchboard_registry::plan::{DeleteCheck, Deregister};

use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::{Ask, go_bool};
use crate::identity::Agent;
use crate::lens::{Given, Place, check_from_body, instance_from_body};
use crate::plan::{MaintainInstance, MaintainNode, PutAgentCheck, RegisterService, check_on, on_node};
use crate::refusal::Refusal;
use crate::wire::{AgentCheckBody, AgentServiceBody, CheckBody, ServiceBody};

pub(crate) async fn service(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let AgentServiceBody(body) = ask.json(&state.config.limits).await?;
    let agent = state.here.agent_of(&ask)?;
    let replace_checks = ask.has("replace-existing-checks")
        && matches!(ask.get("replace-existing-checks"), None | Some("true"));
    let wish = state.registration(&agent, &body, replace_checks)?;
    state.context.registry.submit(&ask.caller, wish).await?;
    Ok(Answer::empty())
}

impl State {
    pub(crate) fn registration(
        &self,
        agent: &Agent,
        body: &ServiceBody,
        replace_checks: bool,
    ) -> Result<RegisterService, Refusal> {
        let given = Given { node: Some(agent.name.clone()), node_address: &agent.address, by_agent: true };
        let instance = instance_from_body(&given, body)?;
        let bodies = body.check.iter().chain(&body.checks).map(|check| &check.0);
        let bodies: Vec<&CheckBody> = bodies.filter(|check| **check != CheckBody::default()).collect();
        let mut checks = Vec::with_capacity(bodies.len());
        for (n, check) in (1..).zip(&bodies) {
            let service = &instance.key.id;
            let default = if bodies.len() == 1 {
                format!("service:{service}")
            } else {
                format!("service:{service}:{n}")
            };
            let place = Place {
                owner: Owner::Instance(instance.key.clone()),
                id: if check.id.is_empty() { &default } else { &check.id },
                name: &format!("Service '{}' check", instance.key.service),
                alone: false,
                is_elsewhere: !agent.is_own,
            };
            checks.push(check_from_body(&place, check)?);
        }
        Ok(RegisterService { on: self.ensure(agent, false)?, instance, checks, replace_checks })
    }

    /// The instance that a client means: on its own node, or else the only one anywhere.
    pub(super) fn meant<'a>(
        &self,
        view: &'a View,
        agent: &Agent,
        id: &'a str,
    ) -> Result<&'a Arc<InstanceKey>, Refusal> {
        if let Some(own) = on_node(view, Some(&agent.key()), id) {
            return Ok(own);
        }
        match view.find_instance(switchboard_model::DEFAULT_NAMESPACE, id, None, None) {
            Ok(found) => Ok(found.key()),
            Err(Rejection::NotFound { .. }) => Err(Refusal::unknown_service(id)),
            Err(rejection) => Err(rejection.into()),
        }
    }

    /// The check that a client means: on its own node, or else the only one anywhere.
    pub(super) fn meant_check(&self, view: &View, agent: &Agent, id: &str) -> Result<CheckKey, Refusal> {
        // That the agent is there is nothing that it could be told.
        if id.is_empty() || id == crate::identity::SERF {
            return Err(Refusal::unknown_check(id));
        }
        Id::parse("CheckID", id)?;
        if let Some(own) = check_on(view, &agent.key(), id) {
            return Ok(own);
        }
        let mut found = None;
        for node in view.nodes(std::ops::Bound::Unbounded) {
            let Some(key) = check_on(view, &node.facts.key, id) else { continue };
            if let Some(first) = found.replace(key.clone()) {
                let candidates = vec![first.to_string(), key.to_string()];
                return Err(
                    Rejection::Ambiguous { noun: Noun::Check, name: id.to_owned(), candidates }.into()
                );
            }
        }
        found.ok_or_else(|| Refusal::unknown_check(id))
    }
}

pub(crate) async fn deregister_service(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let id = ask.rest.as_str();
    let registry = &state.context.registry;
    let agent = state.here.agent_of(&ask)?;
    let view = registry.view(&ask.caller)?;
    let key = state.meant(&view, &agent, id)?.clone();
    registry.submit(&ask.caller, Deregister { key }).await?;
    Ok(Answer::empty())
}

pub(crate) async fn service_maintenance(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let id = ask.rest("Missing service ID")?;
    let enable = enable(&ask)?;
    let registry = &state.context.registry;
    let agent = state.here.agent_of(&ask)?;
    let view = registry.view(&ask.caller)?;
    let key = state.meant(&view, &agent, id)?.clone();
    let default = "Maintenance mode is enabled for this service, but no reason was provided. This is a default message.";
    let reason = enable.then(|| ask.get("reason").unwrap_or(default).to_owned());
    registry.submit(&ask.caller, MaintainInstance { key, reason }).await?;
    Ok(Answer::empty())
}

pub(crate) async fn node_maintenance(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let enable = enable(&ask)?;
    let agent = state.here.agent_of(&ask)?;
    let default =
        "Maintenance mode is enabled for this node, but no reason was provided. This is a default message.";
    let body = crate::wire::CatalogCheck {
        check_id: "_node_maintenance".into(),
        name: "Node Maintenance Mode".into(),
        status: "critical".into(),
        notes: ask.get("reason").unwrap_or(default).to_owned(),
        kind: "maintenance".into(),
        ..Default::default()
    };
    let check = crate::lens::check_from_catalog(Owner::Node(agent.key()), &body)?;
    let wish = MaintainNode { on: state.ensure(&agent, false)?, check, enable };
    state.context.registry.submit(&ask.caller, wish).await?;
    Ok(Answer::empty())
}

fn enable(ask: &Ask) -> Result<bool, Refusal> {
    if !ask.has("enable") {
        return Err(Refusal::bad("Missing value for enable"));
    }
    let text = ask.get("enable").unwrap_or_default();
    go_bool(text).ok_or_else(|| Refusal::bad(format!("Invalid value for enable: {text:?}")))
}

pub(crate) async fn check(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let AgentCheckBody(body) = ask.json(&state.config.limits).await?;
    if body.name.is_empty() {
        return Err(Refusal::bad("Missing check name"));
    }
    let agent = state.here.agent_of(&ask)?;
    let registry = &state.context.registry;
    let view = registry.view(&ask.caller)?;
    let owner = match body.service_id.as_str() {
        "" => Owner::Node(agent.key()),
        id => {
            let missing = || Refusal::missing(format!("ServiceID {id:?} does not exist"));
            Owner::Instance(on_node(&view, Some(&agent.key()), id).ok_or_else(missing)?.clone())
        }
    };
    let id = if body.id.is_empty() { &body.name } else { &body.id };
    let place = Place { owner, id, name: &body.name, alone: true, is_elsewhere: !agent.is_own };
    let check = check_from_body(&place, &body)?;
    registry.submit(&ask.caller, PutAgentCheck { on: state.ensure(&agent, false)?, check }).await?;
    Ok(Answer::empty())
}

pub(crate) async fn deregister_check(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let id = ask.rest.as_str();
    let registry = &state.context.registry;
    let agent = state.here.agent_of(&ask)?;
    let key = state.meant_check(&registry.view(&ask.caller)?, &agent, id)?;
    registry.submit(&ask.caller, DeleteCheck { key }).await?;
    Ok(Answer::empty())
}

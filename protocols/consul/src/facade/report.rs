//! `agent/check/pass|warn|fail|update`: a provider's word on a check.

use switchboard_model::{Noun, Probe, Rejection, Status};

use super::Shared;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::{as_status, cut};
use crate::refusal::Refusal;
use crate::wire::CheckUpdate;

pub(crate) async fn pass(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let note = ask.get("note").unwrap_or_default().to_owned();
    report(&state, &ask, Status::Passing, &note).await
}

pub(crate) async fn warn(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let note = ask.get("note").unwrap_or_default().to_owned();
    report(&state, &ask, Status::Warning, &note).await
}

pub(crate) async fn fail(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let note = ask.get("note").unwrap_or_default().to_owned();
    report(&state, &ask, Status::Critical, &note).await
}

pub(crate) async fn update(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let body: CheckUpdate = ask.json(&state.config.limits).await?;
    let status = as_status(&body.status)
        .ok_or_else(|| Refusal::bad(format!("Invalid check status: '{}'", body.status)))?;
    report(&state, &ask, status, &body.output).await
}

async fn report(state: &Shared, ask: &Ask, status: Status, output: &str) -> Result<Answer, Refusal> {
    let id = ask.rest.as_str();
    let registry = &state.context.registry;
    let view = registry.view(&ask.caller)?;
    let key = state.meant_check(&view, &state.here.agent_of(ask)?, id)?;
    let check = view.check(&key).ok_or_else(|| Rejection::not_found(Noun::Check, id))?;
    if !matches!(check.probe, Probe::Ttl { .. }) {
        return Err(Refusal::failed(format!("CheckID {id:?} does not have associated TTL")));
    }
    registry.report(&ask.caller, &key, status, &cut(check, output)).await?;
    Ok(Answer::empty())
}

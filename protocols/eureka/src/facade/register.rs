use http::StatusCode;
use switchboard_model::Name;
use switchboard_registry::Caller;
use switchboard_registry::plan::Intent;

use super::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::{find, instance_from_wire};
use crate::plan::{Enrol, Enrolled};
use crate::refusal::Refusal;
use crate::wire::InstanceInfo;

/// `POST apps/{app}`. Clients expect 204 and nothing else.
pub(crate) async fn register(state: &State, mut ask: Ask, app: &str) -> Result<Answer, Refusal> {
    let info = ask.instance(&state.config.limits).await?;
    enrol(state, &ask.caller, &ask.namespace, app, info, ask.by_peer).await?;
    Ok(Answer::status(StatusCode::NO_CONTENT))
}

pub(crate) async fn enrol(
    state: &State,
    caller: &Caller,
    namespace: &Name,
    app: &str,
    info: InstanceInfo,
    by_peer: bool,
) -> Result<Enrolled, Refusal> {
    let given = instance_from_wire(namespace, app, info)?;
    let wish = Enrol { given, linger: state.config.linger.0, by_peer };
    let enrolled = match nothing_new(state, caller, &wish)? {
        Some(enrolled) => enrolled,
        None => state.context.registry.submit(caller, wish).await?.reply,
    };
    let (Enrolled::Taken { key } | Enrolled::Kept { key }) = &enrolled;
    // A registration is a sign of life, also where it changed nothing.
    let view = state.context.registry.view(caller)?;
    if let Some(found) = view.instance(key) {
        state.keep_alive(caller, found).await?;
    }
    Ok(enrolled)
}

/// Whether all of it is known already, so that nobody has to wait for the one who writes.
fn nothing_new(state: &State, caller: &Caller, wish: &Enrol) -> Result<Option<Enrolled>, Refusal> {
    let view = state.context.registry.view(caller)?;
    let key = &wish.given.instance.key;
    if find(&view, key.namespace.as_str(), key.service.as_str(), key.id.as_str()).is_none() {
        return Ok(None);
    }
    let planned = wish.plan(&view, state.context.registry.now())?;
    Ok(planned.plan.is_empty().then_some(planned.reply))
}

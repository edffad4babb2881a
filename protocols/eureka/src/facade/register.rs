use http::StatusCode;
use switchboard_model::Name;
use switchboard_registry::Caller;

use super::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::instance_from_wire;
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
    let committed = state.context.registry.submit(caller, wish).await?;
    let (Enrolled::Taken { key } | Enrolled::Kept { key }) = &committed.reply;
    // A registration is a sign of life, also where it changed nothing.
    let view = state.context.registry.view(caller)?;
    if let Some(found) = view.instance(key) {
        state.keep_alive(caller, found).await?;
    }
    Ok(committed.reply)
}

use super::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::plan::AddMetadata;
use crate::refusal::Refusal;

/// `PUT apps/{app}/{id}/metadata?key=value`.
pub(crate) async fn put(state: &State, ask: &Ask, app: &str, id: &str) -> Result<Answer, Refusal> {
    let found = state.find(&ask.caller, &ask.namespace, app, id)?;
    let wish = AddMetadata { key: found.key().clone(), pairs: ask.pairs() };
    state.context.registry.submit(&ask.caller, wish).await?;
    Ok(Answer::ok())
}

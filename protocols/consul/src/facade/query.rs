//! `query`: prepared queries, kept and told.

use http::{Method, StatusCode};
use serde_json::json;
use switchboard_registry::View;

use super::{Shared, State, query_run};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::block::Index;
use crate::lens::check_query;
use crate::plan::{DeleteQuery, PutQuery};
use crate::queries::KEYSPACE;
use crate::refusal::Refusal;
use crate::scope::all_of;
use crate::wire::QueryBody;

/// Without an id: all of them, or a new one.
pub(crate) async fn general(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    if ask.method == Method::GET {
        let (view, index) = state.settle_queries(&ask).await?;
        let queries = state.queries.at(&view);
        let all: Vec<_> = queries.all().map(QueryBody::out).collect();
        return Ok(Answer::json(&all).at(&ask, index));
    }
    let mut query: QueryBody = ask.json(&state.config.limits).await?;
    if !query.id.is_empty() {
        return Err(Refusal::failed("ID must be empty when creating a new prepared query"));
    }
    valid(&query)?;
    query.id = uuid::Uuid::new_v4().to_string();
    let id = query.id.clone();
    state.keep(&ask, query, true).await?;
    Ok(Answer::json(&json!({ "ID": id })))
}

/// By id, or by id or name to be executed.
pub(crate) async fn specific(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let only_get = |ask: &Ask| match ask.method {
        Method::GET => Ok(()),
        _ => {
            let text = format!("method {} not allowed", ask.method);
            let allow = Some("GET");
            Err(Refusal { allow, ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text) })
        }
    };
    if let Some(name) = ask.rest.strip_suffix("/execute") {
        only_get(&ask)?;
        let name = name.to_owned();
        return query_run::execute(state, ask, &name).await;
    }
    if let Some(name) = ask.rest.strip_suffix("/explain") {
        only_get(&ask)?;
        let name = name.to_owned();
        return query_run::explain(state, ask, &name).await;
    }
    match ask.method {
        Method::GET => get(state, ask).await,
        Method::PUT => put(state, ask).await,
        _ => delete(state, ask).await,
    }
}

async fn get(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    if ask.rest.len() != 36 {
        let text = "failed prepared query lookup: index error: UUID must be 36 characters";
        return Err(Refusal { index: Some(1), ..Refusal::failed(text) });
    }
    let (view, index) = state.settle_queries(&ask).await?;
    let queries = state.queries.at(&view);
    match queries.by_id(&ask.rest) {
        Some(query) => Ok(Answer::json(&[query.out()]).at(&ask, index)),
        None => Err(Refusal { index: Some(index), ..query_run::not_found() }),
    }
}

async fn put(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let bytes = ask.bytes(&state.config.limits, usize::MAX).await?;
    let mut query: QueryBody =
        if bytes.is_empty() { QueryBody::default() } else { crate::ask::decode(&bytes)? };
    // The path says which, whatever the body says.
    query.id = ask.rest.clone();
    let view = state.context.registry.view(&ask.caller)?;
    if state.queries.at(&view).by_id(&query.id).is_none() {
        return Err(Refusal::failed(format!("Cannot modify non-existent prepared query: '{}'", query.id)));
    }
    valid(&query)?;
    state.keep(&ask, query, false).await?;
    Ok(Answer::empty())
}

async fn delete(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let wish = DeleteQuery { id: ask.rest.clone() };
    state.context.registry.submit(&ask.caller, wish).await?.reply.map_err(Refusal::failed)?;
    Ok(Answer::empty())
}

fn valid(query: &QueryBody) -> Result<(), Refusal> {
    check_query(query).map_err(|why| Refusal::failed(format!("Invalid prepared query: {why}")))
}

impl State {
    async fn keep(&self, ask: &Ask, query: QueryBody, is_new: bool) -> Result<(), Refusal> {
        let known = self.queries.at(&*self.context.registry.view(&ask.caller)?);
        let wish = PutQuery { query, is_new, known };
        self.context.registry.submit(&ask.caller, wish).await?.reply.map_err(Refusal::failed)
    }

    async fn settle_queries(&self, ask: &Ask) -> Result<(View, u64), Refusal> {
        let index = |view: &View| Index::Exact(view.touched().entries(KEYSPACE));
        self.settle(ask, || all_of(KEYSPACE), |_| true, index).await
    }
}

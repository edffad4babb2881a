use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use switchboard_model::{CheckKey, Noun, Owner};
use switchboard_registry::Snapshot;
use switchboard_registry::plan::{DeleteCheck, PutCheck};

use super::instances::{Named, report_on};
use super::{Shared, State as Native, missing};
use crate::answer;
use crate::ask::{Ask, json};
use crate::lens;
use crate::refusal::Refusal;
use crate::wire::{self, CheckBody, Done, Refusals, ReportBody};

/// The checks of an instance
#[utoipa::path(
    get, path = "/v1/instances/{id}/checks", tag = "checks", operation_id = "list_checks",
    params(
        ("id" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query), ("node" = Option<String>, Query),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = Vec<wire::Check>), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn list(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let named = Named::take(&mut ask)?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let registry = &native.context.registry;
    let checks = named.find(&view)?.checks.iter();
    let checks: Vec<_> =
        checks.map(|check| lens::check_to_wire(check, registry.output(&check.key))).collect();
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&checks)))
}

/// One check of an instance
#[utoipa::path(
    get, path = "/v1/instances/{id}/checks/{check}", tag = "checks", operation_id = "get_check",
    params(
        ("id" = String, Path),
        ("check" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query), ("node" = Option<String>, Query),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = wire::Check), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn get(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let named = Named::take(&mut ask)?;
    let id = ask.path_id("check")?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let key = CheckKey { owner: Owner::Instance(named.find(&view)?.key().clone()), id };
    read_check(&native, &ask, &view, &key)
}

/// Add a check to an instance, or redefine one
///
/// A check that exists keeps its status.
#[utoipa::path(
    put, path = "/v1/instances/{id}/checks/{check}", tag = "checks", operation_id = "put_check",
    params(
        ("id" = String, Path),
        ("check" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query), ("node" = Option<String>, Query)
    ),
    // The same without `id`, as `describe.rs` has it.
    request_body = CheckBody,
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn put(State(native): State<Shared>, mut ask: Ask, body: Body) -> Result<Response, Refusal> {
    let view = native.context.registry.view(&ask.caller)?;
    let key = key(&mut ask, &view)?;
    put_check(&native, &ask, key, body).await
}

/// Remove a check from an instance
#[utoipa::path(
    delete, path = "/v1/instances/{id}/checks/{check}", tag = "checks", operation_id = "delete_check",
    params(
        ("id" = String, Path),
        ("check" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query), ("node" = Option<String>, Query)
    ),
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn delete(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let view = native.context.registry.view(&ask.caller)?;
    let key = key(&mut ask, &view)?;
    delete_check(&native, &ask, key).await
}

/// Report on a check of an instance
///
/// A check of type ttl waits for this.
#[utoipa::path(
    put, path = "/v1/instances/{id}/checks/{check}/status", tag = "checks", operation_id = "report_check",
    params(
        ("id" = String, Path),
        ("check" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query), ("node" = Option<String>, Query)
    ),
    request_body = ReportBody,
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn report(
    State(native): State<Shared>,
    mut ask: Ask,
    body: Body,
) -> Result<Response, Refusal> {
    let view = native.context.registry.view(&ask.caller)?;
    let key = key(&mut ask, &view)?;
    let body: ReportBody = json(&ask, body, &native.config.limits).await?;
    let id = key.id.to_string();
    report_on(&native, &ask, key, id, body).await
}

fn key(ask: &mut Ask, at: &Snapshot) -> Result<CheckKey, Refusal> {
    let named = Named::take(ask)?;
    let id = ask.path_id("check")?;
    ask.finish()?;
    Ok(CheckKey { owner: Owner::Instance(named.find(at)?.key().clone()), id })
}

pub(super) fn read_check(
    native: &Native,
    ask: &Ask,
    at: &Snapshot,
    key: &CheckKey,
) -> Result<Response, Refusal> {
    let check = at.check(key).ok_or_else(|| missing(Noun::Check, key.id.as_str()))?;
    let body = lens::check_to_wire(check, native.context.registry.output(&check.key));
    Ok(answer::read(&ask.headers, at.revision(), answer::encode(&body)))
}

pub(super) async fn put_check(
    native: &Native,
    ask: &Ask,
    key: CheckKey,
    body: Body,
) -> Result<Response, Refusal> {
    let mut body: CheckBody = json(ask, body, &native.config.limits).await?;
    let id = key.id.to_string();
    if body.id.is_some() {
        return Err(Refusal::malformed("id", "is in the path already"));
    }
    body.id = Some(id.clone());
    let check = lens::check_from_wire("", key.owner, body)?;
    let committed = native.context.registry.submit(&ask.caller, PutCheck { check }).await?;
    let body = Done { status: "success", id, revision: committed.revision.0, changed: committed.changed };
    Ok(answer::written(committed.revision, &body))
}

pub(super) async fn delete_check(native: &Native, ask: &Ask, key: CheckKey) -> Result<Response, Refusal> {
    let id = key.id.to_string();
    let committed = native.context.registry.submit(&ask.caller, DeleteCheck { key }).await?;
    let body = Done { status: "success", id, revision: committed.revision.0, changed: committed.changed };
    Ok(answer::written(committed.revision, &body))
}

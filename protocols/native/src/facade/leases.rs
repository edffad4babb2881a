use std::ops::Bound;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use switchboard_model::{LeaseId, Noun};
use switchboard_registry::plan::Revoke;

use super::instances::renewed;
use super::page::cut;
use super::{Shared, missing};
use crate::answer;
use crate::ask::{Ask, json};
use crate::lens;
use crate::refusal::Refusal;
use crate::wire::{Done, Granted, Lease, LeaseBody, Leases, Refusals, Renewed};

/// List leases
#[utoipa::path(
    get, path = "/v1/leases", tag = "leases", operation_id = "list_leases",
    params(
        ("limit" = Option<u32>, Query),
        ("after" = Option<String>, Query),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = Leases), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn list(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let limit = ask.take_limit(1000, 10_000)?;
    let after = ask.take("after")?.map(|text| lens::lease_id_from_wire("after", &text)).transpose()?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let leases = view.leases(after.map_or(Bound::Unbounded, Bound::Excluded));
    let (page, next) = cut(leases, limit, |it| it.lease.id.to_string());
    let registry = &native.context.registry;
    let leases =
        page.into_iter().map(|it| lens::lease_to_wire(it, registry.remaining(it.lease.id))).collect();
    let body = Leases { revision: view.revision().0, leases, next };
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&body)))
}

/// Grant a lease
///
/// Instances and entries that name it live as long as it is renewed.
#[utoipa::path(
    post, path = "/v1/leases", tag = "leases", operation_id = "grant_lease",
    request_body = LeaseBody,
    responses((status = 200, body = Granted), Refusals)
)]
pub(super) async fn grant(State(native): State<Shared>, ask: Ask, body: Body) -> Result<Response, Refusal> {
    ask.finish()?;
    let body: LeaseBody = json(&ask, body, &native.config.limits).await?;
    let ttl = body.ttl;
    let grant = lens::lease_from_wire(&body, native.config.linger.0)?;
    let committed = native.context.registry.submit(&ask.caller, grant).await?;
    let (lease, revision) = (committed.reply.to_string(), committed.revision);
    Ok(answer::written(revision, &Granted { status: "success", lease, ttl, revision: revision.0 }))
}

/// One lease, and what lives by it
#[utoipa::path(
    get, path = "/v1/leases/{lease}", tag = "leases", operation_id = "get_lease",
    params(
        ("lease" = String, Path),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = Lease), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn get(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let id = lease_id(&ask)?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let found = view.lease(id).ok_or_else(|| missing(Noun::Lease, &id.to_string()))?;
    let body = lens::lease_to_wire(found, native.context.registry.remaining(id));
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&body)))
}

/// Revoke a lease, and with it everything that lives by it
#[utoipa::path(
    delete, path = "/v1/leases/{lease}", tag = "leases", operation_id = "revoke_lease",
    params(("lease" = String, Path)),
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn revoke(State(native): State<Shared>, ask: Ask) -> Result<Response, Refusal> {
    let id = lease_id(&ask)?;
    ask.finish()?;
    let committed = native.context.registry.submit(&ask.caller, Revoke { id }).await?;
    let body = Done {
        status: "success",
        id: id.to_string(),
        revision: committed.revision.0,
        changed: committed.changed,
    };
    Ok(answer::written(committed.revision, &body))
}

/// Renew a lease: the heartbeat
#[utoipa::path(
    put, path = "/v1/leases/{lease}/renew", tag = "leases", operation_id = "renew_lease",
    params(("lease" = String, Path)),
    responses((status = 200, body = Renewed), Refusals)
)]
pub(super) async fn renew(State(native): State<Shared>, ask: Ask) -> Result<Response, Refusal> {
    let id = lease_id(&ask)?;
    ask.finish()?;
    let registry = &native.context.registry;
    let ttl = registry.keep_alive(&ask.caller, id).await?;
    Ok(answer::written(registry.head(), &renewed(&id.to_string(), ttl)))
}

fn lease_id(ask: &Ask) -> Result<LeaseId, Refusal> {
    Ok(lens::lease_id_from_wire("lease", ask.path("lease")?)?)
}

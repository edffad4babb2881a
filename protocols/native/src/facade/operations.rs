//! The registry about itself.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use switchboard_facade::MetricsFormat;

use super::Shared;
use crate::answer;
use crate::ask::Ask;
use crate::refusal::Refusal;
use crate::wire::{Brake, Refusals, RegistryStatus, Seconds};

/// How the registry itself is
#[utoipa::path(
    get, path = "/v1/status", tag = "operations", operation_id = "status",
    params(
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`")
    ),
    responses((status = 200, body = RegistryStatus), Refusals)
)]
pub(super) async fn status(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let (registry, about) = (&native.context.registry, &native.context.about);
    let (tally, brake, waiting_for) = (view.tally(), registry.brake(), registry.waiting_for());
    let body = RegistryStatus {
        version: about.version,
        revision: view.revision().0,
        uptime: Seconds(about.started.elapsed()),
        ready: waiting_for.is_none(),
        waiting_for,
        engine: about.engine,
        durable: registry.facts().durable,
        services: view.service_count(),
        instances: tally.instances,
        healthy: tally.served,
        checks: tally.checks,
        leases: view.lease_count(),
        nodes: view.node_count(),
        entries: view.entry_count(),
        brake: Brake {
            engaged: tally.suspect > 0,
            suspect: tally.suspect,
            lapsed: tally.lapsed,
            share: brake.share,
            at_least: brake.at_least,
        },
    };
    Ok(answer::written(view.revision(), &body))
}

pub(super) async fn openapi() -> Response {
    static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let text = TEXT.get_or_init(super::description).as_str();
    with_type("application/json", StatusCode::OK, text)
}

pub(super) async fn metrics(State(native): State<Shared>, headers: HeaderMap) -> Response {
    native.context.registry.meters();
    let format = MetricsFormat::accepted(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    with_type(format.content_type(), StatusCode::OK, native.context.metrics.render(format))
}

/// Alive: the process answers.
pub(super) async fn healthz() -> Response {
    with_type("text/plain; charset=utf-8", StatusCode::OK, "ok\n")
}

/// Ready: reads and writes are answered. Otherwise it says what it waits for.
pub(super) async fn readyz(State(native): State<Shared>) -> Response {
    match native.context.registry.waiting_for() {
        None => with_type("text/plain; charset=utf-8", StatusCode::OK, "ready\n"),
        Some(what) => {
            let text = format!("not ready; waiting for {what}\n");
            with_type("text/plain; charset=utf-8", StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

pub(super) async fn index() -> Response {
    let text = "Switchboard, native API.\n\n\
        GET  /v1/services             services, with counts\n\
        GET  /v1/services/{service}   its live instances\n\
        POST /v1/register             register an instance\n\
        GET  /v1/watch                changes as they happen (Server-Sent Events)\n\
        GET  /v1/status               the registry itself\n\
        GET  /v1/openapi.json         everything else\n\
        GET  /metrics /healthz /readyz\n";
    with_type("text/plain; charset=utf-8", StatusCode::OK, text)
}

fn with_type(content_type: &'static str, status: StatusCode, body: impl IntoResponse) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use switchboard_registry::plan::Keep;

use super::Shared;
use crate::answer;
use crate::ask::{Ask, json};
use crate::lens;
use crate::refusal::Refusal;
use crate::wire::{Refusals, RegisterBody, Registered};

/// Register an instance
///
/// Registering the same instance again changes nothing and counts as a heartbeat.
#[utoipa::path(
    post, path = "/v1/register", tag = "instances", operation_id = "register",
    request_body = RegisterBody,
    responses((status = 200, body = Registered), Refusals)
)]
pub(super) async fn register(
    State(native): State<Shared>,
    ask: Ask,
    body: Body,
) -> Result<Response, Refusal> {
    ask.finish()?;
    let body: RegisterBody = json(&ask, body, &native.config.limits).await?;
    let register = lens::register_from_wire(body, native.config.linger.0)?;
    let ttl = match register.keep {
        Keep::Ttl { ttl, .. } => Some(ttl),
        Keep::Forever | Keep::Lease(_) => None,
    };
    let registry = &native.context.registry;
    let committed = registry.submit(&ask.caller, register).await?;
    // A registration is a sign of life, also when it changed nothing.
    let ttl = match committed.reply.lease {
        Some(lease) => Some(registry.keep_alive(&ask.caller, lease).await?),
        None => ttl,
    };
    let revision = match registry.view(&ask.caller)?.instance(&committed.reply.key) {
        Some(view) if !committed.changed => view.revision,
        _ => committed.revision,
    };
    Ok(answer::written(revision, &lens::registered_to_wire(&committed.reply, revision, ttl)))
}

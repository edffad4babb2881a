use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::header::ACCEPT;
use switchboard_model::{Revision, Selector, ServiceKey};
use switchboard_registry::Watch;

use super::{DEFAULT_PATIENCE, Shared, sse};
use crate::answer;
use crate::ask::{Ask, PATIENCE};
use crate::lens;
use crate::refusal::Refusal;
use crate::wire::{Changes, Refusals};

/// Changes in one answer to a long poll.
const PAGE: usize = 1000;

/// Watch
///
/// Streams the changes of one service, of the services with a prefix, or of everything, each with the health before and
/// after, as Server-Sent Events. The id of an event is its revision: a client that comes back with `Last-Event-ID` (or
/// `since`) misses nothing and hears nothing twice. With `wait` the answer is the changes as JSON, as soon as there are
/// any. `410` and the event `lagged` mean: read everything anew, and watch from the revision of that answer.
#[utoipa::path(
    get, path = "/v1/watch", tag = "watch", operation_id = "watch",
    params(
        ("service" = Option<String>, Query),
        ("prefix" = Option<String>, Query, description = "Of service names; instead of `service`"),
        ("namespace" = Option<String>, Query,
            description = "Without it, and without `service`: all namespaces"),
        ("since" = Option<u64>, Query,
            description = "Tell what changed after this revision; without it, from now on"),
        ("wait" = Option<String>, Query, description = "Long poll: answer with JSON after this time at the latest"),
        ("Last-Event-ID" = Option<String>, Header, description = "Goes before `since`")
    ),
    responses(
        (status = 200, description = "The changes", content(
            (Changes = "application/json"), (String = "text/event-stream")
        )),
        Refusals
    )
)]
pub(super) async fn watch(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let selector = selector(&mut ask)?;
    let resumed = match ask.headers.get("last-event-id") {
        Some(id) => {
            let id = id.to_str().ok().and_then(|text| text.parse().ok());
            Some(Revision(id.ok_or_else(|| Refusal::malformed("Last-Event-ID", "is not a revision"))?))
        }
        None => None,
    };
    let since = ask.take_revision("since")?;
    let wait = ask.take_span("wait", PATIENCE)?;
    ask.finish()?;
    let registry = &native.context.registry;
    let head = registry.view(&ask.caller)?.revision();
    let after = resumed.or(since).unwrap_or(head);
    let watch = registry.watch(&ask.caller, &selector, after)?;
    let accept = ask.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let takes_json_only = accept.contains("application/json") && !accept.contains("text/event-stream");
    match wait.or_else(|| takes_json_only.then_some(DEFAULT_PATIENCE)) {
        Some(patience) => poll(watch, patience).await,
        None => Ok(sse::stream(watch, head, native.context.stop.clone())),
    }
}

fn selector(ask: &mut Ask) -> Result<Selector, Refusal> {
    let service = ask.take_name("service")?;
    let prefix = ask.take("prefix")?;
    let namespace = ask.take_name("namespace")?;
    match (service, prefix) {
        (Some(_), Some(_)) => Err(Refusal::malformed("prefix", "is of no use with `service`")),
        (Some(service), None) => {
            let namespace = namespace.unwrap_or_else(switchboard_model::Name::default_namespace);
            Ok(Selector::Service(ServiceKey { namespace, service }))
        }
        (None, prefix) => {
            let prefix = prefix.unwrap_or_default().to_ascii_lowercase().into();
            Ok(Selector::Services { namespace, prefix })
        }
    }
}

/// All changes there are, or the first that comes before patience ends.
async fn poll(mut watch: Watch, patience: Duration) -> Result<Response, Refusal> {
    let mut changes = Vec::new();
    let mut first = match tokio::time::timeout(patience, watch.next()).await {
        Ok(first) => Some(first?),
        Err(_) => None,
    };
    while let Some(delivery) = first.take() {
        let (revision, at_ms) = (delivery.revision().0, delivery.changes.at_ms);
        changes.extend(delivery.items().filter_map(|item| lens::change_to_wire(item, revision, at_ms)));
        // A revision is never cut in two.
        if changes.len() < PAGE {
            first = watch.try_next().await?;
        }
    }
    let revision = watch.cursor();
    Ok(answer::written(revision, &Changes { revision: revision.0, changes }))
}

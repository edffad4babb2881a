use std::ops::Bound;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use switchboard_model::{Annex, Entry, EntryKey, Noun};
use switchboard_registry::plan::{DeleteEntry, PutEntry};

use super::page::cut;
use super::{Shared, missing};
use crate::answer;
use crate::ask::{self, Ask};
use crate::lens::{self, KEYSPACE};
use crate::refusal::Refusal;
use crate::wire::{Done, Entries, Refusals};

/// List entries, without their values
#[utoipa::path(
    get, path = "/v1/entries", tag = "entries", operation_id = "list_entries",
    params(
        ("prefix" = Option<String>, Query),
        ("limit" = Option<u32>, Query),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = Entries), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn list(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let prefix = Bytes::from(ask.take("prefix")?.unwrap_or_default());
    let limit = ask.take_limit(1000, 10_000)?;
    let after = ask.take("after")?.map(Bytes::from);
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let at = |key: Bytes| EntryKey { keyspace: KEYSPACE.into(), key };
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(at(after)),
        _ => Bound::Included(at(prefix.clone())),
    };
    let entries =
        view.entries(from).take_while(|it| &*it.key.keyspace == KEYSPACE && it.key.key.starts_with(&prefix));
    let (page, next) = cut(entries, limit, |it| String::from_utf8_lossy(&it.key.key).into_owned());
    let entries = page.into_iter().map(|it| lens::entry_to_wire(it)).collect();
    let body = Entries { revision: view.revision().0, entries, next };
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&body)))
}

/// The value of an entry
#[utoipa::path(
    get, path = "/v1/entries/{key}", tag = "entries", operation_id = "get_entry",
    params(
        ("key" = String, Path, description = "Percent-encoded; it may hold slashes"),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "Not modified"), Refusals
    )
)]
pub(super) async fn get(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let key = entry_key(&ask)?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let entry = view.entry(&key).ok_or_else(|| missing(Noun::Entry, &String::from_utf8_lossy(&key.key)))?;
    let tag = format!("\"{:x}\"", entry.modified.0);
    let plain = HeaderValue::from_static("application/octet-stream");
    let mut response =
        answer::read_tagged(&ask.headers, view.revision(), &tag, plain, entry.value.value.clone());
    // Whatever the value looks like, it is bytes and not a page.
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response.headers_mut().insert("entry-revision", HeaderValue::from(entry.modified.0));
    response.headers_mut().insert("entry-flags", HeaderValue::from(entry.flags));
    Ok(response)
}

/// Put an entry
///
/// The body is the value. With `if_revision` only if the entry was last written at that revision; 0: only if there is
/// none.
#[utoipa::path(
    put, path = "/v1/entries/{key}", tag = "entries", operation_id = "put_entry",
    params(
        ("key" = String, Path, description = "Percent-encoded; it may hold slashes"),
        ("if_revision" = Option<u64>, Query),
        ("lease" = Option<String>, Query),
        ("flags" = Option<u64>, Query)
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn put(State(native): State<Shared>, mut ask: Ask, body: Body) -> Result<Response, Refusal> {
    let key = entry_key(&ask)?;
    let if_revision = ask.take_revision("if_revision")?;
    let lease = ask.take("lease")?.map(|text| lens::lease_id_from_wire("lease", &text)).transpose()?;
    let flags = ask.take_number("flags")?.unwrap_or(0);
    ask.finish()?;
    let value = ask::bytes(body, &native.config.limits).await?;
    let id = String::from_utf8_lossy(&key.key).into_owned();
    let entry = Entry { key, value, lease, flags, annex: Annex::default() };
    let committed = native.context.registry.submit(&ask.caller, PutEntry { entry, if_revision }).await?;
    let body = Done { status: "success", id, revision: committed.revision.0, changed: committed.changed };
    Ok(answer::written(committed.revision, &body))
}

/// Delete an entry
#[utoipa::path(
    delete, path = "/v1/entries/{key}", tag = "entries", operation_id = "delete_entry",
    params(
        ("key" = String, Path, description = "Percent-encoded; it may hold slashes"),
        ("if_revision" = Option<u64>, Query)
    ),
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn delete(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let key = entry_key(&ask)?;
    let if_revision = ask.take_revision("if_revision")?;
    ask.finish()?;
    let id = String::from_utf8_lossy(&key.key).into_owned();
    let committed = native.context.registry.submit(&ask.caller, DeleteEntry { key, if_revision }).await?;
    let body = Done { status: "success", id, revision: committed.revision.0, changed: committed.changed };
    Ok(answer::written(committed.revision, &body))
}

/// A key is part of a path here, and a head has a bound.
const LONGEST: usize = 1000;

fn entry_key(ask: &Ask) -> Result<EntryKey, Refusal> {
    let key = ask.path("key")?;
    if key.chars().count() > LONGEST {
        return Err(Refusal::malformed("key", format!("is longer than {LONGEST} characters")));
    }
    Ok(EntryKey { keyspace: Arc::from(KEYSPACE), key: Bytes::from(key.to_owned()) })
}

//! Writing an answer: revision, validator, body.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use switchboard_model::Revision;

pub(crate) const REVISION: HeaderName = HeaderName::from_static("switchboard-revision");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(crate) fn encode<T: Serialize>(value: &T) -> Bytes {
    let mut bytes = Vec::with_capacity(256);
    // Only a map whose keys are not text could fail, and none is.
    let _ = serde_json::to_writer(&mut bytes, value);
    bytes.push(b'\n');
    bytes.into()
}

/// The answer to a read. `revision` is that of the snapshot it was read from. A client that has these bytes already,
/// as its `If-None-Match` says, is spared them.
pub(crate) fn read(headers: &HeaderMap, revision: Revision, body: Bytes) -> Response {
    let tag = tag_of(&body);
    read_tagged(headers, revision, &tag, JSON, body)
}

pub(crate) fn read_tagged(
    headers: &HeaderMap,
    revision: Revision,
    tag: &str,
    content_type: HeaderValue,
    body: Bytes,
) -> Response {
    let fresh = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|have| {
        have.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    });
    let mut response = Response::new(if fresh { Body::empty() } else { Body::from(body) });
    if fresh {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    let headers = response.headers_mut();
    headers.insert(REVISION, HeaderValue::from(revision.0));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// The answer to a write that was kept at `revision`.
pub(crate) fn written<T: Serialize>(revision: Revision, value: &T) -> Response {
    let mut response = Response::new(Body::from(encode(value)));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(REVISION, HeaderValue::from(revision.0));
    response
}

/// A validator of the very bytes: FNV-1a, which is no defence against anyone, and needs to be none.
fn tag_of(body: &[u8]) -> String {
    let hash = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("\"{hash:016x}\"")
}

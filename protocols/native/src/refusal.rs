//! Every rejection in this protocol's words.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use switchboard_model::{Rejection, Unavailable};
use switchboard_registry::WatchEnd;

use crate::wire::{Code, Failure};

/// An answer that says no.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) failure: Box<Failure>,
    /// Whether the same request may succeed in a moment.
    retry: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Refusal {
        let message = message.into();
        let failure =
            Failure { status: "error", code, message, field: None, revision: None, candidates: Vec::new() };
        Refusal { status, failure: Box::new(failure), retry: false }
    }

    /// A field or parameter is malformed.
    pub(crate) fn malformed(field: impl Into<String>, why: impl Into<String>) -> Refusal {
        let (field, why) = (field.into(), why.into());
        let message = if field.is_empty() { why } else { format!("{field}: {why}") };
        let mut refusal = Refusal::new(StatusCode::BAD_REQUEST, Code::Invalid, message);
        refusal.failure.field = Some(field).filter(|field| !field.is_empty());
        refusal
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        let message = rejection.to_string();
        let of = |status, code| Refusal::new(status, code, message.clone());
        match rejection {
            Rejection::Invalid { field, why } => Refusal::malformed(field, why),
            Rejection::NotFound { .. } => of(StatusCode::NOT_FOUND, Code::NotFound),
            Rejection::Ambiguous { candidates, .. } => {
                let mut refusal = of(StatusCode::CONFLICT, Code::Ambiguous);
                refusal.failure.message.push_str("; name the service or the node as well");
                refusal.failure.candidates = candidates;
                refusal
            }
            Rejection::Conflict { actual, .. } => {
                let mut refusal = of(StatusCode::PRECONDITION_FAILED, Code::Conflict);
                refusal.failure.revision = Some(actual.0);
                refusal
            }
            Rejection::Exists { .. } => of(StatusCode::CONFLICT, Code::Exists),
            Rejection::InUse { .. } => of(StatusCode::CONFLICT, Code::InUse),
            Rejection::Limit { .. } => of(StatusCode::TOO_MANY_REQUESTS, Code::Limit),
            Rejection::Forbidden { .. } => of(StatusCode::FORBIDDEN, Code::Forbidden),
            Rejection::Compacted { floor, .. } => {
                let mut refusal = of(StatusCode::GONE, Code::Compacted);
                refusal.failure.revision = Some(floor.0);
                refusal
            }
            Rejection::NotYet { head, .. } => {
                let mut refusal = of(StatusCode::GATEWAY_TIMEOUT, Code::NotYet);
                refusal.failure.revision = Some(head.0);
                refusal
            }
            Rejection::Unavailable(
                Unavailable::Loading
                | Unavailable::Overloaded
                | Unavailable::Stopping
                | Unavailable::Store { .. },
            ) => Refusal { retry: true, ..of(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable) },
        }
    }
}

/// How a long poll hears that its watch is over.
impl From<WatchEnd> for Refusal {
    fn from(end: WatchEnd) -> Refusal {
        match end {
            WatchEnd::Lagged { head } => compacted(head.0, "too many changes were missed"),
            WatchEnd::Compacted { floor } => compacted(floor.0, "history up to this revision was compacted"),
            WatchEnd::Unavailable { why } => Refusal {
                retry: true,
                ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, why)
            },
            WatchEnd::Stopping => Rejection::from(Unavailable::Stopping).into(),
        }
    }
}

fn compacted(revision: u64, why: &str) -> Refusal {
    let message = format!("{why}; read everything anew and watch from the revision of that answer");
    let mut refusal = Refusal::new(StatusCode::GONE, Code::Compacted, message);
    refusal.failure.revision = Some(revision);
    refusal
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = serde_json::to_vec(&self.failure).unwrap_or_default();
        body.push(b'\n');
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.retry {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

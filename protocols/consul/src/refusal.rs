//! Every rejection in this protocol's words: a status and a bare text.

use http::StatusCode;
use switchboard_model::{Noun, Rejection, Unavailable};

/// An answer that says no.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// Set where clients look at the index even when nothing was found.
    pub(crate) index: Option<u64>,
    /// The body is JSON instead of text.
    pub(crate) json: bool,
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Refusal {
        Refusal { status, text: text.into(), index: None, json: false, allow: None }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn missing(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, text)
    }

    /// Errors that Consul has no status for.
    pub(crate) fn failed(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    pub(crate) fn unknown_service(id: &str) -> Refusal {
        Refusal::missing(format!(
            "Unknown service ID {id:?}. Ensure that the service ID is passed, not the service name."
        ))
    }

    pub(crate) fn unknown_check(id: &str) -> Refusal {
        Refusal::missing(format!(
            "Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name."
        ))
    }

    pub(crate) fn is_leaderless() -> Refusal {
        Refusal::failed("No cluster leader")
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        let text = rejection.to_string();
        match rejection {
            Rejection::Invalid { .. } => Refusal::bad(text),
            Rejection::NotFound { noun, name } => match noun {
                Noun::Instance => Refusal::unknown_service(&name),
                Noun::Check => Refusal::unknown_check(&name),
                Noun::Node => Refusal::missing("Unknown node"),
                Noun::Lease => Refusal::missing(format!("Session id '{name}' not found")),
                Noun::Namespace | Noun::Service | Noun::Entry => Refusal::missing(text),
            },
            Rejection::Ambiguous { .. } => Refusal::new(
                StatusCode::CONFLICT,
                format!("{text}; say on which node with /node/<name>/v1/..."),
            ),
            Rejection::Conflict { .. } | Rejection::Exists { .. } | Rejection::InUse { .. } => {
                Refusal::new(StatusCode::CONFLICT, text)
            }
            Rejection::Limit { .. } => Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text),
            Rejection::Forbidden { .. } => {
                Refusal::new(StatusCode::FORBIDDEN, format!("Permission denied: {text}"))
            }
            Rejection::Compacted { .. } | Rejection::NotYet { .. } => Refusal::failed(text),
            // What Consul says for as long as nobody can answer; its clients retry.
            Rejection::Unavailable(Unavailable::Loading | Unavailable::Stopping) => Refusal::is_leaderless(),
            Rejection::Unavailable(Unavailable::Store { .. }) => {
                Refusal::failed(format!("No cluster leader: {text}"))
            }
            Rejection::Unavailable(Unavailable::Overloaded) => {
                Refusal::new(StatusCode::TOO_MANY_REQUESTS, text)
            }
        }
    }
}

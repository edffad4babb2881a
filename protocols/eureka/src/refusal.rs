//! Every rejection in this protocol's words: a status and a bare text. Clients look at the status alone, and take every
//! one that they do not expect for a broken server, so that they turn to the next.

use http::StatusCode;
use switchboard_model::{Rejection, Unavailable};

use crate::wire::Malformed;

/// An answer that says no.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Refusal {
        Refusal { status, text: text.into() }
    }

    pub(crate) fn bad(text: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, text)
    }

    /// Without a word: a client tries to read an instance in the body of some of these.
    pub(crate) fn missing() -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, "")
    }

    /// The registry is loading: an empty answer would look like an empty registry.
    pub(crate) fn not_ready(rejection: Rejection) -> Refusal {
        match rejection {
            Rejection::Unavailable(Unavailable::Loading) => {
                Refusal::new(StatusCode::FORBIDDEN, rejection.to_string())
            }
            other => other.into(),
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(Malformed(why): Malformed) -> Refusal {
        Refusal::bad(why)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        let text = rejection.to_string();
        match rejection {
            Rejection::Invalid { .. } => Refusal::bad(text),
            Rejection::NotFound { .. } => Refusal::missing(),
            Rejection::Ambiguous { .. }
            | Rejection::Conflict { .. }
            | Rejection::Exists { .. }
            | Rejection::InUse { .. } => Refusal::new(StatusCode::CONFLICT, text),
            Rejection::Limit { .. } => Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text),
            Rejection::Forbidden { .. } => Refusal::new(StatusCode::FORBIDDEN, text),
            Rejection::Compacted { .. } | Rejection::NotYet { .. } => {
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
            // To a peer this means: the same again, in a moment.
            Rejection::Unavailable(
                Unavailable::Loading
                | Unavailable::Stopping
                | Unavailable::Overloaded
                | Unavailable::Store { .. },
            ) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text),
        }
    }
}

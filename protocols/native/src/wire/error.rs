use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

/// The answer to everything that is refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct Failure {
    /// Always `error`.
    #[schema(example = "error")]
    pub(crate) status: &'static str,
    pub(crate) code: Code,
    /// What happened, why, and what to do next.
    pub(crate) message: String,
    /// The field or parameter that is at fault, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// The oldest or the newest revision there is, where the answer is about revisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<u64>,
    /// Full names to choose from, where a short one was not unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) candidates: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    Invalid,
    NotFound,
    Ambiguous,
    Conflict,
    Exists,
    InUse,
    Limit,
    TooLarge,
    Forbidden,
    Compacted,
    NotYet,
    Unavailable,
    Timeout,
    MethodNotAllowed,
    UnsupportedMediaType,
}

/// What any operation may answer instead.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only its documentation is used")]
pub(crate) enum Refusals {
    /// A body or parameter is malformed; `field` names it.
    #[response(status = 400)]
    Invalid(#[to_schema] Failure),
    /// The caller may not do this.
    #[response(status = 403)]
    Forbidden(#[to_schema] Failure),
    /// It does not exist.
    #[response(status = 404)]
    NotFound(#[to_schema] Failure),
    /// The path exists, the method does not.
    #[response(status = 405)]
    MethodNotAllowed(#[to_schema] Failure),
    /// The body did not arrive in time.
    #[response(status = 408)]
    Timeout(#[to_schema] Failure),
    /// It exists already, is in use, or the name is not unique.
    #[response(status = 409)]
    Conflict(#[to_schema] Failure),
    /// History before that revision was compacted.
    #[response(status = 410)]
    Compacted(#[to_schema] Failure),
    /// It is not at the revision that the caller required.
    #[response(status = 412)]
    Precondition(#[to_schema] Failure),
    /// The body is larger than this server takes.
    #[response(status = 413)]
    TooLarge(#[to_schema] Failure),
    /// The body must be JSON and say so.
    #[response(status = 415)]
    UnsupportedMediaType(#[to_schema] Failure),
    /// A limit of the model or of the server was reached.
    #[response(status = 429)]
    Limit(#[to_schema] Failure),
    /// The head of the request is larger than this server takes.
    #[response(status = 431)]
    HeadTooLarge,
    /// Too many writes wait, the store has failed, or the server is starting or stopping.
    #[response(status = 503)]
    Unavailable(#[to_schema] Failure),
    /// The revision that was asked for did not happen in time.
    #[response(status = 504)]
    NotYet(#[to_schema] Failure),
}

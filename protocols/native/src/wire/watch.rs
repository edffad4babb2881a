use serde::Serialize;
use utoipa::ToSchema;

use super::instance::Instance;

/// One instance, changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    /// RFC 3339.
    pub(crate) at: String,
    /// `registered`, `changed` or `deregistered`.
    pub(crate) kind: &'static str,
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<&'static str>,
    /// Why the health is what it is now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) why: Vec<String>,
    /// The instance as it is now; absent when it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<Instance>,
}

/// The answer to a long poll.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changes {
    /// Everything up to here has been told. Give it as `since` to go on.
    pub(crate) revision: u64,
    pub(crate) changes: Vec<Change>,
}

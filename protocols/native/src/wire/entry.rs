use serde::Serialize;
use utoipa::ToSchema;

/// A raw key without its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<String>,
    pub(crate) created: u64,
    pub(crate) revision: u64,
    pub(crate) version: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entries {
    pub(crate) revision: u64,
    pub(crate) entries: Vec<Entry>,
    /// Give it as `after` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

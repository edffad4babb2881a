use std::borrow::Cow;

use serde::Serialize;

/// A key with its value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Pair<'a> {
    pub(crate) lock_index: u64,
    pub(crate) key: Cow<'a, str>,
    pub(crate) flags: u64,
    pub(crate) value: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) session: String,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::Check;
use super::number::some;

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeBody {
    /// A host name or an IP address.
    pub(crate) host: String,
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) metadata: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Node {
    pub(crate) node: String,
    pub(crate) namespace: String,
    /// Absent: instances name the node, but nobody registered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// How many instances are on it.
    pub(crate) instances: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeDetail {
    #[serde(flatten)]
    pub(crate) node: Node,
    pub(crate) checks: Vec<Check>,
    /// Names of its instances, each with its service; at most 1000 of them.
    pub(crate) instance_names: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Nodes {
    pub(crate) revision: u64,
    pub(crate) nodes: Vec<Node>,
    /// Give it as `after` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

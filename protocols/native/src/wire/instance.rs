use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::Check;
use super::lease::Lease;
use super::number::{Seconds, whole};

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Port)]
pub(crate) struct PortBody {
    pub(crate) name: String,
    #[serde(deserialize_with = "whole")]
    pub(crate) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Lifecycle)]
pub(crate) enum LifecycleWord {
    Starting,
    Up,
    Draining,
    OutOfService,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LifecycleBody {
    pub(crate) lifecycle: LifecycleWord,
}

/// One place where a service answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) service: String,
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<String>,
    pub(crate) host: String,
    /// The main port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    pub(crate) ports: Vec<PortBody>,
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) weight: u32,
    /// The weight while it is served with warnings, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warning_weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
    /// `passing`, `warning` and `suspect` instances are served, the others are not.
    pub(crate) health: &'static str,
    pub(crate) lifecycle: &'static str,
    /// Why the health is what it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reasons: Vec<String>,
    /// The protocol it was registered through.
    pub(crate) origin: String,
    /// The commit that created it.
    pub(crate) created: u64,
    /// The newest commit that shows in it.
    pub(crate) revision: u64,
}

/// One instance with all that decides about its health.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstanceDetail {
    #[serde(flatten)]
    pub(crate) instance: Instance,
    pub(crate) checks: Vec<Check>,
    /// The checks of its node, which count for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) node_checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Lease>,
    /// Its newest changes of state, oldest first.
    pub(crate) history: Vec<Transition>,
}

/// A change of state. Without `from` the instance appeared, without `to` it went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Transition {
    pub(crate) revision: u64,
    /// RFC 3339.
    pub(crate) at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<&'static str>,
    pub(crate) why: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Instances {
    pub(crate) revision: u64,
    pub(crate) instances: Vec<Instance>,
    /// Give it as `after` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Renewed {
    /// Always `success`.
    pub(crate) status: &'static str,
    pub(crate) id: String,
    pub(crate) ttl: Seconds,
}

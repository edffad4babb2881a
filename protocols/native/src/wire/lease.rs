use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::number::{Seconds, some};

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeaseBody {
    pub(crate) ttl: Seconds,
    /// Up to 16 hexadecimal digits. Without it the registry chooses.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) id: Option<String>,
    /// What silence means: `lapse` takes the instances out of service and shows why, `delete` removes everything that
    /// lives by the lease at once. `lapse` by default.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) on_expiry: Option<OnExpiry>,
    /// How long lapsed instances stay visible.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) linger: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnExpiry {
    Lapse,
    Delete,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Lease {
    pub(crate) lease: String,
    pub(crate) ttl: Seconds,
    /// Until it ends, if nothing is heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remaining: Option<Seconds>,
    pub(crate) on_expiry: OnExpiry,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) linger: Option<Seconds>,
    /// `live`, `suspect` or `lapsed`.
    pub(crate) standing: &'static str,
    /// Granted with its one instance, and gone with it.
    pub(crate) implicit: bool,
    /// The instances and entries that live by it; at most 1000 of them.
    pub(crate) holds: Vec<String>,
    pub(crate) revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Leases {
    pub(crate) revision: u64,
    pub(crate) leases: Vec<Lease>,
    /// Give it as `after` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Granted {
    /// Always `success`.
    pub(crate) status: &'static str,
    pub(crate) lease: String,
    pub(crate) ttl: Seconds,
    pub(crate) revision: u64,
}

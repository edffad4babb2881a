use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::CheckBody;
use super::instance::{LifecycleWord, PortBody};
use super::number::{Seconds, some, some_whole};

/// A registration. The same registration twice is the same instance, and the second one changes nothing.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "service": "user-service", "host": "192.168.1.100", "port": 8080,
    "metadata": { "version": "v1.2", "region": "east" }, "ttl": 30
}))]
pub(crate) struct RegisterBody {
    pub(crate) service: String,
    /// A host name or an IP address.
    pub(crate) host: String,
    /// The main port.
    #[serde(default, deserialize_with = "some_whole")]
    #[schema(nullable = false)]
    pub(crate) port: Option<u16>,
    /// Ports with names. The main port may be among them.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) ports: Option<Vec<PortBody>>,
    /// Chosen by the provider. Without it the id is made of service, host and port.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) id: Option<String>,
    /// The machine that the instance runs on. The checks of that node count for the instance.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) node: Option<String>,
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) namespace: Option<String>,
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    /// The share of traffic relative to the other instances; 0 takes no new traffic. 1 by default.
    #[serde(default, deserialize_with = "some_whole")]
    #[schema(nullable = false)]
    pub(crate) weight: Option<u32>,
    /// The weight while the instance is served with warnings. Without it what it was stays, at first the same as `weight`.
    #[serde(default, deserialize_with = "some_whole")]
    #[schema(nullable = false)]
    pub(crate) warning_weight: Option<u32>,
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) zone: Option<String>,
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) lifecycle: Option<LifecycleWord>,
    /// Without a renewal for this long the instance leaves the healthy set. Without a `ttl` it stays until someone
    /// deregisters it.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) ttl: Option<Seconds>,
    /// How long a lapsed instance stays visible before it goes.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) linger: Option<Seconds>,
    /// Lives by this lease, which was granted before, instead of by a `ttl` of its own.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) lease: Option<String>,
    /// One check; with more than one, use `checks`.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) check: Option<CheckBody>,
    /// All checks of the instance. Without `check` and `checks` those that it has stay.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) checks: Option<Vec<CheckBody>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    /// Always `success`.
    pub(crate) status: &'static str,
    /// Renews, looks up and deregisters the instance.
    pub(crate) id: String,
    pub(crate) namespace: String,
    pub(crate) service: String,
    /// The revision at which the registry says what was registered.
    pub(crate) revision: u64,
    pub(crate) created: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<String>,
    /// Where to send the heartbeat, with PUT, well within each `ttl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) renew: Option<String>,
}

/// It is done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// Always `success`.
    pub(crate) status: &'static str,
    pub(crate) id: String,
    pub(crate) revision: u64,
    /// Whether anything had to be changed.
    pub(crate) changed: bool,
}

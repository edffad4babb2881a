use serde::Serialize;
use utoipa::ToSchema;

use super::instance::Instance;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Service {
    pub(crate) service: String,
    pub(crate) namespace: String,
    pub(crate) instances: usize,
    /// How many of them consumers are given.
    pub(crate) healthy: usize,
    /// Every tag that an instance of it has.
    pub(crate) tags: Vec<String>,
    /// The newest commit that changed any of its instances.
    pub(crate) revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Services {
    pub(crate) revision: u64,
    pub(crate) services: Vec<Service>,
    /// Give it as `after` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// The instances of one service. A service that nobody registered has none: a name is never an error to a consumer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceInstances {
    pub(crate) service: String,
    pub(crate) namespace: String,
    /// The newest commit that changed any of its instances.
    pub(crate) revision: u64,
    pub(crate) instances: Vec<Instance>,
    /// Give it as `after` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Namespace {
    pub(crate) namespace: String,
    pub(crate) services: usize,
    pub(crate) instances: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Namespaces {
    pub(crate) revision: u64,
    pub(crate) namespaces: Vec<Namespace>,
}

/// Which instances a read wants, by their health.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its documentation is used")]
pub(crate) enum StatusWord {
    /// Those that consumers should use.
    Healthy,
    Any,
    Passing,
    Warning,
    Suspect,
    Starting,
    Draining,
    OutOfService,
    Critical,
    Lapsed,
}

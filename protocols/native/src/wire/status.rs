use serde::Serialize;
use utoipa::ToSchema;

use super::number::Seconds;

/// How the registry itself is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub(crate) struct RegistryStatus {
    pub(crate) version: &'static str,
    pub(crate) revision: u64,
    pub(crate) uptime: Seconds,
    pub(crate) ready: bool,
    /// What it waits for, while it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting_for: Option<String>,
    pub(crate) engine: &'static str,
    pub(crate) durable: bool,
    pub(crate) services: usize,
    pub(crate) instances: usize,
    pub(crate) healthy: usize,
    pub(crate) checks: usize,
    pub(crate) leases: usize,
    pub(crate) nodes: usize,
    pub(crate) entries: usize,
    pub(crate) brake: Brake,
}

/// The brake on mass loss.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Brake {
    /// Whether instances are being kept in service although their silence or their probes say otherwise.
    pub(crate) engaged: bool,
    /// How many.
    pub(crate) suspect: usize,
    pub(crate) lapsed: usize,
    /// The share of all heartbeat- or probe-kept instances that may be lost within a minute.
    pub(crate) share: f64,
    /// Below this many lost within a minute nothing is held back.
    pub(crate) at_least: usize,
}

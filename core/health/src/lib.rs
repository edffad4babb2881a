//! Active health checks: asks the instances and nodes that are registered how they are, and tells the registry.
//!
//! A [`Health`] follows the registry's active checks (HTTP, TCP, UDP and gRPC), gives each of them its turn once per
//! interval, spread evenly and a bounded number at a time, and hands what the thresholds make of the answers to
//! [`Registry::evidence`]: whether a verdict is believed is the registry's decision. A [`Policy`] keeps checks from
//! being used to look around in the network: it is asked when a check is registered, and again for the very address
//! that a probe connects to.
//!
//! What this crate does not know: any protocol through which checks are registered, TTL checks (the registry itself
//! watches over silence), checks that run commands (there are none), and what a status means for an instance.

mod aim;
mod config;
mod follow;
mod meters;
mod policy;
mod probe;
mod schedule;
mod turn;
mod verdict;

use std::sync::Arc;

use switchboard_registry::Registry;

pub use config::{Config, EXAMPLE};
pub use meters::Meters;
pub use policy::{Aim, Host, Policy};

use follow::Follower;
use probe::{Prober, Trust};
use turn::Desk;

/// The running health checker. It ends when the registry stops.
#[derive(Clone, Debug)]
pub struct Health {
    meters: Meters,
    policy: Arc<Policy>,
}

/// Why the health checker does not start. Says which setting is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("health.{key}: {why}")]
pub struct ConfigError {
    pub key: &'static str,
    pub why: String,
}

/// Starts to check the health of everything that is registered, and of everything that will be.
pub fn spawn(registry: Registry, config: &Config) -> Result<Health, ConfigError> {
    if config.concurrent == 0 {
        return Err(ConfigError { key: "concurrent", why: "must be at least 1".to_owned() });
    }
    let trust = Trust::load(config.ca_file.as_deref())?;
    let policy = Arc::new(Policy::new(config));
    let meters = Meters::default();
    let desk = Desk {
        registry: registry.clone(),
        prober: Prober::new(policy.clone(), trust, probe::system_resolver(), config.show_bodies),
        meters: meters.clone(),
    };
    tokio::spawn(Follower::new(registry, Arc::new(desk), config.concurrent).run());
    Ok(Health { meters, policy })
}

impl Health {
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The rules of what may be probed, for whoever registers checks.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }
}

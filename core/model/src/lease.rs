use std::time::Duration;

use crate::Rejection;

/// Names a lease. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl std::fmt::Display for LeaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A promise to stay as long as someone renews it. Renewals move a deadline in memory and are never committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: LeaseId,
    pub ttl: Duration,
    pub on_expiry: OnExpiry,
    /// Granted together with the one instance it keeps, and gone with it.
    pub implicit: bool,
    pub standing: Standing,
}

impl Lease {
    pub const MIN_TTL: Duration = Duration::from_secs(1);
    /// About 136 years: etcd clients ask for lifetimes that mean "for ever".
    pub const MAX_TTL: Duration = Duration::from_secs(u32::MAX as u64);

    pub fn validate(&self) -> Result<(), Rejection> {
        if self.id.0 == 0 {
            return Err(Rejection::invalid("lease", "must not be 0"));
        }
        if self.ttl < Lease::MIN_TTL || self.ttl > Lease::MAX_TTL {
            return Err(Rejection::invalid(
                "ttl",
                format!(
                    "must be between {} and {} seconds",
                    Lease::MIN_TTL.as_secs(),
                    Lease::MAX_TTL.as_secs()
                ),
            ));
        }
        Ok(())
    }
}

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnExpiry {
    /// The lease's instances leave the healthy set, stay visible for `linger`, and then go. Braked on mass loss.
    Lapse { linger: Duration },
    /// Everything under the lease goes in one revision, at once, whatever else is happening.
    Delete,
}

/// Where a lease stands between renewed and gone. `since_ms` is wall-clock time, for people only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Standing {
    #[default]
    Live,
    /// Silent beyond its TTL, but so many others are that the silence says more about us: still served.
    Suspect { since_ms: u64 },
    /// Silent beyond its TTL: no longer served, still visible.
    Lapsed { since_ms: u64 },
}

use std::sync::Arc;
use std::time::SystemTime;

use switchboard_model::Revision;

use crate::instance::Instance;

/// All instances that answer a query, at one moment.
///
/// ```
/// use switchboard_discover::{Instance, InstanceSet, Revision};
///
/// let one = Instance::new("users", "a", "10.0.0.1", 80)?;
/// let other = Instance::new("users", "a", "10.0.0.2", 80)?;
/// let set = InstanceSet::fresh([one, other], Revision(7));
/// assert_eq!(set.instances.len(), 1, "of two with one key the last counts");
/// # Ok::<(), switchboard_discover::Rejection>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceSet {
    /// Sorted by key, each once.
    pub instances: Arc<[Arc<Instance>]>,
    /// The registry's revision that the set shows; 0 where it has none.
    pub revision: Revision,
    /// Whether the registry still says so.
    pub freshness: Freshness,
}

/// Whether the registry still says so.
///
/// ```
/// use switchboard_discover::{Freshness, InstanceSet};
///
/// let set = InstanceSet::never();
/// assert!(set.instances.is_empty() && set.freshness.is_never(), "it is not known whether there are any");
/// assert!(Freshness::Fresh.is_fresh());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It does, as far as anyone can know.
    Fresh,
    /// It said so once, and cannot be heard at present.
    Stale {
        /// When it was last known to be right.
        since: SystemTime,
        /// Why it cannot be heard.
        cause: Arc<str>,
    },
    /// It has not said anything yet: that the set is empty means nothing.
    Never {
        /// Why it cannot be heard; None: it was only just asked.
        cause: Option<Arc<str>>,
    },
}

impl Freshness {
    /// Whether the registry still says so.
    pub fn is_fresh(&self) -> bool {
        matches!(self, Freshness::Fresh)
    }

    /// Whether nothing is known at all.
    pub fn is_never(&self) -> bool {
        matches!(self, Freshness::Never { .. })
    }
}

impl InstanceSet {
    /// Nothing is known yet.
    pub fn never() -> InstanceSet {
        InstanceSet {
            instances: Arc::new([]),
            revision: Revision(0),
            freshness: Freshness::Never { cause: None },
        }
    }

    /// A set that is right now. Of several instances with one key the last counts.
    pub fn fresh(instances: impl IntoIterator<Item = Instance>, revision: Revision) -> InstanceSet {
        let instances = ordered(instances.into_iter().map(Arc::new).collect());
        InstanceSet { instances, revision, freshness: Freshness::Fresh }
    }
}

/// Sorted by key, each once.
fn ordered(mut instances: Vec<Arc<Instance>>) -> Arc<[Arc<Instance>]> {
    // Stable, so that the last of several stays last.
    instances.sort_by(|a, b| a.key.cmp(&b.key));
    instances.reverse();
    instances.dedup_by(|a, b| a.key == b.key);
    instances.reverse();
    instances.into()
}

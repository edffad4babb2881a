use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use switchboard_model::Revision;
use tokio::sync::watch;

use crate::instance::Instance;
use crate::query::Query;
use crate::set::{Freshness, InstanceSet};

/// Where a feed puts what it finds.
///
/// ```
/// use switchboard_discover::{Freshness, Instance, Publisher, Query};
///
/// let (publisher, sets) = Publisher::new(Query::service("users").unwrap());
/// let theirs = Instance::new("orders", "b", "h", 1).unwrap();
/// publisher.publish([Instance::new("users", "a", "h", 1).unwrap(), theirs], 7);
/// assert_eq!(sets.borrow().instances.len(), 1, "what was not asked for is left out");
/// publisher.lost("the registry hung up");
/// assert!(matches!(sets.borrow().freshness, Freshness::Stale { .. }));
/// ```
#[derive(Debug)]
pub struct Publisher {
    query: Query,
    sets: watch::Sender<InstanceSet>,
    published: AtomicU64,
}

impl Publisher {
    /// A publisher of which nothing is known yet, and the channel that it publishes into.
    pub fn new(query: Query) -> (Publisher, watch::Receiver<InstanceSet>) {
        let (sets, receiver) = watch::channel(InstanceSet::never());
        (Publisher { query, sets, published: AtomicU64::new(0) }, receiver)
    }

    /// All instances of the query's service at a revision. The publisher leaves out those that the query does not want,
    /// so that a feed may give everything it has, and wakes nobody if nothing changed.
    pub fn publish(&self, instances: impl IntoIterator<Item = Instance>, revision: u64) {
        self.published.fetch_add(1, Ordering::Relaxed);
        let wanted = instances.into_iter().filter(|instance| self.query.admits(instance));
        self.put(InstanceSet::fresh(wanted, Revision(revision)));
    }

    /// A set from before this process started.
    pub(crate) fn restore(
        &self,
        instances: Vec<Instance>,
        revision: Revision,
        since: SystemTime,
        cause: &str,
    ) {
        let wanted = instances.into_iter().filter(|instance| self.query.admits(instance));
        let freshness = Freshness::Stale { since, cause: Arc::from(cause) };
        self.put(InstanceSet { freshness, ..InstanceSet::fresh(wanted, revision) });
    }

    /// The registry cannot be heard any more. What is known stays, and is called stale since the first such word.
    pub fn lost(&self, cause: impl fmt::Display) {
        let cause: Arc<str> = Arc::from(cause.to_string());
        self.sets.send_modify(|set| {
            set.freshness = match &set.freshness {
                Freshness::Fresh => Freshness::Stale { since: SystemTime::now(), cause },
                Freshness::Stale { since, .. } => Freshness::Stale { since: *since, cause },
                Freshness::Never { .. } => Freshness::Never { cause: Some(cause) },
            };
        });
    }

    /// How many sets were published.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Relaxed)
    }

    fn put(&self, new: InstanceSet) {
        self.sets.send_if_modified(|set| {
            let differs = set.instances != new.instances || set.freshness != new.freshness;
            if differs {
                *set = new;
            } else {
                set.revision = new.revision;
            }
            differs
        });
    }
}

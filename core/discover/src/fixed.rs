use std::sync::Arc;

use switchboard_model::Revision;
use tokio::sync::watch;

use crate::instance::Instance;
use crate::query::Query;
use crate::set::InstanceSet;
use crate::source::{Source, Updates};

/// A source that was given its instances: for tests, and for what never moves.
///
/// ```
/// use switchboard_discover::{Fixed, Instance, Query, Source};
///
/// let source = Fixed::new([Instance::new("users", "a", "10.0.0.1", 80).unwrap()]);
/// let mut users = source.watch(&Query::service("users").unwrap());
/// assert_eq!(users.current().instances.len(), 1);
/// source.set([]);
/// assert_eq!(users.current().instances.len(), 0);
/// ```
#[derive(Debug)]
pub struct Fixed {
    instances: watch::Sender<(Vec<Instance>, u64)>,
    watches: parking_lot::Mutex<Vec<(Query, watch::Sender<InstanceSet>)>>,
}

impl Fixed {
    /// A source of these instances, of whichever services.
    pub fn new(instances: impl IntoIterator<Item = Instance>) -> Fixed {
        let (instances, _) = watch::channel((instances.into_iter().collect(), 1));
        Fixed { instances, watches: parking_lot::Mutex::default() }
    }

    /// Other instances from now on.
    pub fn set(&self, instances: impl IntoIterator<Item = Instance>) {
        let mut watches = self.watches.lock();
        self.instances.send_modify(|(old, revision)| {
            *old = instances.into_iter().collect();
            *revision += 1;
        });
        watches.retain(|(query, sets)| {
            let new = self.answer(query);
            sets.send_if_modified(|set| {
                let differs = set.instances != new.instances;
                *set = new;
                differs
            });
            sets.receiver_count() > 0
        });
    }

    fn answer(&self, query: &Query) -> InstanceSet {
        let (instances, revision) = &*self.instances.borrow();
        let wanted = instances.iter().filter(|instance| query.admits(instance)).cloned();
        InstanceSet::fresh(wanted, Revision(*revision))
    }
}

impl Source for Fixed {
    fn name(&self) -> &str {
        "a fixed list"
    }

    fn watch(&self, query: &Query) -> Updates {
        let mut watches = self.watches.lock();
        watches.retain(|(_, sets)| sets.receiver_count() > 0);
        let receiver = match watches.iter().find(|(watched, _)| watched == query) {
            Some((_, sets)) => sets.subscribe(),
            None => {
                let (sets, receiver) = watch::channel(self.answer(query));
                watches.push((query.clone(), sets));
                receiver
            }
        };
        Updates::new(receiver, Arc::new(()))
    }
}

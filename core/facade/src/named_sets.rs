use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use switchboard_registry::{InstanceView, Snapshot};

/// Sets of instances that one façade keeps under names of its own and another may ask for: a prepared query is stored
/// over HTTP and asked for over DNS. A façade publishes a source; whoever asks never learns which protocol answered.
#[derive(Clone, Default)]
pub struct NamedSets(Arc<RwLock<Vec<Arc<dyn NamedSetSource>>>>);

/// Answers for the names that one façade keeps.
pub trait NamedSetSource: Send + Sync {
    /// The set under this name or id, as of `at`; None: there is none.
    fn find(&self, at: &Snapshot, name: &str, asker: &Asker) -> Option<NamedSet>;

    /// This registry itself, where the façade's protocol lists it among the services without its being a record.
    fn itself(&self, _at: &Snapshot) -> Option<Arc<InstanceView>> {
        None
    }
}

/// What is known of who asks, for sets that depend on where that is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker {
    pub peer: Option<IpAddr>,
    /// The network that the peer asks for, with the length of its prefix.
    pub network: Option<(IpAddr, u8)>,
}

#[derive(Clone, Debug, Default)]
pub struct NamedSet {
    /// Exactly what is to be given: whoever keeps the set has left out what is not healthy enough.
    pub instances: Vec<Arc<InstanceView>>,
    /// The service that they are of.
    pub service: String,
    /// How long the answer may be kept, if the set says so. None: as long as answers about the service.
    pub ttl: Option<Duration>,
    /// The order means something: the nearest come first.
    pub in_order: bool,
}

impl NamedSets {
    pub fn publish(&self, source: Arc<dyn NamedSetSource>) {
        self.0.write().push(source);
    }

    /// The first set that any source has under this name.
    pub fn find(&self, at: &Snapshot, name: &str, asker: &Asker) -> Option<NamedSet> {
        // Not asked under the lock: a source may take its time.
        let sources = self.0.read().clone();
        sources.iter().find_map(|source| source.find(at, name, asker))
    }

    /// This registry itself, as the first source has it that lists it.
    pub fn itself(&self, at: &Snapshot) -> Option<Arc<InstanceView>> {
        let sources = self.0.read().clone();
        sources.iter().find_map(|source| source.itself(at))
    }
}

impl fmt::Debug for NamedSets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedSets({})", self.0.read().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Only(&'static str, u64);

    impl NamedSetSource for Only {
        fn find(&self, _: &Snapshot, name: &str, _: &Asker) -> Option<NamedSet> {
            let ttl = Some(Duration::from_secs(self.1));
            (name == self.0).then(|| NamedSet { ttl, ..NamedSet::default() })
        }
    }

    #[test]
    fn every_source_is_asked_and_the_first_that_knows_answers() {
        let sets = NamedSets::default();
        let ttl = |sets: &NamedSets, name| {
            sets.find(&Snapshot::default(), name, &Asker::default()).and_then(|set| set.ttl)
        };
        assert_eq!(ttl(&sets, "near"), None);
        let shared = sets.clone();
        for (name, seconds) in [("near", 1), ("far", 2), ("near", 3)] {
            sets.publish(Arc::new(Only(name, seconds)));
        }
        assert_eq!(ttl(&shared, "near"), Some(Duration::from_secs(1)));
        assert_eq!(ttl(&shared, "far"), Some(Duration::from_secs(2)));
        assert_eq!(ttl(&shared, "nowhere"), None);
    }
}

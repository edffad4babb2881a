use std::sync::Arc;

use imbl::OrdMap;
use switchboard_model::{RecordKey, Revision};

use crate::fold::Step;

/// The newest commit that wrote or removed a record of each kind. What went before a restart counts as having
/// happened just before it, so that none of these ever goes back.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Of anything, when the records were loaded.
    loaded: Revision,
    /// Of an instance itself, whatever its checks, lease or node say.
    pub instances: Revision,
    pub nodes: Revision,
    pub checks: Revision,
    pub leases: Revision,
    /// When a service last lost its last instance.
    pub extinction: Revision,
    keyspaces: OrdMap<Arc<str>, InKeyspace>,
}

#[derive(Clone, Copy, Debug)]
struct InKeyspace {
    written: Revision,
    removed: Revision,
}

impl Touched {
    pub(crate) fn until(loaded: Revision) -> Touched {
        Touched {
            loaded,
            instances: loaded,
            nodes: loaded,
            checks: loaded,
            leases: loaded,
            extinction: loaded,
            keyspaces: OrdMap::new(),
        }
    }

    /// Of an entry in this keyspace.
    pub fn entries(&self, keyspace: &str) -> Revision {
        self.keyspaces.get(keyspace).map_or(self.loaded, |touched| touched.written)
    }

    /// When an entry of this keyspace last went.
    pub fn entries_removed(&self, keyspace: &str) -> Revision {
        self.keyspaces.get(keyspace).map_or(self.loaded, |touched| touched.removed)
    }

    pub(crate) fn follow(&mut self, revision: Revision, steps: &[Step]) {
        for (key, after) in steps {
            match key {
                RecordKey::Instance(_) => self.instances = revision,
                RecordKey::Node(_) => self.nodes = revision,
                RecordKey::Check(_) => self.checks = revision,
                RecordKey::Lease(_) => self.leases = revision,
                RecordKey::Entry(key) => {
                    let removed = after.is_none();
                    match self.keyspaces.get_mut(&*key.keyspace) {
                        Some(touched) => {
                            touched.written = revision;
                            if removed {
                                touched.removed = revision;
                            }
                        }
                        None => {
                            let removed = if removed { revision } else { self.loaded };
                            let touched = InKeyspace { written: revision, removed };
                            self.keyspaces.insert(key.keyspace.clone(), touched);
                        }
                    }
                }
            }
        }
    }
}

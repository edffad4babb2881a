use std::sync::Arc;

use bytes::Bytes;

use crate::{Annex, LeaseId, Rejection};

/// A key within a keyspace. Keyspaces keep the raw keys of different protocols apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    pub keyspace: Arc<str>,
    pub key: Bytes,
}

/// A raw key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: EntryKey,
    pub value: Bytes,
    /// The lease it lives by. None: it stays until someone deletes it.
    pub lease: Option<LeaseId>,
    /// An opaque number for the caller's use.
    pub flags: u64,
    pub annex: Annex,
}

impl Entry {
    pub const MAX_KEY: usize = 64 * 1024;
    pub const MAX_VALUE: usize = 1536 * 1024;

    pub fn validate(&self) -> Result<(), Rejection> {
        if self.key.keyspace.is_empty() || self.key.keyspace.len() > 64 {
            return Err(Rejection::invalid("keyspace", "must be 1 to 64 bytes long"));
        }
        if self.key.key.is_empty() {
            return Err(Rejection::invalid("key", "must not be empty"));
        }
        if self.key.key.len() > Entry::MAX_KEY {
            return Err(Rejection::Limit { what: "key bytes".into(), limit: Entry::MAX_KEY as u64 });
        }
        if self.value.len() > Entry::MAX_VALUE {
            return Err(Rejection::Limit { what: "value bytes".into(), limit: Entry::MAX_VALUE as u64 });
        }
        Ok(())
    }
}

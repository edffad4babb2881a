//! Between etcd's words and the model's. Pure: no clock, no socket, no registry.

pub(crate) mod accounts;
pub(crate) mod alarms;
pub(crate) mod event;
pub(crate) mod keys;
pub(crate) mod projection;
pub(crate) mod range;
pub(crate) mod restored;
pub(crate) mod snapshot;
pub(crate) mod value;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use switchboard_model::{Annex, Entry, EntryKey, LeaseId, Revision};

/// Where keys live that are nothing else.
pub(crate) fn keyspace() -> Arc<str> {
    static KEYSPACE: OnceLock<Arc<str>> = OnceLock::new();
    KEYSPACE.get_or_init(|| Arc::from("etcd")).clone()
}

pub(crate) fn entry_key(key: Bytes) -> EntryKey {
    EntryKey { keyspace: keyspace(), key }
}

pub(crate) fn entry(key: Bytes, value: Bytes, lease: Option<LeaseId>) -> Entry {
    Entry { key: entry_key(key), value, lease, flags: 0, annex: Annex::default() }
}

/// Revisions and lease ids are signed on the wire; ours never reach the sign.
pub(crate) fn revision_to_wire(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

pub(crate) fn lease_to_wire(lease: Option<LeaseId>) -> i64 {
    lease.map_or(0, |lease| lease.0.cast_signed())
}

/// None: no lease.
pub(crate) fn lease_from_wire(lease: i64) -> Option<LeaseId> {
    (lease != 0).then_some(LeaseId(lease.cast_unsigned()))
}

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use switchboard_model::{Entry, EntryKey, Stored};

use crate::wire::{self, ServiceCheck};

/// Where sessions are, and what they hold, so that it is found when they end.
pub(crate) const SESSIONS: &str = "consul.session";
pub(crate) const LOCKS: &str = "consul.lock";
/// Until when keys cannot be acquired that were held when a session ended.
pub(crate) const DELAYS: &str = "consul.delay";

/// The longest that a key stays out of reach.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A session, as it is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) lock_delay_ns: u64,
    /// What becomes of the keys that it holds: they go instead of being released.
    pub(crate) deletes: bool,
    /// In the words in which it was asked for.
    pub(crate) ttl: String,
    pub(crate) node_checks: Option<Vec<String>>,
    pub(crate) service_checks: Option<Vec<ServiceCheck>>,
    pub(crate) checks: Option<Vec<String>>,
}

impl Session {
    pub(crate) fn of(entry: &Entry) -> Session {
        serde_json::from_slice(&entry.value).unwrap_or_default()
    }

    pub(crate) fn to_value(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// The checks that it lives by.
    pub(crate) fn all_checks(&self) -> impl Iterator<Item = &str> {
        let lists = self.node_checks.iter().chain(&self.checks).flatten().map(String::as_str);
        lists.chain(self.service_checks.iter().flatten().map(|check| check.id.as_str()))
    }

    pub(crate) fn lock_delay(&self) -> Duration {
        Duration::from_nanos(self.lock_delay_ns).min(LONGEST_DELAY)
    }
}

/// A key that a session holds: what becomes of it without looking at the session, which may be gone.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Hold {
    pub(crate) deletes: bool,
    pub(crate) delay_ms: u64,
}

impl Hold {
    pub(crate) fn of(session: &Session) -> Hold {
        let delay_ms = u64::try_from(session.lock_delay().as_millis()).unwrap_or_default();
        Hold { deletes: session.deletes, delay_ms }
    }

    pub(crate) fn read(entry: &Entry) -> Hold {
        serde_json::from_slice(&entry.value).unwrap_or_default()
    }

    pub(crate) fn to_value(self) -> Bytes {
        serde_json::to_vec(&self).unwrap_or_default().into()
    }
}

pub(crate) fn session_key(id: &str) -> EntryKey {
    EntryKey { keyspace: SESSIONS.into(), key: Bytes::copy_from_slice(id.as_bytes()) }
}

pub(crate) fn hold_key(session: &str, key: &[u8]) -> EntryKey {
    EntryKey { keyspace: LOCKS.into(), key: [session.as_bytes(), b"/", key].concat().into() }
}

pub(crate) fn delay_key(key: &[u8]) -> EntryKey {
    EntryKey { keyspace: DELAYS.into(), key: Bytes::copy_from_slice(key) }
}

pub(crate) fn session_to_wire(entry: &Stored<Entry>) -> wire::Session {
    let session = Session::of(entry);
    wire::Session {
        id: String::from_utf8_lossy(&entry.key.key).into_owned(),
        name: session.name,
        node: session.node,
        lock_delay: session.lock_delay_ns,
        behavior: if session.deletes { "delete" } else { "release" },
        ttl: session.ttl,
        node_checks: session.node_checks,
        service_checks: session.service_checks,
        checks: session.checks,
        create_index: entry.created.0,
        modify_index: entry.modified.0,
    }
}

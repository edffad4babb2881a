use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use switchboard_model::{Annex, Entry, EntryKey, Rejection, Stored};

use super::node::annex_of;
use crate::wire;

/// Where Consul's keys are.
pub(crate) const KEYS: &str = "consul";

/// What Consul says about a pair and the model has no noun for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct PairWords {
    /// The session that holds it as a lock.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) session: String,
    /// How often it was acquired.
    #[serde(skip_serializing_if = "wire::is_default")]
    pub(crate) lock_index: u64,
}

impl PairWords {
    pub(crate) fn of(entry: &Entry) -> PairWords {
        entry.annex.get("consul").and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    pub(crate) fn annex(&self) -> Result<Annex, Rejection> {
        annex_of(self, *self == PairWords::default())
    }
}

pub(crate) fn pair_key(key: &[u8]) -> EntryKey {
    EntryKey { keyspace: KEYS.into(), key: Bytes::copy_from_slice(key) }
}

/// `with_value`: transactions do not repeat what they wrote.
pub(crate) fn pair_to_wire(entry: &Stored<Entry>, with_value: bool) -> wire::Pair<'_> {
    let words = PairWords::of(entry);
    let value = Some(&entry.value.value).filter(|value| with_value && !value.is_empty());
    wire::Pair {
        lock_index: words.lock_index,
        key: String::from_utf8_lossy(&entry.key.key),
        flags: entry.flags,
        value: value.map(|value| STANDARD.encode(value)),
        session: words.session,
        create_index: entry.created.0,
        modify_index: entry.modified.0,
    }
}

//! Events: short messages to everyone, of which the last few are remembered. They are not kept across a restart.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use parking_lot::Mutex;
use regex::bytes::Regex;
use serde::{Serialize, Serializer};
use tokio::sync::watch;
use uuid::Uuid;

/// So many are remembered.
pub(crate) const REMEMBERED: usize = 256;
/// What an event may hold in all, as Serf has it.
pub(crate) const MOST_BYTES: usize = 512;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Event {
    #[serde(rename = "ID", serialize_with = "as_text")]
    pub(crate) id: Uuid,
    pub(crate) name: String,
    #[serde(serialize_with = "as_base64")]
    pub(crate) payload: Bytes,
    pub(crate) node_filter: String,
    pub(crate) service_filter: String,
    pub(crate) tag_filter: String,
    pub(crate) version: u64,
    #[serde(rename = "LTime")]
    pub(crate) time: u64,
}

fn as_text<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn as_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes.is_empty() {
        true => serializer.serialize_none(),
        false => serializer.serialize_str(&BASE64_STANDARD.encode(bytes)),
    }
}

impl Event {
    /// What clients block on; it never ascends, it only differs.
    pub(crate) fn index(&self) -> u64 {
        let (high, low) = self.id.as_u64_pair();
        high ^ low
    }
}

/// An event and whom it is for.
#[derive(Debug)]
pub(crate) struct Fired {
    pub(crate) event: Event,
    pub(crate) node: Option<Regex>,
    pub(crate) service: Option<Regex>,
    pub(crate) tag: Option<Regex>,
}

#[derive(Debug, Default)]
pub(crate) struct Events {
    recent: Mutex<VecDeque<Arc<Fired>>>,
    /// How many there ever were.
    count: watch::Sender<u64>,
}

impl Events {
    pub(crate) fn fire(&self, mut fired: Fired) {
        let mut recent = self.recent.lock();
        let count = self.count.borrow().saturating_add(1);
        fired.event.time = count;
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(Arc::new(fired));
        // Told under the lock, so that who is woken finds it.
        self.count.send_replace(count);
    }

    /// The oldest first.
    pub(crate) fn recent(&self) -> Vec<Arc<Fired>> {
        self.recent.lock().iter().cloned().collect()
    }

    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_remembered_and_the_index_is_made_of_the_id() {
        let events = Events::default();
        for n in 0..REMEMBERED + 3 {
            let id = Uuid::from_u64_pair(0xff00, n as u64);
            let event = Event {
                id,
                name: n.to_string(),
                payload: Bytes::new(),
                node_filter: String::new(),
                service_filter: String::new(),
                tag_filter: String::new(),
                version: 1,
                time: 0,
            };
            events.fire(Fired { event, node: None, service: None, tag: None });
        }
        let recent = events.recent();
        assert_eq!(recent.len(), REMEMBERED);
        let first = &recent.first().unwrap().event;
        assert_eq!((first.name.as_str(), first.time, first.index()), ("3", 4, 0xff03));
    }
}

use std::collections::HashMap;

use bytes::Bytes;
use switchboard_registry::{Changes, What};

use super::keys::entry_to_wire;
use super::projection::Projections;
use super::range::KeyRange;
use super::{keyspace, revision_to_wire};
use crate::wire::mvccpb::event::EventType;
use crate::wire::mvccpb::{Event, KeyValue};

/// What one commit did to the keys in a range, in the order in which it was written; each key once.
pub(crate) fn events(changes: &Changes, range: &KeyRange, projections: &Projections) -> Vec<Event> {
    let revision = revision_to_wire(changes.revision);
    let mut told = Told { events: Vec::new(), at: (changes.items.len() > 1).then(HashMap::new) };
    for item in &changes.items {
        match &item.what {
            What::Entry { before, after } => {
                let Some(either) = after.as_ref().or(before.as_ref()) else { continue };
                if *either.key.keyspace == *keyspace() && range.contains(&either.key.key) {
                    let sides = (before.as_deref().map(entry_to_wire), after.as_deref().map(entry_to_wire));
                    told.tell(revision, sides);
                }
            }
            What::Instance { before, after } => {
                for by in projections.within(range) {
                    let show = |view: &std::sync::Arc<_>| by.show(view).filter(|kv| range.contains(&kv.key));
                    let sides = (before.as_ref().and_then(show), after.as_ref().and_then(show));
                    // Something else about the instance changed, such as its node.
                    if sides.0 != sides.1 {
                        told.tell(revision, sides);
                    }
                }
            }
            What::Node { .. } | What::Check { .. } | What::Lease { .. } => {}
        }
    }
    told.events
}

struct Told {
    events: Vec<Event>,
    /// Where each key is among the events. None: there will be no second one.
    at: Option<HashMap<Bytes, usize>>,
}

impl Told {
    fn tell(&mut self, revision: i64, sides: (Option<KeyValue>, Option<KeyValue>)) {
        let (r#type, kv, prev_kv) = match sides {
            (prev_kv, Some(kv)) => (EventType::Put, KeyValue { mod_revision: revision, ..kv }, prev_kv),
            (Some(prev_kv), None) => {
                let key = prev_kv.key.clone();
                let gone = KeyValue { key, mod_revision: revision, ..KeyValue::default() };
                (EventType::Delete, gone, Some(prev_kv))
            }
            (None, None) => return,
        };
        let at = self.at.as_ref().and_then(|at| at.get(&kv.key).copied());
        // A key that became an instance, or ceased to be one, is two records to us and one key to the watcher.
        match at.and_then(|at| self.events.get_mut(at)) {
            None => {
                if let Some(at) = &mut self.at {
                    at.insert(kv.key.clone(), self.events.len());
                }
                self.events.push(Event { r#type: r#type.into(), kv: Some(kv), prev_kv });
            }
            Some(told) => {
                told.prev_kv = told.prev_kv.take().or(prev_kv);
                if r#type == EventType::Put {
                    told.r#type = r#type.into();
                    told.kv = Some(kv);
                }
            }
        }
    }
}

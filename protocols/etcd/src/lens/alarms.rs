//! Alarms: as records, in a keyspace of their own. So they outlive a restart.

use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use switchboard_model::{Annex, Entry, EntryKey, Record, RecordKey, Selector};
use switchboard_registry::Snapshot;
use switchboard_registry::plan::Write;

use crate::wire::etcdserverpb::{AlarmMember, AlarmType};

/// What is wrong, and with whom. etcd takes any member's number and any kind that is not zero, and so do we; only two
/// kinds mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alarm {
    pub(crate) member: u64,
    pub(crate) kind: i32,
}

fn keyspace() -> Arc<str> {
    static KEYSPACE: OnceLock<Arc<str>> = OnceLock::new();
    KEYSPACE.get_or_init(|| Arc::from("etcd.alarms")).clone()
}

impl Alarm {
    /// By kind, and then by member.
    fn key(self) -> EntryKey {
        let key = [self.kind.to_be_bytes().as_slice(), &self.member.to_be_bytes()].concat();
        EntryKey { keyspace: keyspace(), key: key.into() }
    }

    fn from_key(key: &[u8]) -> Option<Alarm> {
        let (kind, member) = key.split_first_chunk()?;
        let member = u64::from_be_bytes(member.try_into().ok()?);
        Some(Alarm { member, kind: i32::from_be_bytes(*kind) })
    }

    pub(crate) fn is_on(self, at: &Snapshot) -> bool {
        at.entry(&self.key()).is_some()
    }

    pub(crate) fn raise(self) -> Write {
        let (key, value) = (self.key(), Bytes::new());
        Write::Put(Record::Entry(Entry { key, value, lease: None, flags: 0, annex: Annex::default() }))
    }

    pub(crate) fn disarm(self) -> Write {
        Write::Delete(RecordKey::Entry(self.key()))
    }

    pub(crate) fn to_wire(self) -> AlarmMember {
        AlarmMember { member_id: self.member, alarm: self.kind }
    }

    /// As etcd's status says it.
    pub(crate) fn to_text(self) -> String {
        let member = self.member;
        // Fields that are zero are left out there, each with what parts it from the next.
        let member = if member == 0 { String::new() } else { format!("memberID:{member}  ") };
        format!("{member}alarm:{}", self.kind_name())
    }

    pub(crate) fn kind_name(self) -> String {
        match AlarmType::try_from(self.kind) {
            Ok(kind) => kind.as_str_name().to_owned(),
            Err(_) => self.kind.to_string(),
        }
    }
}

/// Those that are on, in order.
pub(crate) fn alarms(at: &Snapshot) -> impl Iterator<Item = Alarm> {
    let first = EntryKey { keyspace: keyspace(), key: Bytes::new() };
    at.entries(Bound::Included(first))
        .take_while(|entry| *entry.key.keyspace == *keyspace())
        .filter_map(|entry| Alarm::from_key(&entry.key.key))
}

/// All alarms, for a watch.
pub(crate) fn all() -> Selector {
    Selector::Entries { keyspace: keyspace(), start: Bytes::new(), end: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_found_by_its_key_again_and_said_as_etcd_says_it() {
        for (member, kind, text) in
            [(7, 1, "memberID:7  alarm:NOSPACE"), (0, 2, "alarm:CORRUPT"), (u64::MAX, 9, "")]
        {
            let alarm = Alarm { member, kind };
            assert_eq!(Alarm::from_key(&alarm.key().key), Some(alarm));
            assert!(text.is_empty() || alarm.to_text() == text, "{}", alarm.to_text());
        }
        assert_eq!(Alarm::from_key(b"short"), None);
    }
}

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use switchboard_model::{Annex, Entry, EntryKey, Record, Rejection};
use switchboard_registry::plan::Plan;
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb::{AlarmMember, AlarmType};

/// Far more than there are members. Whoever raises one names the member.
const MOST: usize = 1024;

/// An alarm that somebody raised. Until it is taken back, writes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Alarm {
    pub(crate) kind: Kind,
    pub(crate) member_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    NoSpace,
    Corrupt,
}

impl Kind {
    /// None: no kind, which means none or all of them.
    pub(crate) fn from_wire(kind: i32) -> Result<Option<Kind>, Refusal> {
        match AlarmType::try_from(kind) {
            Ok(AlarmType::None) => Ok(None),
            Ok(AlarmType::Nospace) => Ok(Some(Kind::NoSpace)),
            Ok(AlarmType::Corrupt) => Ok(Some(Kind::Corrupt)),
            Err(_) => Err(refusal::NOT_CAPABLE),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::NoSpace => "NOSPACE",
            Kind::Corrupt => "CORRUPT",
        }
    }
}

impl Alarm {
    pub(crate) fn to_wire(self) -> AlarmMember {
        let alarm = match self.kind {
            Kind::NoSpace => AlarmType::Nospace,
            Kind::Corrupt => AlarmType::Corrupt,
        };
        AlarmMember { member_id: self.member_id, alarm: alarm.into() }
    }
}

fn key() -> EntryKey {
    EntryKey { keyspace: "etcd.cluster".into(), key: Bytes::from_static(b"alarms") }
}

/// In order, each once.
pub(crate) fn raised(at: &Snapshot) -> Vec<Alarm> {
    at.entry(&key()).and_then(|entry| serde_json::from_slice(&entry.value.value).ok()).unwrap_or_default()
}

/// Raises an alarm, or takes it back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) alarm: Alarm,
    pub(crate) raise: bool,
}

/// Whether there is such an alarm, or was; and all that there are now.
pub(crate) type Changed = Result<(bool, Vec<Alarm>), Refusal>;

impl Intent for Change {
    type Reply = Changed;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<Changed>, Rejection> {
        let mut alarms = raised(at);
        let mut plan = Plan::default();
        let found = alarms.binary_search(&self.alarm);
        match (found, self.raise) {
            (Err(_), true) if alarms.len() >= MOST => {
                return Ok(Planned { plan, reply: Err(refusal::TOO_MANY_REQUESTS) });
            }
            (Err(place), true) => alarms.insert(place, self.alarm),
            (Ok(place), false) => drop(alarms.remove(place)),
            (Ok(_), true) | (Err(_), false) => {
                return Ok(Planned { plan, reply: Ok((found.is_ok(), alarms)) });
            }
        }
        let value = serde_json::to_vec(&alarms).unwrap_or_default().into();
        plan.put(Record::Entry(Entry { key: key(), value, lease: None, flags: 0, annex: Annex::default() }));
        Ok(Planned { plan, reply: Ok((true, alarms)) })
    }
}

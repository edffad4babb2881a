use bytes::Bytes;
use serde::{Deserialize, Serialize};
use switchboard_model::{Annex, Entry, EntryKey, Record, Rejection};
use switchboard_registry::plan::Plan;
use switchboard_registry::{Intent, Now, Planned, Snapshot};

/// What every answer says about who gave it. It is the same after a restart: clients take a changed cluster for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) cluster_id: u64,
    pub(crate) member_id: u64,
}

/// The identity that is kept, or this one from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identify(pub(crate) Identity);

impl Identify {
    fn key() -> EntryKey {
        EntryKey { keyspace: "etcd.cluster".into(), key: Bytes::from_static(b"identity") }
    }
}

impl Intent for Identify {
    type Reply = Identity;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<Identity>, Rejection> {
        let kept =
            at.entry(&Identify::key()).and_then(|entry| serde_json::from_slice(&entry.value.value).ok());
        let mut plan = Plan::default();
        if kept.is_none() {
            let value = serde_json::to_vec(&self.0).unwrap_or_default().into();
            let key = Identify::key();
            plan.put(Record::Entry(Entry { key, value, lease: None, flags: 0, annex: Annex::default() }));
        }
        Ok(Planned { plan, reply: kept.unwrap_or(self.0) })
    }
}

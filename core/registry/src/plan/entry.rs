use switchboard_model::{Entry, EntryKey, Noun, Record, RecordKey, Rejection, Revision};
use switchboard_store::Plan;

use super::{Intent, Planned, put_changed};
use crate::clock::Now;
use crate::snapshot::Snapshot;

/// Puts a raw key.
#[derive(Clone, Debug)]
pub struct PutEntry {
    pub entry: Entry,
    /// Only if the key was last written at this revision; zero: only if it does not exist.
    pub if_revision: Option<Revision>,
}

impl Intent for PutEntry {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        self.entry.validate()?;
        expect_revision(at, &self.entry.key, self.if_revision)?;
        if let Some(lease) = self.entry.lease
            && at.lease(lease).is_none()
        {
            return Err(Rejection::not_found(Noun::Lease, lease));
        }
        let mut plan = Plan::default();
        put_changed(&mut plan, at, Record::Entry(self.entry.clone()));
        Ok(Planned { plan, reply: () })
    }
}

#[derive(Clone, Debug)]
pub struct DeleteEntry {
    pub key: EntryKey,
    pub if_revision: Option<Revision>,
}

impl Intent for DeleteEntry {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        if at.entry(&self.key).is_none() {
            return Err(Rejection::not_found(Noun::Entry, String::from_utf8_lossy(&self.key.key)));
        }
        expect_revision(at, &self.key, self.if_revision)?;
        let mut plan = Plan::default();
        plan.delete(RecordKey::Entry(self.key.clone()));
        Ok(Planned { plan, reply: () })
    }
}

fn expect_revision(at: &Snapshot, key: &EntryKey, expected: Option<Revision>) -> Result<(), Rejection> {
    let actual = at.entry(key).map_or(Revision::ZERO, |entry| entry.modified);
    match expected {
        Some(expected) if expected != actual => Err(Rejection::Conflict {
            noun: Noun::Entry,
            name: String::from_utf8_lossy(&key.key).into_owned(),
            expected,
            actual,
        }),
        _ => Ok(()),
    }
}

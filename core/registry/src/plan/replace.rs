use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;

use switchboard_model::{Owner, Record, RecordKey, Rejection};
use switchboard_store::Plan;

use super::{Intent, Planned, put_changed};
use crate::clock::Now;
use crate::snapshot::Snapshot;

/// Makes these records all that there is: what is different is written, what is not among them is deleted, in one commit.
#[derive(Clone, Debug)]
pub struct ReplaceAll {
    pub records: Arc<[Record]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    pub written: usize,
    pub deleted: usize,
}

impl Intent for ReplaceAll {
    type Reply = Replaced;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<Replaced>, Rejection> {
        let mut keys: HashSet<RecordKey> = HashSet::with_capacity(self.records.len());
        for record in self.records.iter() {
            if !keys.insert(record.key()) {
                return Err(Rejection::invalid("records", format!("{} is there twice", record.key())));
            }
        }
        let mut plan = Plan::default();
        // What others rest on comes first, and goes last.
        let mut records: Vec<&Record> = self.records.iter().collect();
        records.sort_by_key(|record| rank(&record.key()));
        for record in records {
            validate(record, &keys)?;
            put_changed(&mut plan, at, record.clone());
        }
        let written = plan.writes.len();
        let mut gone: Vec<RecordKey> = all_keys(at).filter(|key| !keys.contains(key)).collect();
        gone.sort_by_key(|key| std::cmp::Reverse(rank(key)));
        for key in gone {
            plan.delete(key);
        }
        let deleted = plan.writes.len() - written;
        Ok(Planned { plan, reply: Replaced { written, deleted } })
    }
}

fn rank(key: &RecordKey) -> u8 {
    match key {
        RecordKey::Lease(_) => 0,
        RecordKey::Node(_) => 1,
        RecordKey::Instance(_) => 2,
        RecordKey::Check(_) => 3,
        RecordKey::Entry(_) => 4,
    }
}

/// The rules that every record was held to when it was first written.
fn validate(record: &Record, keys: &HashSet<RecordKey>) -> Result<(), Rejection> {
    let there = |key: RecordKey| match keys.contains(&key) {
        true => Ok(()),
        false => {
            Err(Rejection::invalid("records", format!("{} needs {key}, which is not there", record.key())))
        }
    };
    match record {
        Record::Instance(instance) => {
            instance.validate()?;
            instance.lease.map_or(Ok(()), |lease| there(RecordKey::Lease(lease)))
        }
        Record::Node(node) => node.validate(),
        Record::Check(check) => {
            check.validate()?;
            match &check.key.owner {
                Owner::Instance(owner) => there(RecordKey::Instance(owner.clone())),
                Owner::Node(_) => Ok(()),
            }
        }
        Record::Lease(lease) => lease.validate(),
        Record::Entry(entry) => {
            entry.validate()?;
            entry.lease.map_or(Ok(()), |lease| there(RecordKey::Lease(lease)))
        }
    }
}

fn all_keys(at: &Snapshot) -> impl Iterator<Item = RecordKey> {
    let nodes = at.nodes(Bound::Unbounded).flat_map(|view| {
        let node = view.facts.node.as_ref().map(|node| RecordKey::Node(node.key.clone()));
        node.into_iter().chain(view.facts.checks.iter().map(|check| RecordKey::Check(check.key.clone())))
    });
    let instances = at.services(Bound::Unbounded).flat_map(|service| service.instances()).flat_map(|view| {
        let instance = std::iter::once(RecordKey::Instance(view.key().clone()));
        instance.chain(view.checks.iter().map(|check| RecordKey::Check(check.key.clone())))
    });
    let leases = at.leases(Bound::Unbounded).map(|view| RecordKey::Lease(view.lease.id));
    let entries = at.entries(Bound::Unbounded).map(|entry| RecordKey::Entry(entry.key.clone()));
    nodes.chain(instances).chain(leases).chain(entries)
}

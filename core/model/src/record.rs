use std::sync::Arc;

use crate::{
    Check, CheckKey, Entry, EntryKey, Instance, InstanceKey, Lease, LeaseId, Node, NodeKey, Noun, Revision,
};

/// Anything that a commit can keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Instance(Instance),
    Node(Node),
    Check(Check),
    Lease(Lease),
    Entry(Entry),
}

impl Record {
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Instance(instance) => RecordKey::Instance(instance.key.clone()),
            Record::Node(node) => RecordKey::Node(node.key.clone()),
            Record::Check(check) => RecordKey::Check(check.key.clone()),
            Record::Lease(lease) => RecordKey::Lease(lease.id),
            Record::Entry(entry) => RecordKey::Entry(entry.key.clone()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    Instance(Arc<InstanceKey>),
    Node(NodeKey),
    Check(CheckKey),
    Lease(LeaseId),
    Entry(EntryKey),
}

impl RecordKey {
    pub fn noun(&self) -> Noun {
        match self {
            RecordKey::Instance(_) => Noun::Instance,
            RecordKey::Node(_) => Noun::Node,
            RecordKey::Check(_) => Noun::Check,
            RecordKey::Lease(_) => Noun::Lease,
            RecordKey::Entry(_) => Noun::Entry,
        }
    }
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RecordKey::Instance(key) => key.fmt(f),
            RecordKey::Node(key) => write!(f, "{}/{}", key.namespace, key.node),
            RecordKey::Check(key) => key.fmt(f),
            RecordKey::Lease(id) => id.fmt(f),
            RecordKey::Entry(key) => write!(f, "{}:{}", key.keyspace, String::from_utf8_lossy(&key.key)),
        }
    }
}

/// A record with its place in history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    pub value: T,
    /// The commit that created it.
    pub created: Revision,
    /// The commit that last wrote it.
    pub modified: Revision,
    /// How many commits wrote it since it was created, that one included.
    pub version: u64,
}

impl<T> std::ops::Deref for Stored<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A record that a commit has kept. Shared, because snapshots, history and answers all hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    Instance(Arc<Stored<Instance>>),
    Node(Arc<Stored<Node>>),
    Check(Arc<Stored<Check>>),
    Lease(Arc<Stored<Lease>>),
    Entry(Arc<Stored<Entry>>),
}

impl Kept {
    /// Keeps `record` at `revision`, as the successor of `before`.
    pub fn succeed(before: Option<&Kept>, record: Record, revision: Revision) -> Kept {
        let created = before.map_or(revision, Kept::created);
        let version = before.map_or(0, Kept::version).saturating_add(1);
        Kept::new(record, created, revision, version)
    }

    pub fn new(record: Record, created: Revision, modified: Revision, version: u64) -> Kept {
        fn kept<T>(value: T, created: Revision, modified: Revision, version: u64) -> Arc<Stored<T>> {
            Arc::new(Stored { value, created, modified, version })
        }
        match record {
            Record::Instance(value) => Kept::Instance(kept(value, created, modified, version)),
            Record::Node(value) => Kept::Node(kept(value, created, modified, version)),
            Record::Check(value) => Kept::Check(kept(value, created, modified, version)),
            Record::Lease(value) => Kept::Lease(kept(value, created, modified, version)),
            Record::Entry(value) => Kept::Entry(kept(value, created, modified, version)),
        }
    }

    pub fn key(&self) -> RecordKey {
        match self {
            Kept::Instance(stored) => RecordKey::Instance(stored.key.clone()),
            Kept::Node(stored) => RecordKey::Node(stored.key.clone()),
            Kept::Check(stored) => RecordKey::Check(stored.key.clone()),
            Kept::Lease(stored) => RecordKey::Lease(stored.id),
            Kept::Entry(stored) => RecordKey::Entry(stored.key.clone()),
        }
    }

    pub fn to_record(&self) -> Record {
        match self {
            Kept::Instance(stored) => Record::Instance(stored.value.clone()),
            Kept::Node(stored) => Record::Node(stored.value.clone()),
            Kept::Check(stored) => Record::Check(stored.value.clone()),
            Kept::Lease(stored) => Record::Lease(stored.value.clone()),
            Kept::Entry(stored) => Record::Entry(stored.value.clone()),
        }
    }

    /// Whether writing `record` over this one would change anything.
    pub fn says(&self, record: &Record) -> bool {
        match (self, record) {
            (Kept::Instance(stored), Record::Instance(value)) => &stored.value == value,
            (Kept::Node(stored), Record::Node(value)) => &stored.value == value,
            (Kept::Check(stored), Record::Check(value)) => &stored.value == value,
            (Kept::Lease(stored), Record::Lease(value)) => &stored.value == value,
            (Kept::Entry(stored), Record::Entry(value)) => &stored.value == value,
            _ => false,
        }
    }

    pub fn created(&self) -> Revision {
        self.place().0
    }

    pub fn modified(&self) -> Revision {
        self.place().1
    }

    pub fn version(&self) -> u64 {
        self.place().2
    }

    fn place(&self) -> (Revision, Revision, u64) {
        fn place<T>(stored: &Stored<T>) -> (Revision, Revision, u64) {
            (stored.created, stored.modified, stored.version)
        }
        match self {
            Kept::Instance(stored) => place(stored),
            Kept::Node(stored) => place(stored),
            Kept::Check(stored) => place(stored),
            Kept::Lease(stored) => place(stored),
            Kept::Entry(stored) => place(stored),
        }
    }
}

use switchboard_model::{Kept, Record, RecordKey, Revision};

/// What an intent wants written, and what must still be true for it. All of it happens or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub expects: Vec<Expectation>,
    /// In the order in which a watcher shall see them. A record may be written once.
    pub writes: Vec<Write>,
    /// Wall-clock time of the commit, for people and for compaction by age only.
    pub at_ms: u64,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub fn put(&mut self, record: Record) {
        self.writes.push(Write::Put(record));
    }

    pub fn delete(&mut self, key: RecordKey) {
        self.writes.push(Write::Delete(key));
    }
}

/// The record must last have been written at this revision, or must not exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    pub key: RecordKey,
    pub modified: Option<Revision>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Put(Record),
    /// Deleting what is not there is allowed and leaves no edit. A plan of nothing else still takes a revision.
    Delete(RecordKey),
}

impl Write {
    pub fn key(&self) -> RecordKey {
        match self {
            Write::Put(record) => record.key(),
            Write::Delete(key) => key.clone(),
        }
    }
}

/// What happened, at its revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    pub revision: Revision,
    pub at_ms: u64,
    pub edits: Vec<Edit>,
}

/// One record before and after. Never both empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub before: Option<Kept>,
    pub after: Option<Kept>,
}

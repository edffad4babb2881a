//! The on-disk form of records and commits, version 1.
//!
//! A key is a kind byte and the parts of the record's identity, names folded to lower case, so that byte order
//! groups what belongs together: all instances of a service are neighbours. A value is a fixed head with the
//! record's place in history, then the record as a protobuf message, whose fields can be added to without a new
//! version. Decoders are total: hostile bytes give [`Damaged`], never a panic.

mod rows;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use switchboard_model::{Kept, Name, Record, RecordKey, Revision};

use crate::{Commit, Edit};

/// The version of keys, values and history rows. Raised when an older program could misread them.
pub const FORMAT: u32 = 1;

const HEAD: usize = 24;

/// Bytes that this codec did not write, and where they stopped making sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged record: {0}")]
pub struct Damaged(pub String);

pub fn encode_key(key: &RecordKey) -> Vec<u8> {
    use switchboard_model::Owner;

    let mut out = Vec::with_capacity(64);
    let name = |out: &mut Vec<u8>, name: Option<&Name>| {
        out.extend(name.map(Name::as_str).unwrap_or_default().bytes().map(|byte| byte.to_ascii_lowercase()));
        out.push(0);
    };
    let instance = |out: &mut Vec<u8>, key: &switchboard_model::InstanceKey| {
        name(out, Some(&key.namespace));
        name(out, Some(&key.service));
        name(out, key.node.as_ref());
        out.extend(key.id.as_str().bytes());
    };
    match key {
        RecordKey::Instance(key) => {
            out.push(b'i');
            instance(&mut out, key);
        }
        RecordKey::Node(key) => {
            out.push(b'n');
            name(&mut out, Some(&key.namespace));
            name(&mut out, Some(&key.node));
        }
        RecordKey::Check(key) => {
            out.push(b'c');
            match &key.owner {
                Owner::Instance(owner) => {
                    out.push(b'i');
                    instance(&mut out, owner);
                }
                Owner::Node(owner) => {
                    out.push(b'n');
                    name(&mut out, Some(&owner.namespace));
                    name(&mut out, Some(&owner.node));
                }
            }
            out.push(0);
            out.extend(key.id.as_str().bytes());
        }
        RecordKey::Lease(id) => {
            out.push(b'l');
            out.extend(id.0.to_be_bytes());
        }
        RecordKey::Entry(key) => {
            out.push(b'e');
            out.extend(key.keyspace.bytes());
            out.push(0);
            out.extend(&key.key);
        }
    }
    out
}

/// Encodes `record` as written at `modified`.
pub fn encode_value(record: &Record, created: Revision, modified: Revision, version: u64) -> Vec<u8> {
    let row = rows::to_row(record);
    let mut out = Vec::with_capacity(HEAD + row.encoded_len());
    out.extend(modified.0.to_le_bytes());
    out.extend(created.0.to_le_bytes());
    out.extend(version.to_le_bytes());
    // Writing to a Vec cannot run out of room.
    let _ = row.encode(&mut out);
    out
}

/// The place in history of an encoded value: created, modified, version.
pub fn place(value: &[u8]) -> Result<(Revision, Revision, u64), Damaged> {
    let word = |at: usize| {
        value
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u64::from_le_bytes)
            .ok_or_else(|| Damaged(format!("a value of {} bytes has no head", value.len())))
    };
    Ok((Revision(word(8)?), Revision(word(0)?), word(16)?))
}

/// Decodes values, sharing the text of names that occur often.
#[derive(Debug, Default)]
pub struct Decoder {
    names: HashSet<Arc<str>>,
}

impl Decoder {
    pub fn value(&mut self, value: &[u8]) -> Result<Kept, Damaged> {
        let (created, modified, version) = place(value)?;
        let body = value.get(HEAD..).unwrap_or_default();
        let row = rows::Row::decode(body).map_err(|e| Damaged(e.to_string()))?;
        let record = rows::from_row(row, self)?;
        Ok(Kept::new(record, created, modified, version))
    }

    /// One shared copy of `text`. The table is bounded: beyond that, text is simply not shared.
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(have) = self.names.get(text) {
            return have.clone();
        }
        let text: Arc<str> = Arc::from(text);
        if self.names.len() < 1 << 20 {
            self.names.insert(text.clone());
        }
        text
    }
}

/// A commit whose records are still encoded, as an engine handles it.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedCommit {
    pub revision: Revision,
    pub at_ms: u64,
    pub edits: Vec<EncodedEdit>,
}

/// One encoded value before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedEdit {
    pub before: Option<Bytes>,
    pub after: Option<Bytes>,
}

impl EncodedCommit {
    pub fn decode(&self, decoder: &mut Decoder) -> Result<Commit, Damaged> {
        let mut edits = Vec::with_capacity(self.edits.len());
        for EncodedEdit { before, after } in &self.edits {
            let before = before.as_deref().map(|value| decoder.value(value)).transpose()?;
            let after = after.as_deref().map(|value| decoder.value(value)).transpose()?;
            if before.is_none() && after.is_none() {
                return Err(Damaged(format!("commit {} holds an edit of nothing", self.revision)));
            }
            edits.push(Edit { before, after });
        }
        Ok(Commit { revision: self.revision, at_ms: self.at_ms, edits })
    }
}

/// Neighbouring commits, encoded as one row while they are added.
#[derive(Clone, Debug, Default)]
pub struct HistoryRow {
    bytes: Vec<u8>,
    last: Option<Revision>,
}

impl HistoryRow {
    /// Adds a commit. Revisions must ascend.
    pub fn push(&mut self, commit: &EncodedCommit) {
        rows::append_commit(&mut self.bytes, commit);
        self.last = Some(commit.revision);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties the row and keeps its memory for the next one.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.last = None;
    }

    /// The newest commit in the row. None: the row is empty.
    pub fn last(&self) -> Option<Revision> {
        self.last
    }
}

/// The commits of a row. Their values share the row's memory.
pub fn decode_history(row: Bytes) -> Result<Vec<EncodedCommit>, Damaged> {
    Ok(rows::History::decode(row).map_err(|e| Damaged(e.to_string()))?.into_commits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_are_refused_or_decoded_but_never_panic() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let _ = Decoder::default().value(bytes);
            let _ = decode_history(bytes.to_vec().into());
        });
    }

    #[test]
    fn a_row_gives_back_the_commits_that_were_added_to_it() {
        let commit = |revision: u64, sizes: &[(usize, usize)]| EncodedCommit {
            revision: Revision(revision),
            at_ms: revision << 33,
            edits: sizes
                .iter()
                .map(|&(before, after)| EncodedEdit {
                    before: (before > 0).then(|| vec![1; before].into()),
                    after: (after > 0).then(|| vec![2; after].into()),
                })
                .collect(),
        };
        let commits = [commit(1, &[]), commit(2, &[(0, 24), (24, 0)]), commit(300, &[(200, 20_000)])];
        let mut row = HistoryRow::default();
        commits.iter().for_each(|commit| row.push(commit));
        assert_eq!(row.last(), Some(Revision(300)));
        assert_eq!(decode_history(row.bytes().to_vec().into()).unwrap(), commits);
    }
}

//! Everything that the registry holds, as bytes that can be carried elsewhere and brought back.
//!
//! A line that names the form, then the records, each with its length before it, in the form that engines keep them in, then
//! a length of zero, how many there were, and a digest of all that went before. So what was cut short, changed on
//! its way or never was an archive is recognised as that before anything is done with it.

use std::ops::Bound;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use switchboard_model::{Kept, Record, Revision};
use switchboard_store::codec::{Decoder, encode_value};

use crate::snapshot::Snapshot;

const HEAD: &[u8] = b"switchboard archive 1\n";
const DIGEST: usize = 32;
/// Longer than any record may be by its own rules.
const LONGEST_RECORD: usize = 4 * 1024 * 1024;
const PIECE: usize = 64 * 1024;

/// An archive on its way out, piece by piece.
#[derive(Debug)]
pub struct ArchiveWriter {
    at: Arc<Snapshot>,
    next: Part,
    digest: Sha256,
    count: u64,
}

/// What is written next.
#[derive(Clone, Debug)]
enum Part {
    Head,
    Leases(Bound<switchboard_model::LeaseId>),
    Nodes(Bound<switchboard_model::NodeKey>),
    Services(Option<switchboard_model::ServiceKey>),
    Entries(Bound<switchboard_model::EntryKey>),
    End,
    Done,
}

impl ArchiveWriter {
    pub fn new(at: Snapshot) -> ArchiveWriter {
        ArchiveWriter { at: Arc::new(at), next: Part::Head, digest: Sha256::new(), count: 0 }
    }
}

impl Iterator for ArchiveWriter {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::with_capacity(PIECE + PIECE / 4);
        while out.len() < PIECE && !matches!(self.next, Part::Done) {
            self.step(&mut out);
        }
        (!out.is_empty()).then(|| out.freeze())
    }
}

impl ArchiveWriter {
    /// Writes some.
    fn step(&mut self, out: &mut BytesMut) {
        let at = self.at.clone();
        let before = out.len();
        let next = match self.next.clone() {
            Part::Head => {
                out.put_slice(HEAD);
                Part::Leases(Bound::Unbounded)
            }
            Part::Leases(from) => match at.leases(from).next() {
                Some(view) => {
                    self.record(out, &Kept::Lease(view.lease.clone()));
                    Part::Leases(Bound::Excluded(view.lease.id))
                }
                None => Part::Nodes(Bound::Unbounded),
            },
            Part::Nodes(from) => match at.nodes(from).next() {
                Some(view) => {
                    view.facts.node.iter().for_each(|node| self.record(out, &Kept::Node(node.clone())));
                    view.facts.checks.iter().for_each(|check| self.record(out, &Kept::Check(check.clone())));
                    Part::Nodes(Bound::Excluded(view.facts.key.clone()))
                }
                None => Part::Services(None),
            },
            Part::Services(after) => {
                let from = after.as_ref().map_or(Bound::Unbounded, |key| {
                    let (namespace, service) = (key.namespace.as_str(), key.service.as_str());
                    Bound::Excluded(crate::ServiceRef { namespace, service })
                });
                match at.services(from).next() {
                    Some(service) => {
                        for view in service.instances() {
                            self.record(out, &Kept::Instance(view.instance.clone()));
                            view.checks
                                .iter()
                                .for_each(|check| self.record(out, &Kept::Check(check.clone())));
                        }
                        Part::Services(Some(service.key.clone()))
                    }
                    None => Part::Entries(Bound::Unbounded),
                }
            }
            Part::Entries(from) => match at.entries(from).next() {
                Some(entry) => {
                    self.record(out, &Kept::Entry(entry.clone()));
                    Part::Entries(Bound::Excluded(entry.key.clone()))
                }
                None => Part::End,
            },
            Part::End => {
                out.put_u32_le(0);
                out.put_u64_le(self.count);
                Part::Done
            }
            Part::Done => Part::Done,
        };
        self.digest.update(out.get(before..).unwrap_or_default());
        if matches!(next, Part::Done) {
            out.put_slice(&self.digest.finalize_reset());
        }
        self.next = next;
    }

    fn record(&mut self, out: &mut BytesMut, kept: &Kept) {
        let (record, created, modified, version) = parts(kept);
        let value = encode_value(&record, created, modified, version);
        out.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX));
        out.put_slice(&value);
        self.count += 1;
    }
}

fn parts(kept: &Kept) -> (Record, Revision, Revision, u64) {
    let record = match kept {
        Kept::Instance(stored) => Record::Instance(stored.value.clone()),
        Kept::Node(stored) => Record::Node(stored.value.clone()),
        Kept::Check(stored) => Record::Check(stored.value.clone()),
        Kept::Lease(stored) => Record::Lease(stored.value.clone()),
        Kept::Entry(stored) => Record::Entry(stored.value.clone()),
    };
    (record, kept.created(), kept.modified(), kept.version())
}

/// Why bytes are no archive that can be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoArchive {
    /// They begin as nothing that was written here.
    Foreign,
    /// They end before the archive does.
    Short,
    /// They go on after it.
    Long,
    /// They are not what was written.
    Damaged(String),
    /// More records than are allowed.
    TooMany(usize),
}

impl std::fmt::Display for NoArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoArchive::Foreign => f.write_str("this is no archive of this registry, or of a later version"),
            NoArchive::Short => f.write_str("the archive is cut short"),
            NoArchive::Long => f.write_str("something follows the end of the archive"),
            NoArchive::Damaged(why) => write!(f, "the archive is damaged: {why}"),
            NoArchive::TooMany(most) => write!(f, "the archive holds more than {most} records"),
        }
    }
}

impl std::error::Error for NoArchive {}

/// Reads an archive that comes piece by piece.
#[derive(Debug)]
pub struct ArchiveReader {
    waiting: BytesMut,
    begun: bool,
    ended: bool,
    digest: Sha256,
    decoder: Decoder,
    records: Vec<Record>,
    most: usize,
}

impl ArchiveReader {
    /// `most`: so many records may be in it.
    pub fn new(most: usize) -> ArchiveReader {
        ArchiveReader {
            waiting: BytesMut::new(),
            begun: false,
            ended: false,
            digest: Sha256::new(),
            decoder: Decoder::default(),
            records: Vec::new(),
            most,
        }
    }

    pub fn push(&mut self, piece: &[u8]) -> Result<(), NoArchive> {
        self.waiting.extend_from_slice(piece);
        if !self.begun {
            let start = self.waiting.len().min(HEAD.len());
            if self.waiting.get(..start) != HEAD.get(..start) {
                return Err(NoArchive::Foreign);
            }
            if start < HEAD.len() {
                return Ok(());
            }
            self.begun = true;
            self.digest.update(self.waiting.split_to(HEAD.len()));
        }
        while !self.ended {
            let Some(length) = self.waiting.get(..4).and_then(|bytes| bytes.try_into().ok()) else {
                return Ok(());
            };
            let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
            match length {
                0 => self.ended = true,
                length if length > LONGEST_RECORD => {
                    return Err(NoArchive::Damaged(format!("a record of {length} bytes")));
                }
                length if self.waiting.len() < 4 + length => return Ok(()),
                length => self.record(length)?,
            }
        }
        if self.waiting.len() > 4 + 8 + DIGEST { Err(NoArchive::Long) } else { Ok(()) }
    }

    fn record(&mut self, length: usize) -> Result<(), NoArchive> {
        if self.records.len() >= self.most {
            return Err(NoArchive::TooMany(self.most));
        }
        let bytes = self.waiting.split_to(4 + length);
        self.digest.update(&bytes);
        let value = bytes.get(4..).unwrap_or_default();
        let kept = self.decoder.value(value).map_err(|why| NoArchive::Damaged(why.to_string()))?;
        self.records.push(parts(&kept).0);
        Ok(())
    }

    /// All of it, once all has come and is as it was written.
    pub fn finish(mut self) -> Result<Vec<Record>, NoArchive> {
        if !self.ended || self.waiting.len() < 4 + 8 + DIGEST {
            return Err(NoArchive::Short);
        }
        let digest = self.waiting.split_off(4 + 8);
        self.digest.update(&self.waiting);
        let count = self.waiting.get(4..).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        if *self.digest.finalize() != *digest || count != u64::try_from(self.records.len()).ok() {
            return Err(NoArchive::Damaged("its digest is not that of its bytes".into()));
        }
        Ok(self.records)
    }
}

#[cfg(test)]
mod tests;

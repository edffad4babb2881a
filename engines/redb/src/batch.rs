use bytes::Bytes;
use redb::{Database, ReadableTable, ReadableTableMetadata as _, Table, WriteTransaction};
use switchboard_model::{RecordKey, Revision};
use switchboard_store::codec::{EncodedCommit, EncodedEdit, HistoryRow, encode_key, encode_value, place};
use switchboard_store::{CommitError, Plan, Write};

use crate::fault::Fault;
use crate::meta::{HISTORY, Meta, RECORDS};
use crate::seal;
use crate::unsettled::Unsettled;

/// A row of history is closed once it holds this much. redb gives a large value a page of the next power of two, so
/// rows that just fit into 64 KiB waste the least, and a reader of few commits reads little else.
const ROW_BYTES: usize = 60 << 10;

/// Rows of history forgotten in one transaction.
const COMPACT_ROWS: usize = 64;

pub(crate) struct Written {
    pub(crate) answers: Vec<Result<Revision, CommitError>>,
    pub(crate) meta: Meta,
}

/// Commits a batch as one transaction. When this returns, the disk has it.
///
/// If it fails, `unsettled` means nothing any more.
pub(crate) fn commit(
    database: &Database,
    meta: Meta,
    unsettled: &mut Unsettled,
    batch: Vec<Plan>,
) -> Result<Written, Fault> {
    let txn = begin(database)?;
    let mut records = txn.open_table(RECORDS)?;
    let mut slots = Slots::load(&records, unsettled, &batch)?;
    let mut history = History::new(&txn)?;
    let mut head = meta.head;
    let mut answers = Vec::with_capacity(batch.len());
    for plan in batch {
        let mentioned = slots.of_next(&plan);
        if let Some(conflict) = slots.conflict(&plan, mentioned.expects) {
            answers.push(Err(conflict));
            continue;
        }
        let revision = head.next();
        let mut edits = Vec::with_capacity(plan.writes.len());
        for (at, write) in (mentioned.writes..).zip(&plan.writes) {
            edits.extend(slots.write(at, write, revision)?);
        }
        history.push(&EncodedCommit { revision, at_ms: plan.at_ms, edits })?;
        head = revision;
        answers.push(Ok(revision));
    }
    if head == meta.head {
        return Ok(Written { answers, meta });
    }
    unsettled.grown(history.finish()?);
    let written = slots.hand_over(unsettled);
    let mut meta = Meta { head, ..meta };
    let due = unsettled.due(written);
    if due > 0 {
        meta = unsettled.settle(&mut records, due, meta)?;
    }
    drop(records);
    meta.write(&txn)?;
    txn.commit()?;
    Ok(Written { answers, meta })
}

/// Writes records that wait for it when there is no commit to write them with.
pub(crate) fn settle(database: &Database, meta: Meta, unsettled: &mut Unsettled) -> Result<Meta, Fault> {
    let (txn, many) = (begin(database)?, unsettled.many());
    let meta = unsettled.settle(&mut txn.open_table(RECORDS)?, many, meta)?;
    meta.write(&txn)?;
    txn.commit()?;
    Ok(meta)
}

pub(crate) struct Compacted {
    pub(crate) meta: Meta,
    /// Whether rows below the floor are left.
    pub(crate) more: bool,
}

/// Moves the floor up to `through` and deletes some of the rows below it. The floor moves first: rows that a crash
/// leaves behind are out of reach already, and go with the next compaction.
pub(crate) fn compact(database: &Database, meta: Meta, through: Revision) -> Result<Compacted, Fault> {
    let floor = through.min(meta.head).max(meta.floor);
    let txn = begin(database)?;
    let mut history = txn.open_table(HISTORY)?;
    let mut deleted = 0;
    let mut more = false;
    while history.first()?.is_some_and(|(last, _)| last.value() <= floor.0) {
        if deleted == COMPACT_ROWS {
            more = true;
            break;
        }
        history.pop_first()?;
        deleted += 1;
    }
    drop(history);
    if deleted == 0 && floor == meta.floor {
        return Ok(Compacted { meta, more });
    }
    let meta = Meta { floor, ..meta };
    meta.write(&txn)?;
    txn.commit()?;
    Ok(Compacted { meta, more })
}

/// Durability is immediate unless said otherwise. Quick repair saves the allocator's state with every commit, so
/// that opening after a crash does not walk the whole file, and it makes every commit a two-phase one.
fn begin(database: &Database) -> Result<WriteTransaction, Fault> {
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    Ok(txn)
}

/// The records that a batch mentions, in the order of their keys: neighbours share pages.
struct Slots {
    slots: Vec<Slot>,
    /// The slot of every mention, in the order in which the plans mention records.
    mentions: Vec<usize>,
    next: usize,
}

struct Slot {
    key: Vec<u8>,
    /// As of the newest plan that was applied.
    value: Option<Bytes>,
    dirty: bool,
}

/// Where the mentions of one plan begin.
struct Mentioned {
    expects: usize,
    writes: usize,
}

impl Slots {
    fn load(
        records: &Table<'_, &[u8], &[u8]>,
        unsettled: &Unsettled,
        batch: &[Plan],
    ) -> Result<Slots, Fault> {
        let mut keys: Vec<(Vec<u8>, usize)> = Vec::new();
        for plan in batch {
            let expected = plan.expects.iter().map(|expectation| encode_key(&expectation.key));
            let written = plan.writes.iter().map(|write| encode_key(&write.key()));
            for key in expected.chain(written) {
                keys.push((key, keys.len()));
            }
        }
        keys.sort_unstable();
        let mut mentions = vec![0; keys.len()];
        let mut slots: Vec<Slot> = Vec::with_capacity(keys.len());
        let is_empty = records.is_empty()?;
        for (key, mention) in keys {
            if slots.last().is_none_or(|slot| slot.key != key) {
                let value = match unsettled.get(&key) {
                    Some(newest) => newest.clone(),
                    None if is_empty => None,
                    None => match records.get(key.as_slice())? {
                        Some(sealed) => Some(Bytes::copy_from_slice(seal::open(&key, sealed.value())?)),
                        None => None,
                    },
                };
                slots.push(Slot { key, value, dirty: false });
            }
            if let Some(slot) = mentions.get_mut(mention) {
                *slot = slots.len() - 1;
            }
        }
        Ok(Slots { slots, mentions, next: 0 })
    }

    /// Walks on to the next plan, which must be asked for in the order of the batch.
    fn of_next(&mut self, plan: &Plan) -> Mentioned {
        let expects = self.next;
        let writes = expects + plan.expects.len();
        self.next = writes + plan.writes.len();
        Mentioned { expects, writes }
    }

    fn conflict(&self, plan: &Plan, first: usize) -> Option<CommitError> {
        for (at, expectation) in (first..).zip(&plan.expects) {
            let slot = self.mentions.get(at).and_then(|&slot| self.slots.get(slot));
            let value = slot.and_then(|slot| slot.value.as_ref());
            // A sealed value has a place; were it unreadable, it would conflict with whatever is expected.
            let actual = value.map(|value| place(value).map_or(Revision::ZERO, |(_, modified, _)| modified));
            if actual != expectation.modified {
                return Some(conflict(&expectation.key, expectation.modified, actual));
            }
        }
        None
    }

    /// Applies one write. None: it deletes what is not there.
    fn write(&mut self, at: usize, write: &Write, revision: Revision) -> Result<Option<EncodedEdit>, Fault> {
        let slot = self.mentions.get(at).and_then(|&slot| self.slots.get_mut(slot));
        let slot = slot.ok_or_else(|| Fault::Damaged("a write was lost before it was written".into()))?;
        let before = slot.value.take();
        if let Write::Put(record) = write {
            let (created, version) = match &before {
                Some(value) => place(value).map(|(created, _, version)| (created, version))?,
                None => (revision, 0),
            };
            slot.value = Some(encode_value(record, created, revision, version.saturating_add(1)).into());
        }
        slot.dirty = true;
        let edit = EncodedEdit { before, after: slot.value.clone() };
        Ok((edit.before.is_some() || edit.after.is_some()).then_some(edit))
    }

    /// What was written is to be settled later. How many records that are.
    fn hand_over(self, unsettled: &mut Unsettled) -> usize {
        let dirty = self.slots.into_iter().filter(|slot| slot.dirty);
        dirty.map(|slot| unsettled.insert(slot.key, slot.value)).count()
    }
}

fn conflict(key: &RecordKey, expected: Option<Revision>, actual: Option<Revision>) -> CommitError {
    CommitError::Conflict { key: key.to_string(), expected, actual }
}

/// The rows of history that a batch adds.
struct History<'txn> {
    table: Table<'txn, u64, &'static [u8]>,
    row: HistoryRow,
    written: usize,
}

impl<'txn> History<'txn> {
    fn new(txn: &'txn WriteTransaction) -> Result<History<'txn>, Fault> {
        Ok(History { table: txn.open_table(HISTORY)?, row: HistoryRow::default(), written: 0 })
    }

    fn push(&mut self, commit: &EncodedCommit) -> Result<(), Fault> {
        self.row.push(commit);
        if self.row.bytes().len() >= ROW_BYTES { self.flush() } else { Ok(()) }
    }

    /// How many bytes that were.
    fn finish(mut self) -> Result<usize, Fault> {
        self.flush()?;
        Ok(self.written)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if let Some(last) = self.row.last() {
            let bytes = self.row.bytes();
            let mut out = self.table.insert_reserve(last.0, bytes.len() + seal::SEAL)?;
            seal::write(&last.0.to_be_bytes(), bytes, out.as_mut());
            self.written += bytes.len();
            self.row.clear();
        }
        Ok(())
    }
}

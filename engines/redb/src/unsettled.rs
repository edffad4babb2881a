//! Records whose newest value is in history and not yet among the records.
//!
//! A commit appends to history, where it lies next to the one before it; its records are scattered over the whole file,
//! and writing a page for each of them with its commit costs more than the commit does. So they are written later, many
//! neighbours at a time, in sweeps through their keys. Whoever opens the file finds what was not written in history,
//! which reaches back at least as far as that.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use redb::Table;
use switchboard_model::Revision;

use crate::fault::Fault;
use crate::meta::Meta;
use crate::seal;

/// When records are written: what lies between is read again when the file is opened, and the values are kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Bytes of values that wait.
    pub waiting: usize,
    /// Bytes of history since the last sweep that has ended began.
    pub behind: usize,
    /// Records that are written at least, once they are: fewer would share too few pages.
    pub neighbours: usize,
    /// How long nobody asked for anything before what waits is written for that.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { waiting: 16 << 20, behind: 64 << 20, neighbours: 256, idle: Duration::from_secs(1) }
    }
}

/// What a value takes in memory beside its bytes and those of its key, about.
const OVERHEAD: usize = 128;

#[derive(Debug)]
pub(crate) struct Unsettled {
    patience: Patience,
    /// None: the record was deleted.
    values: BTreeMap<Vec<u8>, Option<Bytes>>,
    /// What they take in memory.
    waiting: usize,
    /// The last key that this sweep has passed, and where history stood when the sweep began.
    passed: Option<Vec<u8>>,
    began: Revision,
    /// Bytes of history since `Meta::settled`, and since this sweep began.
    behind: usize,
    since: usize,
}

impl Unsettled {
    pub(crate) fn new(patience: Patience, meta: Meta) -> Unsettled {
        Unsettled {
            patience,
            values: BTreeMap::new(),
            waiting: 0,
            passed: None,
            began: meta.head,
            behind: 0,
            since: 0,
        }
    }

    /// Records that are written in one transaction when there is nothing else to do with it.
    pub(crate) fn many(&self) -> usize {
        16 * self.patience.neighbours
    }

    /// None: the newest value is among the records.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Option<Bytes>> {
        self.values.get(key)
    }

    pub(crate) fn insert(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        let old = self.values.get(&key).map_or(0, |old| weight(&key, old.as_ref()));
        self.waiting = (self.waiting + weight(&key, value.as_ref())).saturating_sub(old);
        self.values.insert(key, value);
    }

    /// History has grown.
    pub(crate) fn grown(&mut self, bytes: usize) {
        self.behind += bytes;
        self.since += bytes;
    }

    /// As many records as should be written with a commit that wrote `written` of them.
    pub(crate) fn due(&self, written: usize) -> usize {
        let is_due = self.waiting > self.patience.waiting || self.behind > self.patience.behind;
        if is_due { self.patience.neighbours.max(2 * written) } else { 0 }
    }

    /// Writes the next `count` records and says which meta goes with it; `meta` is that of the commit it is a part of.
    pub(crate) fn settle(
        &mut self,
        records: &mut Table<'_, &[u8], &[u8]>,
        count: usize,
        meta: Meta,
    ) -> Result<Meta, Fault> {
        let passed = self.passed.take();
        for (key, value) in self.values.extract_if(after(passed.as_ref()), |_, _| true).take(count) {
            write(records, &key, value.as_ref())?;
            self.waiting = self.waiting.saturating_sub(weight(&key, value.as_ref()));
            self.passed = Some(key);
        }
        self.passed = self.passed.take().or(passed);
        if self.values.range::<Vec<u8>, _>(after(self.passed.as_ref())).next().is_some() {
            return Ok(meta);
        }
        // The sweep is over: of what there was when it began everything is written. If nothing is left, of all there is.
        let settled = if self.values.is_empty() { meta.head } else { self.began };
        self.behind = if self.values.is_empty() { 0 } else { self.since };
        (self.passed, self.began, self.since) = (None, meta.head, 0);
        Ok(Meta { settled: settled.max(meta.settled), ..meta })
    }

    /// How long to wait for something to do before it is this. None: there is nothing to write.
    pub(crate) fn idle(&self) -> Option<Duration> {
        (!self.values.is_empty()).then_some(self.patience.idle)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// In the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&Bytes>)> {
        self.values.iter().map(|(key, value)| (key.as_slice(), value.as_ref()))
    }
}

fn after(key: Option<&Vec<u8>>) -> (Bound<&Vec<u8>>, Bound<&Vec<u8>>) {
    (key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

fn weight(key: &[u8], value: Option<&Bytes>) -> usize {
    OVERHEAD + key.len() + value.map_or(0, Bytes::len)
}

fn write(records: &mut Table<'_, &[u8], &[u8]>, key: &[u8], value: Option<&Bytes>) -> Result<(), Fault> {
    match value {
        Some(value) => {
            let mut out = records.insert_reserve(key, value.len() + seal::SEAL)?;
            seal::write(key, value, out.as_mut());
        }
        None => drop(records.remove(key)?),
    }
    Ok(())
}

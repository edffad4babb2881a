//! A disk that forgets what was not synced, fails when told to, and can be full.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redb::StorageBackend;
use switchboard_engine_redb::{Options, Patience, Redb};
use switchboard_store::StoreError;
use switchboard_store::suite::Dice;

const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What the program reads back.
    seen: Vec<u8>,
    /// What is safe from a power cut.
    durable: Vec<u8>,
    /// What changed since the last sync, in order.
    pending: Vec<Op>,
    counts: Counts,
    fault: Option<(When, Fault)>,
    capacity: Option<usize>,
    /// The power is off: nothing works until it is back.
    off: bool,
    dice: Option<Dice>,
}

#[derive(Clone, Debug)]
enum Op {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
}

/// How often the disk was used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Everything but reads.
    pub(crate) changes: u64,
    pub(crate) syncs: u64,
    pub(crate) reads: u64,
}

/// The count at which a fault strikes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Change(u64),
    Sync(u64),
    Read(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This one fails. A sync that fails has lost some of what it should have written, for good, although the
    /// program still reads it: that is how Linux does it.
    Error,
    /// The power goes off.
    PowerCut,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Disk {
        let disk = Disk::default();
        disk.0.lock().dice = Some(Dice::new(seed));
        disk
    }

    pub(crate) fn open(&self) -> Result<Redb, StoreError> {
        let disk = self.clone();
        let opener = move |builder: &redb::Builder| builder.create_with_backend(disk.clone());
        // Some records are written with each commit, and some are not.
        let patience = Patience { waiting: 700, behind: 8_000, neighbours: 2, idle: Duration::MAX };
        let options = Options { cache_bytes: 1 << 20, patience, ..Options::default() };
        Redb::open_with("the disk", Arc::new(opener), options)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().counts
    }

    pub(crate) fn reset_counts(&self) {
        self.0.lock().counts = Counts::default();
    }

    pub(crate) fn plan_fault(&self, when: When, fault: Fault) {
        self.0.lock().fault = Some((when, fault));
    }

    /// Whether the planned fault has struck.
    pub(crate) fn is_hit(&self) -> bool {
        self.0.lock().fault.is_none()
    }

    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.0.lock().capacity = bytes;
    }

    /// The power is back. Of what was not synced some sectors have made it, in no order, and some have not.
    pub(crate) fn power_on(&self) {
        let mut state = self.0.lock();
        state.lose_some();
        state.seen = state.durable.clone();
        state.fault = None;
        state.off = false;
    }

    pub(crate) fn image(&self) -> Vec<u8> {
        self.0.lock().seen.clone()
    }

    pub(crate) fn of_image(image: Vec<u8>) -> Disk {
        let disk = Disk::new(0);
        {
            let mut state = disk.0.lock();
            state.durable = image.clone();
            state.seen = image;
        }
        disk
    }
}

impl State {
    fn begin(&mut self, count: fn(&mut Counts) -> &mut u64, when: fn(u64) -> When) -> io::Result<()> {
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        *count(&mut self.counts) += 1;
        let now = when(*count(&mut self.counts));
        match self.fault {
            Some((at, fault)) if at.is(now) => {
                self.fault = None;
                self.off = fault == Fault::PowerCut;
                Err(io::Error::other("injected"))
            }
            _ => Ok(()),
        }
    }

    fn change(&mut self) -> io::Result<()> {
        self.begin(|counts| &mut counts.changes, When::Change)
    }

    fn check_room(&self, end: usize) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if end > capacity && end > self.seen.len() => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn do_op(&mut self, op: Op) {
        op.apply(&mut self.seen);
        self.pending.push(op);
    }

    /// Makes a random part of what is pending durable, and forgets the rest.
    fn lose_some(&mut self) {
        let mut dice = self.dice.take().unwrap();
        // Often all or nothing: those are the likely cases, and mixed ones alone would hide them.
        let odds = [0, 1, 2, 3, 4][dice.roll(5) as usize];
        for op in std::mem::take(&mut self.pending) {
            match op {
                Op::SetLen(_) if dice.roll(4) < odds => op.apply(&mut self.durable),
                Op::SetLen(_) => {}
                Op::Write { offset, data } => {
                    for (i, sector) in data.chunks(SECTOR).enumerate() {
                        if dice.roll(4) < odds {
                            let op = Op::Write { offset: offset + i * SECTOR, data: sector.to_vec() };
                            op.apply(&mut self.durable);
                        }
                    }
                }
            }
        }
        self.dice = Some(dice);
    }
}

impl When {
    fn is(self, now: When) -> bool {
        match (self, now) {
            (When::Change(a), When::Change(b))
            | (When::Sync(a), When::Sync(b))
            | (When::Read(a), When::Read(b)) => a == b,
            _ => false,
        }
    }
}

impl Op {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Op::SetLen(len) => to.resize(*len, 0),
            Op::Write { offset, data } => {
                let end = offset + data.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        state.begin(|counts| &mut counts.reads, When::Read)?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let end = offset.checked_add(out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(state.seen.get(offset..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        // A damaged file must not talk anybody into using up all memory.
        if len > 1 << 30 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.check_room(len)?;
        state.do_op(Op::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        let result = state.change().and_then(|()| state.begin(|counts| &mut counts.syncs, When::Sync));
        match result {
            Ok(()) => {
                for op in std::mem::take(&mut state.pending) {
                    op.apply(&mut state.durable);
                }
            }
            Err(_) if !state.off => state.lose_some(),
            Err(_) => {}
        }
        result
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        state.check_room(offset + data.len())?;
        state.do_op(Op::Write { offset, data: data.to_vec() });
        Ok(())
    }
}

//! How much the keys and their history take, beside what they may take.
//!
//! Nobody asks the engine, which has more in it than keys, and keeps its file as large as it once was: what is counted is
//! every version of a key that can still be read. Between two looks a sum of what was asked for since is enough to know
//! that there is room; only where it says that there may be none, is it looked at exactly.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use switchboard_model::{Entry, Kept, Rejection, Revision, Selector, Stored, Unavailable};
use switchboard_registry::{Caller, Registry, WatchEnd, What};
use tokio::sync::Mutex;

use super::{Shared, State};
use crate::lens::{entry_key, keyspace};

/// Between two looks that nobody asked for.
const LOOK: Duration = Duration::from_millis(250);
/// Commits of history that are counted at a start. What was before them is soon compacted, and does not hold up whoever asks.
const PAST: u64 = 1_000_000;
/// Pieces in which it is remembered when what was replaced; with more, neighbours are told apart no longer.
const PIECES: usize = 4096;
/// Of a version, beside its key and its value: what says when it was, and how it is found.
const AROUND_A_VERSION: u64 = 64;

#[derive(Debug)]
pub(crate) struct Quota {
    /// None: as much as anyone likes.
    most: Option<u64>,
    /// At least what there is now.
    taken: AtomicU64,
    /// As it was when it was looked at last: bytes, and keys.
    counted: [AtomicU64; 2],
    account: Mutex<Account>,
}

impl Quota {
    pub(crate) fn new(bytes: u64) -> Quota {
        let most = (bytes > 0).then_some(bytes);
        Quota { most, taken: AtomicU64::new(0), counted: Default::default(), account: Mutex::default() }
    }

    /// Bytes and keys, as they were not long ago.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let [bytes, keys] = &self.counted;
        (bytes.load(Ordering::Acquire), keys.load(Ordering::Acquire))
    }

    /// As answers have it; 0: there is none.
    pub(crate) fn to_wire(&self) -> i64 {
        self.most.map_or(0, |most| i64::try_from(most).unwrap_or(i64::MAX))
    }

    /// True: there is. False: it has to be looked at.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let Some(most) = self.most else { return true };
        let before = self.taken.fetch_add(bytes, Ordering::AcqRel);
        before.saturating_add(bytes) < most
    }

    pub(crate) async fn has_room_after_a_look(&self, state: &State, bytes: u64) -> bool {
        // Whatever keeps it from being looked at is told to who writes by the writing itself.
        let Ok(taken) = self.look(state).await else { return true };
        self.taken.fetch_add(bytes, Ordering::AcqRel);
        self.most.is_none_or(|most| taken.saturating_add(bytes) < most)
    }

    /// How much there is, as of now.
    pub(crate) async fn look(&self, state: &State) -> Result<u64, Rejection> {
        let mut account = self.account.lock().await;
        account.catch_up(&state.context.registry).await?;
        account.forget(Revision(state.compact_revision().unsigned_abs()));
        let taken = account.sum();
        self.taken.store(taken, Ordering::Release);
        let [bytes, keys] = &self.counted;
        bytes.store(taken, Ordering::Release);
        keys.store(account.keys, Ordering::Release);
        Ok(taken)
    }
}

/// Looks now and then, so that what is to be caught up with stays little.
pub(super) async fn follow(state: Shared) {
    let mut seen = Revision::ZERO;
    loop {
        let head = state.context.registry.head();
        if head > seen {
            match state.quota.look(&state).await {
                Ok(_) => seen = head,
                Err(why) => tracing::debug!(%why, "what keys take is not looked at now"),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[derive(Debug, Default)]
struct Account {
    /// Commits up to here are counted. None: nothing has been looked at yet.
    cursor: Option<Revision>,
    /// The keys as they are were counted as of here, with all that came before.
    counted: Revision,
    alive: u64,
    keys: u64,
    /// Versions that were replaced or deleted, by when that was, and the marks that deletions left.
    replaced: VecDeque<(Revision, u64)>,
}

impl Account {
    fn sum(&self) -> u64 {
        self.replaced.iter().map(|(_, bytes)| bytes).fold(self.alive, |sum, bytes| sum.saturating_add(*bytes))
    }

    async fn catch_up(&mut self, registry: &Registry) -> Result<(), Rejection> {
        let caller = Caller::internal("etcd");
        loop {
            let cursor = match self.cursor {
                Some(cursor) => cursor,
                None => self.begin(registry, &caller, registry.floor())?,
            };
            match self.read_on(registry, &caller, cursor).await {
                // What was forgotten meanwhile need not be counted: it is begun anew, without it.
                Err(Rejection::Compacted { floor, .. }) => drop(self.begin(registry, &caller, floor)?),
                read => return read,
            }
        }
    }

    async fn read_on(
        &mut self,
        registry: &Registry,
        caller: &Caller,
        mut cursor: Revision,
    ) -> Result<(), Rejection> {
        // As long as they are surely in memory they are read from there.
        let near = u64::try_from(registry.options().bounds.ring / 4 * 3).unwrap_or(u64::MAX);
        while registry.head().0.saturating_sub(cursor.0) > near {
            let page = registry.commits(caller, cursor).await?;
            let Some(last) = page.last() else { break };
            cursor = last.revision;
            for commit in &page {
                for edit in &commit.edits {
                    let [before, after] = [&edit.before, &edit.after].map(|kept| entry_of(kept.as_ref()));
                    self.count(commit.revision, before, after);
                }
            }
            self.cursor = Some(cursor);
        }
        let mut watch = registry.watch(caller, &all(), cursor)?;
        loop {
            let told = match watch.try_next().await {
                Ok(Some(told)) => told,
                Ok(None) => break,
                Err(WatchEnd::Compacted { floor }) => {
                    return Err(Rejection::Compacted { wanted: cursor, floor });
                }
                Err(WatchEnd::Lagged { .. }) => return Ok(()),
                Err(WatchEnd::Unavailable { why }) => return Err(Unavailable::Store { why }.into()),
                Err(WatchEnd::Stopping) => return Err(Unavailable::Stopping.into()),
            };
            for change in told.items() {
                if let What::Entry { before, after } = &change.what {
                    self.count(told.revision(), before.as_deref(), after.as_deref());
                }
            }
            self.cursor = Some(told.revision());
        }
        self.cursor = Some(watch.cursor());
        Ok(())
    }

    /// Counts what there is. What was before is counted as history is read, after this revision.
    fn begin(
        &mut self,
        registry: &Registry,
        caller: &Caller,
        floor: Revision,
    ) -> Result<Revision, Rejection> {
        let view = registry.view(caller)?;
        let first = entry_key(Bytes::new());
        let entries = view.entries(Bound::Included(first)).take_while(|it| *it.key.keyspace == *keyspace());
        let (mut alive, mut keys) = (0_u64, 0_u64);
        for entry in entries {
            alive = alive.saturating_add(size(entry));
            keys = keys.saturating_add(1);
        }
        let floor = floor.max(Revision(view.revision().0.saturating_sub(PAST)));
        let replaced = VecDeque::new();
        *self = Account { cursor: Some(floor), counted: view.revision(), alive, keys, replaced };
        Ok(floor)
    }

    fn count(&mut self, at: Revision, before: Option<&Stored<Entry>>, after: Option<&Stored<Entry>>) {
        let ours = |it: &&Stored<Entry>| *it.key.keyspace == *keyspace();
        let (before, after) = (before.filter(ours), after.filter(ours));
        let gone = before.map_or(0, size);
        if at > self.counted {
            self.alive = self.alive.saturating_sub(gone).saturating_add(after.map_or(0, size));
            let (had, has) = (u64::from(before.is_some()), u64::from(after.is_some()));
            self.keys = self.keys.saturating_sub(had).saturating_add(has);
        }
        let mark = match (before, after) {
            (Some(before), None) => AROUND_A_VERSION.saturating_add(bytes(&before.key.key)),
            _ => 0,
        };
        let freed = gone.saturating_add(mark);
        if freed > 0 {
            self.replace(at, freed);
        }
    }

    fn replace(&mut self, at: Revision, bytes: u64) {
        match self.replaced.back_mut() {
            Some((last, sum)) if *last == at => *sum = sum.saturating_add(bytes),
            _ => self.replaced.push_back((at, bytes)),
        }
        if self.replaced.len() > PIECES {
            let mut pairs = std::mem::take(&mut self.replaced).into_iter();
            while let Some((first, bytes)) = pairs.next() {
                // Both are there for as long as the later of them is.
                let (last, more) = pairs.next().unwrap_or((first, 0));
                self.replaced.push_back((last, bytes.saturating_add(more)));
            }
        }
    }

    /// What was replaced at this revision or before cannot be read any more.
    fn forget(&mut self, compacted: Revision) {
        while self.replaced.front().is_some_and(|(at, _)| *at <= compacted) {
            self.replaced.pop_front();
        }
    }
}

fn all() -> Selector {
    Selector::Entries { keyspace: keyspace(), start: Bytes::new(), end: None }
}

fn entry_of(kept: Option<&Kept>) -> Option<&Stored<Entry>> {
    match kept {
        Some(Kept::Entry(entry)) => Some(entry),
        _ => None,
    }
}

fn size(entry: &Stored<Entry>) -> u64 {
    AROUND_A_VERSION.saturating_add(bytes(&entry.key.key)).saturating_add(bytes(&entry.value.value))
}

fn bytes(of: &Bytes) -> u64 {
    u64::try_from(of.len()).unwrap_or(u64::MAX)
}

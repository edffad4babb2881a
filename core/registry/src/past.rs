//! Earlier revisions: a snapshot as it was, the commits since then one after the other, and forgetting them.
//!
//! There is no second copy of history. An earlier snapshot is made from a later one by undoing the commits in
//! between, page by page from the newest, so that memory holds one page however far back it is.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use switchboard_model::{Rejection, Revision, Unavailable};
use switchboard_store::{ChangesError, Commit};

use crate::caller::Caller;
use crate::changes::Changes;
use crate::clock::Now;
use crate::fold::fold;
use crate::registry::{Registry, Shared, View, read_history, step};
use crate::snapshot::Snapshot;

/// Commits that are read, undone or redone at once.
const PAGE: u64 = 1024;
/// Earlier snapshots that are kept at hand: whoever reads page after page at one revision undoes commits once.
const KEPT: usize = 4;

/// Earlier snapshots that were asked for lately, the newest request first.
#[derive(Debug, Default)]
pub(crate) struct Pasts(Mutex<VecDeque<Arc<Snapshot>>>);

impl Pasts {
    /// The nearest one that is not older than `revision`.
    fn nearest(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        let kept = self.0.lock();
        kept.iter().filter(|past| past.revision() >= revision).min_by_key(|past| past.revision()).cloned()
    }

    fn keep(&self, past: Arc<Snapshot>) {
        let mut kept = self.0.lock();
        kept.retain(|have| have.revision() != past.revision());
        kept.push_front(past);
        kept.truncate(KEPT);
    }

    fn forget(&self, through: Revision) {
        self.0.lock().retain(|past| past.revision() > through);
    }
}

impl Registry {
    /// Everything as it was right after the commit `revision`.
    pub async fn view_at(&self, caller: &Caller, revision: Revision) -> Result<View, Rejection> {
        let newest = self.view(caller)?;
        if revision >= newest.revision() {
            let head = newest.revision();
            return if revision == head {
                Ok(newest)
            } else {
                Err(Rejection::NotYet { wanted: revision, head })
            };
        }
        let shared = self.shared();
        if revision < shared.floor() {
            return Err(Rejection::Compacted { wanted: revision, floor: shared.floor() });
        }
        let from = match shared.pasts.nearest(revision) {
            Some(past) if past.revision() == revision => return Ok(View(past)),
            Some(past) if past.revision() < newest.revision() => past,
            _ => newest.0,
        };
        let past = Arc::new(undo(shared, &from, revision).await.map_err(|error| gone(error, revision))?);
        shared.pasts.keep(past.clone());
        Ok(View(past))
    }

    /// The commits after `after`, however many there are.
    pub async fn replay(&self, caller: &Caller, after: Revision) -> Result<Replay, Rejection> {
        let past = (*self.view_at(caller, after).await?).clone();
        Ok(Replay { shared: self.shared().clone(), past })
    }

    /// The next commits after `after`, as they were kept: a page of them. Empty: there is none yet.
    pub async fn commits(&self, _caller: &Caller, after: Revision) -> Result<Vec<Commit>, Rejection> {
        let shared = self.shared();
        let until = Revision(after.0.saturating_add(PAGE).min(shared.head().0));
        if until <= after {
            return Ok(Vec::new());
        }
        history(shared, after, until).await.map_err(|error| gone(error, after))
    }

    /// Forgets history up to and including `through`. Records are not affected.
    pub async fn compact(&self, _caller: &Caller, through: Revision) -> Result<(), Rejection> {
        let shared = self.shared();
        let head = shared.head();
        if through > head {
            return Err(Rejection::NotYet { wanted: through, head });
        }
        shared
            .engine
            .compact(through)
            .await
            .map_err(|error| Unavailable::Store { why: error.to_string() })?;
        shared.raise_floor(through);
        shared.pasts.forget(through);
        Ok(())
    }

    /// History up to here is no longer kept.
    pub fn floor(&self) -> Revision {
        self.shared().floor()
    }
}

/// History told again from an earlier revision on, in bounded memory. Unlike a watch it never waits and never lags.
#[derive(Debug)]
pub struct Replay {
    shared: Arc<Shared>,
    past: Snapshot,
}

impl Replay {
    /// Everything up to this revision was told.
    pub fn cursor(&self) -> Revision {
        self.past.revision()
    }

    /// The next commits, as they were seen when they happened. Empty: all that has been published is told.
    pub async fn next(&mut self) -> Result<Vec<Changes>, Rejection> {
        let after = self.cursor();
        let head = self.shared.head();
        let until = Revision(after.0.saturating_add(PAGE).min(head.0));
        if until <= after {
            return Ok(Vec::new());
        }
        let page = history(&self.shared, after, until).await.map_err(|error| gone(error, after))?;
        let redo = |commit: Commit| {
            let now = Now { wall_ms: commit.at_ms, service: Default::default() };
            let steps = commit.edits.iter().filter_map(|edit| step(edit, true)).collect();
            fold(&mut self.past, commit.revision, now, steps)
        };
        Ok(page.into_iter().map(redo).collect())
    }
}

/// `from` without the commits after `revision`.
async fn undo(shared: &Shared, from: &Snapshot, revision: Revision) -> Result<Snapshot, ChangesError> {
    let _permit = shared.catch_ups.acquire().await;
    let mut past = from.clone();
    let mut upper = from.revision();
    while upper > revision {
        let lower = Revision(upper.0.saturating_sub(PAGE).max(revision.0));
        for commit in history(shared, lower, upper).await?.iter().rev() {
            let now = Now { wall_ms: commit.at_ms, service: Default::default() };
            let undone = commit.edits.iter().rev().filter_map(|edit| step(edit, false)).collect();
            fold(&mut past, commit.revision, now, undone);
        }
        upper = lower;
    }
    past.revision = revision;
    Ok(past)
}

async fn history(shared: &Shared, after: Revision, until: Revision) -> Result<Vec<Commit>, ChangesError> {
    Ok(read_history(&*shared.engine, after, until, usize::MAX).await?.unwrap_or_default())
}

fn gone(error: ChangesError, wanted: Revision) -> Rejection {
    match error {
        ChangesError::Compacted { floor } => Rejection::Compacted { wanted, floor },
        ChangesError::Store(error) => Unavailable::Store { why: error.to_string() }.into(),
    }
}

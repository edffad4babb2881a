use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use switchboard_model::{Rejection, Revision, Selector};
use switchboard_store::ChangesError;

use crate::changes::{Change, Changes};
use crate::registry::Shared;
use crate::ring::Scan;
use crate::topics::Topic;

/// Commits handed over at once; a stalled watcher holds no more than these.
const PULL: usize = 256;

/// The stream of commits after a revision that touch a selector: in order, each once, never half of one.
///
/// The watcher pulls. It holds a cursor and nothing else, so that a slow one costs no memory and delays nobody.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    topic: Arc<Topic>,
    /// Everything up to here was delivered, or did not match.
    cursor: Revision,
    backlog: VecDeque<Arc<Changes>>,
}

/// Why a watch ends. Each protocol says it as its own resync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEnd {
    /// The watcher is further behind than anyone keeps count of: read everything anew from a view.
    Lagged { head: Revision },
    /// It asked for history that is gone.
    Compacted { floor: Revision },
    /// History could not be read just now.
    Unavailable { why: String },
    /// The registry stops.
    Stopping,
}

/// One commit, seen through the watch's selector.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub changes: Arc<Changes>,
    topic: Arc<Topic>,
}

impl Delivery {
    pub fn revision(&self) -> Revision {
        self.changes.revision
    }

    /// The changes that match, in the order in which they were written. Never empty.
    pub fn items(&self) -> impl Iterator<Item = &Change> {
        self.changes.matching(&self.topic.selector)
    }
}

impl Watch {
    pub(crate) fn open(
        shared: Arc<Shared>,
        selector: &Selector,
        after: Revision,
    ) -> Result<Watch, Rejection> {
        let limit = shared.options.bounds.watches;
        if shared.meters.watches.fetch_add(1, Ordering::AcqRel) >= limit {
            shared.meters.watches.fetch_sub(1, Ordering::AcqRel);
            return Err(Rejection::Limit { what: "watches".into(), limit: limit as u64 });
        }
        let topic = shared.topics.join(selector, || shared.head());
        Ok(Watch { shared, topic, cursor: after, backlog: VecDeque::new() })
    }

    /// Everything up to this revision was delivered.
    pub fn cursor(&self) -> Revision {
        self.cursor
    }

    /// The next commit that matches; waits for it.
    pub async fn next(&mut self) -> Result<Delivery, WatchEnd> {
        loop {
            if let Some(changes) = self.backlog.pop_front() {
                self.cursor = changes.revision;
                return Ok(Delivery { changes, topic: self.topic.clone() });
            }
            let topic = self.topic.clone();
            let bell = topic.bell.notified();
            tokio::pin!(bell);
            // Listening begins before looking, so that nothing slips in between.
            bell.as_mut().enable();
            if self.shared.is_stopping() {
                return Err(WatchEnd::Stopping);
            }
            if !self.pull().await? {
                bell.await;
            }
        }
    }

    /// The next commit if it has happened already. None: everything up to `cursor` was delivered.
    pub async fn try_next(&mut self) -> Result<Option<Delivery>, WatchEnd> {
        if self.backlog.is_empty() && !self.pull().await? {
            return Ok(None);
        }
        let next = self.backlog.pop_front();
        Ok(next.map(|changes| {
            self.cursor = changes.revision;
            Delivery { changes, topic: self.topic.clone() }
        }))
    }

    /// Fills the backlog. False: there is nothing new.
    async fn pull(&mut self) -> Result<bool, WatchEnd> {
        // Read before looking: everything up to here is in the logs, and what comes later is for the next pull.
        let head = self.shared.head();
        if self.cursor > head {
            return Ok(false);
        }
        if let Some(found) = self.topic.after(self.cursor, head, PULL) {
            if found.is_empty() {
                self.cursor = self.cursor.max(head);
            }
            self.backlog.extend(found);
            return Ok(!self.backlog.is_empty());
        }
        let topic = self.topic.clone();
        match self.shared.ring.after(self.cursor, head, PULL, |changes| changes.touch(&topic.selector)) {
            Scan::Found(found, seen) => {
                if found.is_empty() {
                    self.cursor = self.cursor.max(seen);
                }
                self.backlog.extend(found);
            }
            Scan::Behind => {
                let caught_up = self.shared.catch_up(self.cursor).await.map_err(|e| self.end(e))?;
                let Some(last) = caught_up.last().map(|changes| changes.revision) else {
                    return Err(WatchEnd::Lagged { head });
                };
                self.backlog.extend(caught_up.into_iter().filter(|changes| changes.touch(&topic.selector)));
                if self.backlog.is_empty() {
                    self.cursor = last;
                    return Box::pin(self.pull()).await;
                }
            }
        }
        Ok(!self.backlog.is_empty())
    }

    fn end(&self, error: ChangesError) -> WatchEnd {
        match error {
            ChangesError::Compacted { floor } => WatchEnd::Compacted { floor },
            ChangesError::Store(error) => WatchEnd::Unavailable { why: error.to_string() },
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.topics.leave(&self.topic);
        self.shared.meters.watches.fetch_sub(1, Ordering::AcqRel);
    }
}

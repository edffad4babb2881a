use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;
use switchboard_model::Revision;

use crate::changes::Changes;

/// The newest commits in memory, for watchers that are nearly up to date.
#[derive(Debug)]
pub(crate) struct Ring {
    bound: usize,
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Arc<Changes>>,
    /// Every commit after this one is in `items`.
    floor: Revision,
}

/// What the ring has after a revision.
#[derive(Debug)]
pub(crate) enum Scan {
    /// The matching commits, and the revision up to which there are no others.
    Found(Vec<Arc<Changes>>, Revision),
    /// The ring begins later than that.
    Behind,
}

impl Ring {
    pub(crate) fn new(bound: usize) -> Ring {
        Ring { bound, inner: RwLock::default() }
    }

    /// Begins anew: nothing up to `floor` is here.
    pub(crate) fn reset(&self, floor: Revision) {
        *self.inner.write() = Inner { items: VecDeque::new(), floor };
    }

    pub(crate) fn push(&self, changes: &[Arc<Changes>]) {
        let mut inner = self.inner.write();
        for item in changes {
            inner.items.push_back(item.clone());
            if inner.items.len() > self.bound
                && let Some(oldest) = inner.items.pop_front()
            {
                inner.floor = oldest.revision;
            }
        }
    }

    /// At most `max` commits after `after`, up to `head`, that `matches`.
    pub(crate) fn after(
        &self,
        after: Revision,
        head: Revision,
        max: usize,
        matches: impl Fn(&Changes) -> bool,
    ) -> Scan {
        let inner = self.inner.read();
        if after < inner.floor {
            return Scan::Behind;
        }
        let start = inner.items.partition_point(|item| item.revision <= after);
        let mut found = Vec::new();
        let mut seen = after;
        for item in inner.items.range(start..).take_while(|item| item.revision <= head) {
            if found.len() >= max {
                return Scan::Found(found, seen);
            }
            seen = item.revision;
            if matches(item) {
                found.push(item.clone());
            }
        }
        Scan::Found(found, seen)
    }
}

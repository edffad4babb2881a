//! What a peer has yet to be told: each thing once, in its newest form, and nothing that is too old to matter.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::wire::{BatchAction, Item};

const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    by_age: BTreeMap<u64, (Key, Waiting)>,
    by_key: HashMap<Key, u64>,
}

type Key = (BatchAction, String, String);

#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) item: Item,
    until: Instant,
}

impl Queue {
    /// Returns how many others were dropped for it.
    pub(super) fn push(&self, item: Item) -> u64 {
        let lasts = match (item.action, item.info.as_ref().and_then(|info| info.lease)) {
            (BatchAction::Register | BatchAction::Heartbeat, lease) => {
                let secs = lease.map_or(90, |lease| lease.renewal_secs).clamp(1, 86_400);
                Duration::from_secs(secs.unsigned_abs())
            }
            _ => Duration::from_secs(30),
        };
        let dropped = self.inner.lock().put(Waiting { item, until: Instant::now() + lasts });
        self.bell.notify_one();
        dropped
    }

    /// Those that a peer could not take, unless there is newer news.
    pub(super) fn put_back(&self, items: Vec<Waiting>) {
        let mut inner = self.inner.lock();
        for waiting in items {
            if !inner.by_key.contains_key(&key(&waiting.item)) {
                inner.put(waiting);
            }
        }
    }

    /// Waits until there is something to tell.
    pub(super) async fn some(&self) {
        while self.inner.lock().by_age.is_empty() {
            self.bell.notified().await;
        }
    }

    /// The oldest, and how many were too old.
    pub(super) fn take(&self, most: usize) -> (Vec<Waiting>, u64) {
        let mut inner = self.inner.lock();
        let (mut taken, mut expired) = (Vec::new(), 0);
        let now = Instant::now();
        while taken.len() < most
            && let Some((_, (key, waiting))) = inner.by_age.pop_first()
        {
            inner.by_key.remove(&key);
            if waiting.until > now {
                taken.push(waiting);
            } else {
                expired += 1;
            }
        }
        (taken, expired)
    }

    pub(super) fn len(&self) -> usize {
        self.inner.lock().by_age.len()
    }
}

impl Inner {
    fn put(&mut self, waiting: Waiting) -> u64 {
        let key = key(&waiting.item);
        let (_, app, id) = &key;
        // A registration and a cancellation undo each other: only the later one matters.
        let undone: &[BatchAction] = match waiting.item.action {
            BatchAction::Register => &[BatchAction::Cancel],
            BatchAction::Cancel => &[BatchAction::Register, BatchAction::Heartbeat],
            BatchAction::StatusUpdate => &[BatchAction::DeleteStatusOverride],
            BatchAction::DeleteStatusOverride => &[BatchAction::StatusUpdate],
            BatchAction::Heartbeat => &[],
        };
        for action in undone {
            self.remove(&(*action, app.clone(), id.clone()));
        }
        self.remove(&key);
        let mut dropped = 0;
        while self.by_age.len() >= MOST {
            if let Some((_, (oldest, _))) = self.by_age.pop_first() {
                self.by_key.remove(&oldest);
                dropped += 1;
            }
        }
        let place = self.next;
        self.next += 1;
        self.by_key.insert(key.clone(), place);
        self.by_age.insert(place, (key, waiting));
        dropped
    }

    fn remove(&mut self, key: &Key) {
        if let Some(place) = self.by_key.remove(key) {
            self.by_age.remove(&place);
        }
    }
}

fn key(item: &Item) -> Key {
    (item.action, item.app.to_uppercase(), item.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(action: BatchAction, id: &str) -> Item {
        let app = "A".to_owned();
        Item { action, app, id: id.into(), dirty: None, status: None, overridden: None, info: None }
    }

    fn taken(queue: &Queue) -> Vec<(BatchAction, String)> {
        queue.take(250).0.into_iter().map(|waiting| (waiting.item.action, waiting.item.id)).collect()
    }

    #[test]
    fn the_newest_of_several_is_told_and_opposites_cancel_out() {
        use BatchAction::{Cancel, Heartbeat, Register};
        let queue = Queue::default();
        for (action, id) in [
            (Heartbeat, "1"),
            (Register, "1"),
            (Heartbeat, "1"),
            (Register, "2"),
            (Cancel, "2"),
            (Cancel, "1"),
        ] {
            queue.push(item(action, id));
        }
        assert_eq!(taken(&queue), [(Cancel, "2".into()), (Cancel, "1".into())]);
        queue.push(item(Cancel, "1"));
        queue.push(item(Register, "1"));
        assert_eq!(taken(&queue), [(Register, "1".into())]);
    }

    #[test]
    fn it_holds_so_many_and_then_forgets_the_oldest() {
        let queue = Queue::default();
        let dropped: u64 =
            (0..MOST + 7).map(|i| queue.push(item(BatchAction::Heartbeat, &i.to_string()))).sum();
        assert_eq!((dropped, queue.len()), (7, MOST));
        assert_eq!(queue.take(1).0[0].item.id, "7");
    }

    #[test]
    fn what_comes_back_does_not_replace_newer_news() {
        let queue = Queue::default();
        queue.push(Item { dirty: Some(1), ..item(BatchAction::Heartbeat, "1") });
        let (old, _) = queue.take(250);
        queue.push(Item { dirty: Some(2), ..item(BatchAction::Heartbeat, "1") });
        queue.put_back(old);
        let (now, _) = queue.take(250);
        assert_eq!(now.len(), 1);
        assert_eq!(now[0].item.dirty, Some(2));
    }
}

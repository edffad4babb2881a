//! Deadlines that a heartbeat moves, in memory, in a few nanoseconds, without waking anyone.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::clock::ServiceTime;

const SHARDS: usize = 32;
/// Deadlines are looked at in steps of this many milliseconds.
const STEP_MS: u64 = 50;

/// Ticking. A heartbeat moves it.
const RUNNING: u8 = 0;
/// Overdue, and handed out to be judged. A heartbeat still saves it.
const DUE: u8 = 1;
/// Judged: what hangs on it is being taken out. A heartbeat comes too late.
const SPENT: u8 = 2;
/// Judged, but held back by the brake. A heartbeat brings it back.
const HELD: u8 = 3;
/// Nobody waits for it any more.
const STOPPED: u8 = 4;

/// What a heartbeat did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// The deadline is a full `ttl` away again.
    Kept(Duration),
    /// Too late: what hung on the deadline was taken out.
    Late(Duration),
}

#[derive(Debug)]
struct Cell {
    ttl_ms: u64,
    renewed: AtomicU64,
    state: AtomicU8,
}

impl Cell {
    fn is(&self, state: u8) -> bool {
        self.state.load(Ordering::Acquire) == state
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

type Waiting<K> = (K, Arc<Cell>);
type Shard<K> = RwLock<HashMap<K, Arc<Cell>, foldhash::fast::RandomState>>;

#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    shards: Box<[Shard<K>]>,
    hasher: foldhash::fast::RandomState,
    /// By the step in which to look next. A heartbeat does not move an entry: whoever looks finds the deadline moved
    /// and puts the entry where it belongs now.
    wheel: Mutex<BTreeMap<u64, Vec<Waiting<K>>>>,
    held: Mutex<Vec<Waiting<K>>>,
    /// Held ones that were heard of again.
    returned: Mutex<Vec<K>>,
    /// No deadline counts from before this moment.
    floor: AtomicU64,
}

impl<K: Clone + Eq + Hash + Ord> Deadlines<K> {
    pub(crate) fn new() -> Deadlines<K> {
        Deadlines {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            wheel: Mutex::default(),
            held: Mutex::default(),
            returned: Mutex::default(),
            floor: AtomicU64::new(0),
        }
    }

    /// Starts, or starts afresh, a deadline that is `ttl` away.
    pub(crate) fn start(&self, key: K, ttl: Duration, now: ServiceTime) {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let cell = Arc::new(Cell { ttl_ms, renewed: AtomicU64::new(now.0), state: AtomicU8::new(RUNNING) });
        if let Some(old) = self.shard(&key).write().insert(key.clone(), cell.clone()) {
            old.state.store(STOPPED, Ordering::Release);
        }
        self.queue(key, cell);
    }

    pub(crate) fn stop(&self, key: &K) {
        if let Some(old) = self.shard(key).write().remove(key) {
            old.state.store(STOPPED, Ordering::Release);
        }
    }

    pub(crate) fn is_running(&self, key: &K) -> bool {
        self.shard(key).read().get(key).is_some_and(|cell| cell.is(RUNNING))
    }

    /// A heartbeat. None: there is no such deadline.
    pub(crate) fn beat(&self, key: &K, now: ServiceTime) -> Option<Beat> {
        let shard = self.shard(key).read();
        let cell = shard.get(key)?;
        let ttl = Duration::from_millis(cell.ttl_ms);
        cell.renewed.fetch_max(now.0, Ordering::AcqRel);
        if cell.is(RUNNING) {
            return Some(Beat::Kept(ttl));
        }
        if cell.turn(DUE, RUNNING) {
            let cell = cell.clone();
            drop(shard);
            self.queue(key.clone(), cell);
            return Some(Beat::Kept(ttl));
        }
        // Moved out of HELD by exactly one heartbeat; later ones find it spent, and its revival is on its way.
        if cell.turn(HELD, SPENT) {
            self.returned.lock().push(key.clone());
            return Some(Beat::Kept(ttl));
        }
        Some(Beat::Late(ttl))
    }

    /// Treats a key as held and heard of again, whatever the brake knew of it.
    pub(crate) fn welcome(&self, key: K) {
        self.returned.lock().push(key);
    }

    /// How long until the deadline, if nothing is heard.
    pub(crate) fn remaining(&self, key: &K, now: ServiceTime) -> Option<Duration> {
        let shard = self.shard(key).read();
        let cell = shard.get(key)?;
        Some(Duration::from_millis(self.deadline(cell).saturating_sub(now.0)))
    }

    /// At most `max` overdue keys, each handed out once.
    pub(crate) fn due(&self, now: ServiceTime, max: usize) -> Vec<K> {
        let mut due = Vec::new();
        while due.len() < max {
            let entries = {
                let mut wheel = self.wheel.lock();
                match wheel.first_entry() {
                    Some(first) if first.key().saturating_mul(STEP_MS) <= now.0 => first.remove(),
                    _ => break,
                }
            };
            for (key, cell) in entries {
                if !cell.is(RUNNING) {
                    continue;
                }
                // Beyond `max` they wait in their step for the next look.
                if self.deadline(&cell) > now.0 || due.len() >= max {
                    self.queue(key, cell);
                } else if cell.turn(RUNNING, DUE) {
                    due.push(key);
                }
            }
        }
        due
    }

    /// Whether the key is still overdue. From here on a heartbeat comes too late.
    pub(crate) fn judge(&self, key: &K) -> bool {
        let shard = self.shard(key).read();
        shard.get(key).is_some_and(|cell| cell.turn(DUE, SPENT) || cell.is(SPENT))
    }

    /// The judgement could not be carried out: a full TTL from now.
    pub(crate) fn forgive(&self, key: &K, now: ServiceTime) {
        let cell = self.shard(key).read().get(key).cloned();
        if let Some(cell) = cell
            && (cell.turn(SPENT, RUNNING) || cell.turn(DUE, RUNNING))
        {
            cell.renewed.fetch_max(now.0, Ordering::AcqRel);
            self.queue(key.clone(), cell);
        }
    }

    /// The brake held the judgement back.
    pub(crate) fn hold(&self, key: &K) {
        let cell = self.shard(key).read().get(key).cloned();
        if let Some(cell) = cell
            && (cell.turn(SPENT, HELD) || cell.turn(DUE, HELD))
        {
            self.held.lock().push((key.clone(), cell));
        }
    }

    /// At most `max` held keys at random, overdue again.
    pub(crate) fn release(&self, max: usize) -> Vec<K> {
        let mut held = self.held.lock();
        let mut released = Vec::new();
        while released.len() < max && !held.is_empty() {
            let at = fastrand::usize(..held.len());
            let (key, cell) = held.swap_remove(at);
            if cell.turn(HELD, DUE) {
                released.push(key);
            }
        }
        released
    }

    pub(crate) fn take_returned(&self, max: usize) -> Vec<K> {
        let mut returned = self.returned.lock();
        let rest = returned.len().saturating_sub(max);
        returned.split_off(rest)
    }

    /// Everyone has a full TTL from now: nobody could have been heard.
    pub(crate) fn grace(&self, now: ServiceTime) {
        self.floor.fetch_max(now.0, Ordering::AcqRel);
    }

    fn deadline(&self, cell: &Cell) -> u64 {
        let from = cell.renewed.load(Ordering::Acquire).max(self.floor.load(Ordering::Acquire));
        from.saturating_add(cell.ttl_ms)
    }

    fn queue(&self, key: K, cell: Arc<Cell>) {
        // Rounded up: looking too early would only mean looking twice.
        let step = self.deadline(&cell).saturating_add(STEP_MS - 1) / STEP_MS;
        self.wheel.lock().entry(step).or_default().push((key, cell));
    }

    fn shard(&self, key: &K) -> &Shard<K> {
        let at = usize::try_from(self.hasher.hash_one(key)).unwrap_or_default() % SHARDS;
        #[allow(clippy::indexing_slicing, reason = "the remainder is below the number of shards")]
        &self.shards[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn started() -> Deadlines<u64> {
        let deadlines = Deadlines::new();
        deadlines.start(1, TTL, ServiceTime(0));
        deadlines
    }

    fn at(seconds: u64) -> ServiceTime {
        ServiceTime(seconds * 1000)
    }

    #[test]
    fn silence_is_due_once_and_a_heartbeat_moves_it() {
        let deadlines = started();
        assert!(deadlines.due(at(9), 10).is_empty());
        assert_eq!(deadlines.beat(&1, at(9)), Some(Beat::Kept(TTL)));
        assert!(deadlines.due(at(18), 10).is_empty());
        assert_eq!(deadlines.due(at(19), 10), [1]);
        assert!(deadlines.due(at(20), 10).is_empty(), "it was handed out twice");
    }

    #[test]
    fn a_heartbeat_saves_until_judged_and_is_late_afterwards() {
        let deadlines = started();
        assert_eq!(deadlines.due(at(10), 10), [1]);
        assert_eq!(deadlines.beat(&1, at(10)), Some(Beat::Kept(TTL)));
        assert!(!deadlines.judge(&1));
        assert_eq!(deadlines.due(at(20), 10), [1]);
        assert!(deadlines.judge(&1));
        assert_eq!(deadlines.beat(&1, at(20)), Some(Beat::Late(TTL)));
    }

    #[test]
    fn grace_gives_everyone_a_full_ttl() {
        let deadlines = started();
        deadlines.grace(at(9));
        assert!(deadlines.due(at(18), 10).is_empty());
        assert_eq!(deadlines.due(at(19), 10), [1]);
    }

    #[test]
    fn held_ones_return_with_a_heartbeat_or_are_released() {
        let deadlines = started();
        deadlines.start(2, TTL, at(0));
        assert_eq!(deadlines.due(at(10), 10).len(), 2);
        for key in [1, 2] {
            assert!(deadlines.judge(&key));
            deadlines.hold(&key);
        }
        assert_eq!(deadlines.beat(&1, at(11)), Some(Beat::Kept(TTL)));
        assert_eq!(deadlines.take_returned(10), [1]);
        assert_eq!(deadlines.release(10), [2]);
    }

    #[test]
    fn a_forgiven_one_has_a_full_ttl() {
        let deadlines = started();
        assert_eq!(deadlines.due(at(10), 10), [1]);
        assert!(deadlines.judge(&1));
        deadlines.forgive(&1, at(12));
        assert!(deadlines.due(at(21), 10).is_empty());
        assert_eq!(deadlines.due(at(22), 10), [1]);
    }

    #[test]
    fn more_than_asked_for_waits() {
        let deadlines = Deadlines::new();
        for key in 0..10_u64 {
            deadlines.start(key, TTL, at(0));
        }
        let mut seen = deadlines.due(at(10), 4);
        seen.extend(deadlines.due(at(10), 100));
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }
}

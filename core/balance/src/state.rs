use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use switchboard_model::InstanceKey;

use crate::breaker::{Breaker, Phase};
use crate::latency::Latency;
use crate::moment::Moment;
use crate::policy::TripRules;

/// What calls have told about one instance.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) key: Arc<InstanceKey>,
    pub(crate) hash: u64,
    in_flight: AtomicU32,
    pub(crate) latency: Latency,
    /// Made with the first call that says anything: most instances of a large registry are never called from here.
    breaker: Mutex<Option<Box<Breaker>>>,
    /// What its success rate is taken of.
    window: Duration,
    /// Whether the breaker is open or half open, to be read without waiting.
    ejected: AtomicBool,
    /// When it joined or came back.
    since: AtomicU64,
}

impl State {
    /// `since`: when its slow start begins; None: it starts with all of its share.
    pub(crate) fn new(key: Arc<InstanceKey>, hash: u64, rules: &TripRules, since: Option<Moment>) -> State {
        State {
            key,
            hash,
            in_flight: AtomicU32::new(0),
            latency: Latency::default(),
            breaker: Mutex::new(None),
            window: rules.window,
            ejected: AtomicBool::new(false),
            since: AtomicU64::new(since.map_or(u64::MAX, Moment::nanos)),
        }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// When its slow start began; None: it had none.
    pub(crate) fn since(&self) -> Option<Moment> {
        let nanos = self.since.load(Ordering::Relaxed);
        (nanos != u64::MAX).then(|| Moment::from_nanos(nanos))
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.ejected.load(Ordering::Acquire)
    }

    pub(crate) fn phase(&self) -> Phase {
        if !self.is_ejected() {
            return Phase::Closed;
        }
        self.breaker.lock().as_ref().map_or(Phase::Closed, |breaker| breaker.phase())
    }

    /// The one way to change the breaker. True: whether it is ejected has changed.
    pub(crate) fn with_breaker(&self, now: Moment, change: impl FnOnce(&mut Breaker)) -> bool {
        let mut breaker = self.breaker.lock();
        let breaker =
            breaker.get_or_insert_with(|| Box::new(Breaker::of_window(self.window, self.hash, now)));
        change(breaker);
        let ejected = breaker.phase() != Phase::Closed;
        let changed = self.ejected.swap(ejected, Ordering::AcqRel) != ejected;
        if changed && !ejected {
            self.since.store(now.nanos(), Ordering::Relaxed);
        }
        changed
    }
}

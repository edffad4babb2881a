use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use switchboard_model::InstanceKey;

use crate::endpoint::Endpoint;
use crate::moment::Moment;
use crate::policy::TripRules;
use crate::state::State;

/// What is known about every instance that this process calls, by the instance's key.
///
/// All balancers of a process share one, so that what one route or client learns about an instance all of them know. It
/// forgets an instance when no balancer has it any more, or when its address changes.
#[derive(Debug, Default)]
pub struct Ledger {
    states: Mutex<HashMap<Arc<InstanceKey>, Known>>,
    /// Raised whenever an instance is ejected or comes back, so that balancers look again.
    version: AtomicU64,
}

#[derive(Debug)]
struct Known {
    address: Arc<str>,
    state: Weak<State>,
}

impl Ledger {
    /// A ledger that knows nobody.
    pub fn new() -> Ledger {
        Ledger::default()
    }

    /// How many instances it knows.
    pub fn len(&self) -> usize {
        self.states.lock().values().filter(|known| known.state.strong_count() > 0).count()
    }

    /// Whether it knows nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn changed(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// What is known about an endpoint, or a new page for it. `joins`: it was not there before, others were.
    pub(crate) fn open(
        &self,
        endpoint: &Endpoint,
        rules: &TripRules,
        joins: bool,
        now: Moment,
    ) -> Arc<State> {
        let mut states = self.states.lock();
        let known = states.get(&endpoint.key).filter(|known| known.address == endpoint.address);
        if let Some(state) = known.and_then(|known| known.state.upgrade()) {
            return state;
        }
        let since = joins.then_some(now);
        let state = Arc::new(State::new(endpoint.key.clone(), endpoint.hash(), rules, since, now));
        let known = Known { address: endpoint.address.clone(), state: Arc::downgrade(&state) };
        states.insert(endpoint.key.clone(), known);
        state
    }

    /// Drops the pages of instances that nobody has any more.
    pub(crate) fn sweep(&self) {
        self.states.lock().retain(|_, known| known.state.strong_count() > 0);
    }
}

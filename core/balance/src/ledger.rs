use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use switchboard_model::InstanceKey;

use crate::breaker::Phase;
use crate::endpoint::Endpoint;
use crate::moment::Moment;
use crate::policy::TripRules;
use crate::state::State;

/// Who is told that an instance is left out, half open, or back.
type Listener = Box<dyn Fn(&InstanceKey, Phase) + Send + Sync>;

/// What is known about every instance that this process calls, by the instance's key.
///
/// All balancers of a process share one, so that what one route or client learns about an instance all of them know. It
/// forgets an instance when no balancer has it any more, or when its address changes.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use switchboard_balance::{Balancer, Endpoint, Ledger, Moment, Outcome, Phase, Policy, Request};
///
/// let (tell, told) = std::sync::mpsc::channel();
/// let ledger = Ledger::telling(move |instance, phase| drop(tell.send((instance.id.to_string(), phase))));
/// let users = Balancer::new(Policy::default(), Arc::new(ledger)).unwrap();
/// let now = Moment::START;
/// let both = ["a", "b"].map(|id| (Endpoint::new("users", id).unwrap(), ()));
/// users.update(both.into(), now);
/// for number in 0..20 {
///     let pick = users.pick(&Request::default(), now, &mut || number << 60).unwrap();
///     pick.finish(Outcome::FAILURE, now);
/// }
/// let (_, phase) = told.recv().unwrap();
/// assert!(matches!(phase, Phase::Open { .. }));
/// ```
#[derive(Default)]
pub struct Ledger {
    states: Mutex<HashMap<Arc<InstanceKey>, Known>>,
    /// Raised whenever an instance is ejected or comes back, so that balancers look again.
    version: AtomicU64,
    listener: Option<Listener>,
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

    /// A ledger that tells when an instance is left out, for how long, and when it is back. Whoever is
    /// told must not wait for anything, nor pick.
    pub fn telling(listener: impl Fn(&InstanceKey, Phase) + Send + Sync + 'static) -> Ledger {
        Ledger { listener: Some(Box::new(listener)), ..Ledger::default() }
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

    pub(crate) fn changed(&self, state: &State) {
        self.version.fetch_add(1, Ordering::AcqRel);
        if let Some(listener) = &self.listener {
            listener(&state.key, state.phase());
        }
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
        let state = Arc::new(State::new(endpoint.key.clone(), endpoint.hash(), rules, since));
        let known = Known { address: endpoint.address.clone(), state: Arc::downgrade(&state) };
        states.insert(endpoint.key.clone(), known);
        state
    }

    /// Drops the pages of instances that nobody has any more.
    pub(crate) fn sweep(&self) {
        self.states.lock().retain(|_, known| known.state.strong_count() > 0);
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("instances", &self.len()).finish_non_exhaustive()
    }
}

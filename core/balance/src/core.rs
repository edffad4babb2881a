use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::breaker::{Breaker, Phase, Verdict};
use crate::budget::RetryBudget;
use crate::ledger::Ledger;
use crate::moment::Moment;
use crate::outcome::Outcome;
use crate::policy::{CircuitPolicy, EjectionPolicy, Policy};
use crate::request::NoPick;
use crate::state::State;

/// What a balancer and its picks share, whatever the targets are.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) policy: Arc<Policy>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) budget: RetryBudget,
    /// Whose turn it is in round robin; `usize::MAX` before the first.
    pub(crate) cursor: AtomicUsize,
    in_flight: AtomicU32,
    circuit: Option<Box<(CircuitPolicy, Mutex<Breaker>)>>,
    /// The instances that take calls as far as the registry knows: whom ejection must leave enough of.
    crew: ArcSwap<Box<[Arc<State>]>>,
    /// Held while it is decided whether one more may be ejected.
    ejecting: Mutex<()>,
}

impl Core {
    pub(crate) fn new(policy: Arc<Policy>, ledger: Arc<Ledger>) -> Core {
        let breaker =
            |it: CircuitPolicy| Box::new((it, Mutex::new(Breaker::new(&it.rules, 0, Moment::START))));
        let circuit = policy.circuit.map(breaker);
        Core {
            budget: RetryBudget::new(policy.retry),
            policy,
            ledger,
            cursor: AtomicUsize::new(usize::MAX),
            in_flight: AtomicU32::new(0),
            circuit,
            crew: ArcSwap::from_pointee(Box::default()),
            ejecting: Mutex::new(()),
        }
    }

    pub(crate) fn set_crew(&self, crew: Box<[Arc<State>]>) {
        self.crew.store(Arc::new(crew));
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

    /// Whether the service as a whole takes one more call. True: the call is the one that finds out whether the circuit
    /// can be closed.
    pub(crate) fn enter(&self, now: Moment) -> Result<bool, NoPick> {
        if self.policy.max_in_flight.is_some_and(|most| self.in_flight() >= most) {
            return Err(NoPick::Full);
        }
        let Some((_, breaker)) = self.circuit.as_deref() else { return Ok(false) };
        let mut breaker = breaker.lock();
        match breaker.phase() {
            Phase::Closed => Ok(false),
            Phase::Open { .. } if breaker.try_probe(now) => Ok(true),
            Phase::Open { until } => Err(NoPick::CircuitOpen { retry_after: until.since(now) }),
            Phase::HalfOpen => Err(NoPick::CircuitOpen { retry_after: Duration::ZERO }),
        }
    }

    /// Where the circuit stands; None: there is none.
    pub(crate) fn circuit(&self) -> Option<Phase> {
        self.circuit.as_deref().map(|(_, breaker)| breaker.lock().phase())
    }

    /// The circuit hears how a call ended; None: it was given up.
    pub(crate) fn tell_circuit(&self, verdict: Option<Verdict>, was_probe: bool, now: Moment) {
        let Some((policy, breaker)) = self.circuit.as_deref() else { return };
        let mut breaker = breaker.lock();
        if was_probe {
            breaker.probed(verdict, &policy.rest, now);
        } else if verdict.is_some_and(|verdict| breaker.record(verdict, &policy.rules, now)) {
            breaker.open(&policy.rest, now);
        }
    }

    /// What a call has told about an instance.
    pub(crate) fn learn(&self, state: &State, outcome: Outcome, took: Duration, probed: bool, now: Moment) {
        let latency = &self.policy.latency;
        let penalty = |hint: Option<Duration>| {
            let asked = hint.unwrap_or_default().min(latency.longest_penalty);
            asked.max(latency.penalty).max(took)
        };
        let (sample, verdict) = match outcome {
            Outcome::Success => (took, Verdict::Good),
            Outcome::Failure { hint } => (penalty(hint), Verdict::Bad),
            Outcome::Limited { hint } => (penalty(hint), Verdict::Busy),
        };
        state.latency.add(sample, latency.decay, now);
        self.judge(state, verdict, probed, now);
    }

    fn judge(&self, state: &State, verdict: Verdict, probed: bool, now: Moment) {
        let Some(ejection) = &self.policy.ejection else { return };
        let mut is_too_much = false;
        let changed = state.with_breaker(now, |breaker| {
            if probed {
                breaker.probed(Some(verdict), &ejection.rest, now);
            } else {
                is_too_much = breaker.record(verdict, &ejection.rules, now);
            }
        });
        // A failed probe changes when the next one is due.
        if changed || probed {
            self.ledger.changed(state);
        }
        if is_too_much {
            self.eject(state, ejection, now);
        }
    }

    fn eject(&self, state: &State, ejection: &EjectionPolicy, now: Moment) {
        let _ejecting = self.ejecting.lock();
        let crew = self.crew.load();
        let others = crew.iter().filter(|other| !std::ptr::eq(Arc::as_ptr(other), state));
        let (out, left) =
            others.fold(
                (0, 0),
                |(out, left), other| {
                    if other.is_ejected() { (out + 1, left) } else { (out, left + 1) }
                },
            );
        let most = ((crew.len() as f64 * ejection.max_share) as usize).max(1);
        if out >= most || left == 0 || state.is_ejected() {
            return;
        }
        if state.with_breaker(now, |breaker| breaker.open(&ejection.rest, now)) {
            self.ledger.changed(state);
        }
    }

    /// A probe whose call was given up: the next call may take its place.
    pub(crate) fn release_probe(&self, state: &State, now: Moment) {
        if let Some(ejection) = &self.policy.ejection {
            state.with_breaker(now, |breaker| {
                breaker.probed(None, &ejection.rest, now);
            });
            self.ledger.changed(state);
        }
    }
}

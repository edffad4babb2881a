use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use switchboard_model::InstanceKey;

use crate::breaker::{Phase, Verdict};
use crate::core::Core;
use crate::endpoint::Endpoint;
use crate::moment::Moment;
use crate::outcome::Outcome;
use crate::state::State;

/// An endpoint, how to reach it, and what is known about it.
#[derive(Debug)]
pub(crate) struct Member<T> {
    pub(crate) endpoint: Endpoint,
    pub(crate) target: T,
    pub(crate) state: Arc<State>,
}

/// An instance that was picked for a call, held as long as the call is on its way.
///
/// [`Pick::finish`] says how it ended. A pick that is dropped was a call that the caller gave up: it counts for nothing.
pub struct Pick<T> {
    member: Arc<Member<T>>,
    core: Arc<Core>,
    begun: Moment,
    answered: Option<Moment>,
    is_probe: bool,
    is_circuit_probe: bool,
    told: bool,
}

impl<T> Pick<T> {
    pub(crate) fn new(member: Arc<Member<T>>, core: Arc<Core>, probes: Probes, now: Moment) -> Pick<T> {
        member.state.begin();
        core.begin();
        Pick {
            member,
            core,
            begun: now,
            answered: None,
            is_probe: probes.instance,
            is_circuit_probe: probes.circuit,
            told: false,
        }
    }

    /// What the caller gave with the endpoint.
    pub fn target(&self) -> &T {
        &self.member.target
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.member.endpoint
    }

    /// Who was picked; for the list of those that were tried.
    pub fn key(&self) -> &Arc<InstanceKey> {
        &self.member.endpoint.key
    }

    /// Whether this call finds out if an ejected instance works again.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// The first part of the answer is there. What comes after it is the answer's length, and no sign of the instance's
    /// state: the time that the call took ends here.
    pub fn answered(&mut self, now: Moment) {
        self.answered.get_or_insert(now);
    }

    /// The call is over.
    pub fn finish(mut self, outcome: Outcome, now: Moment) {
        self.told = true;
        let took = self.answered.unwrap_or(now).since(self.begun);
        self.core.learn(&self.member.state, outcome, took, self.is_probe, now);
        let verdict = match outcome {
            Outcome::Success => Verdict::Good,
            Outcome::Failure { .. } => Verdict::Bad,
            Outcome::Limited { .. } => Verdict::Busy,
        };
        self.core.tell_circuit(Some(verdict), self.is_circuit_probe, now);
    }

    /// The caller gave the call up. It has taken at least so long.
    pub fn give_up(self, now: Moment) {
        let took = now.since(self.begun);
        let latency = &self.member.state.latency;
        let decay = self.core.policy.latency.decay;
        // A call that was given up early says nothing good about the instance.
        if latency.nanos_at(decay, now).is_some_and(|nanos| took.as_nanos() as f64 > nanos) {
            latency.add(took, decay, now);
        }
    }
}

impl<T> Drop for Pick<T> {
    fn drop(&mut self) {
        self.member.state.end();
        self.core.end();
        if !self.told {
            if self.is_probe {
                self.core.release_probe(&self.member.state, self.begun);
            }
            self.core.tell_circuit(None, self.is_circuit_probe, self.begun);
        }
    }
}

impl<T> fmt::Debug for Pick<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick")
            .field("key", &self.key().to_string())
            .field("is_probe", &self.is_probe)
            .finish()
    }
}

/// What a call finds out besides its answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probes {
    pub(crate) instance: bool,
    pub(crate) circuit: bool,
}

/// What a balancer knows about one of its instances, for people.
///
/// ```
/// use std::sync::Arc;
/// use switchboard_balance::{Balancer, Endpoint, Ledger, Moment, Phase, Policy};
///
/// let users = Balancer::new(Policy::default(), Arc::new(Ledger::new())).unwrap();
/// users.update(vec![(Endpoint::new("users", "a").unwrap(), ())], Moment::START);
/// let report = &users.report(Moment::START)[0];
/// assert_eq!((report.in_flight, report.latency, report.phase), (0, None, Phase::Closed));
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    /// The instance as the registry has it.
    pub endpoint: Endpoint,
    /// Calls on the way.
    pub in_flight: u32,
    /// How long calls take; None: there was none yet.
    pub latency: Option<Duration>,
    /// Whether it is left out because it fails.
    pub phase: Phase,
}

impl<T> Member<T> {
    pub(crate) fn report(&self, decay: Duration, now: Moment) -> Report {
        let nanos = self.state.latency.nanos_at(decay, now);
        Report {
            endpoint: self.endpoint.clone(),
            in_flight: self.state.in_flight(),
            latency: nanos.map(|nanos| Duration::from_nanos(nanos as u64)),
            phase: self.state.phase(),
        }
    }
}

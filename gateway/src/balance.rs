//! Which instance takes the next request. How that is chosen is for the balancer; here it gets a clock, chance and
//! the settings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard_balance::{
    Algorithm, Balancer, CircuitPolicy, EjectionPolicy, Fitness, Ledger, Moment, NoPick, Outcome, Policy,
    PolicyError, Report, Request, RetryPermit, RetryPolicy, SlowStartPolicy, ZonePolicy,
};
use switchboard_model::InstanceKey;

use crate::config::{self, Config};
use crate::services::Endpoint;

/// What all choosers have in common, and through which they share what is known about instances.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    policy: Arc<Policy>,
    ledger: Arc<Ledger>,
    start: Instant,
}

impl Bench {
    pub(crate) fn new(config: &Config) -> Result<Bench, PolicyError> {
        let policy = Arc::new(policy(config));
        policy.check()?;
        Ok(Bench { policy, ledger: Arc::new(Ledger::new()), start: Instant::now() })
    }

    pub(crate) fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    pub(crate) fn chooser(&self) -> Chooser {
        // The policy was checked.
        Chooser { balancer: Balancer::new(self.policy.clone(), self.ledger.clone()).ok(), start: self.start }
    }
}

/// The instances of a service, or of a subset of it, and the choice among them.
pub(crate) struct Chooser {
    balancer: Option<Balancer<Arc<Endpoint>>>,
    start: Instant,
}

/// An instance that was picked, as long as its request is under way. Dropped: nobody knows how it would have ended.
#[derive(Debug)]
pub(crate) struct Pick {
    pick: switchboard_balance::Pick<Arc<Endpoint>>,
    start: Instant,
}

impl std::fmt::Debug for Chooser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chooser")
    }
}

impl Chooser {
    fn now(&self) -> Moment {
        Moment::after_start(self.start.elapsed())
    }

    pub(crate) fn update(&self, endpoints: &[Arc<Endpoint>]) {
        let Some(balancer) = &self.balancer else { return };
        let set = endpoints.iter().map(|endpoint| {
            let seen = switchboard_balance::Endpoint {
                key: endpoint.key.clone(),
                address: endpoint.host.clone(),
                weight: endpoint.weight,
                zone: endpoint.zone.clone(),
                fitness: Fitness::Fit,
            };
            (seen, endpoint.clone())
        });
        balancer.update(set.collect(), self.now());
    }

    pub(crate) fn pick(&self, tried: &[Arc<InstanceKey>]) -> Result<Pick, NoPick> {
        let balancer = self.balancer.as_ref().ok_or(NoPick::Empty)?;
        let request = Request { tried, ..Request::default() };
        let pick = balancer.pick(&request, self.now(), &mut || fastrand::u64(..))?;
        Ok(Pick { pick, start: self.start })
    }

    /// Leave to try a request once more.
    pub(crate) fn retry(&self) -> Option<RetryPermit> {
        self.balancer.as_ref()?.retry()
    }

    pub(crate) fn report(&self) -> Vec<Report> {
        self.balancer.as_ref().map(|balancer| balancer.report(self.now())).unwrap_or_default()
    }
}

impl Pick {
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        self.pick.target()
    }

    /// The head of the answer is there.
    pub(crate) fn answered(&mut self) {
        self.pick.answered(Moment::after_start(self.start.elapsed()));
    }

    pub(crate) fn finish(self, outcome: Outcome) {
        self.endpoint().state.ended(outcome);
        self.pick.finish(outcome, Moment::after_start(self.start.elapsed()));
    }
}

/// The key of the configuration that a setting of the policy is made of.
pub(crate) fn key_of(setting: &str) -> &'static str {
    match setting {
        "retry.budget" => "retry.budget",
        "retry.max_attempts" => "retry.attempts",
        "max_in_flight_per_instance" => "upstream.requests",
        "ejection.max_share" => "balance.eject.max_share",
        "ejection.rules.success_rate" => "balance.eject.success_rate",
        "ejection.rest.base" => "balance.eject.rest",
        "circuit.rules.success_rate" => "balance.breaker.success_rate",
        "circuit.rest.base" => "balance.breaker.rest",
        "panic_threshold" => "balance.panic_threshold",
        _ => "balance",
    }
}

/// How long a moment is away; None: it is over.
pub(crate) fn until(moment: Moment, now: Moment) -> Option<Duration> {
    Some(moment.since(now)).filter(|left| !left.is_zero())
}

fn policy(config: &Config) -> Policy {
    let config::Balance { algorithm, ref zone, slow_start, panic_threshold, eject, breaker } = config.balance;
    let mut policy = Policy {
        algorithm: match algorithm {
            config::Algorithm::P2c => Algorithm::PowerOfTwo,
            config::Algorithm::LeastRequest => Algorithm::LeastRequest { choices: 2 },
            config::Algorithm::RoundRobin => Algorithm::RoundRobin,
            config::Algorithm::Weighted => Algorithm::WeightedRoundRobin,
            config::Algorithm::Random => Algorithm::Random,
        },
        zone: zone.as_deref().map(ZonePolicy::prefer),
        panic_threshold,
        max_in_flight_per_instance: Some(u32::try_from(config.upstream.requests).unwrap_or(u32::MAX)),
        retry: RetryPolicy {
            max_attempts: u32::try_from(config.retry.attempts).unwrap_or(u32::MAX),
            budget: config.retry.budget,
            min_concurrent: config.retry.budget_min,
        },
        ..Policy::default()
    };
    policy.slow_start =
        crate::route::limit(slow_start).map(|window| SlowStartPolicy { window, ..Default::default() });
    policy.ejection = eject.enabled.then(|| {
        let mut ejection = EjectionPolicy::default();
        ejection.rules.consecutive = eject.consecutive;
        ejection.rules.success_rate = eject.success_rate;
        ejection.rest.base = eject.rest.0;
        ejection.rest.longest = eject.longest_rest.0;
        ejection.max_share = eject.max_share;
        ejection
    });
    policy.circuit = breaker.enabled.then(|| {
        let mut circuit = CircuitPolicy::default();
        circuit.rules.success_rate = breaker.success_rate;
        circuit.rest.base = breaker.rest.0;
        circuit
    });
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_what_does_not_is_named() {
        Bench::new(&Config::default()).unwrap();
        let mut config = Config::default();
        config.balance.eject.max_share = 2.0;
        assert_eq!(config.check().unwrap_err().key, "gateway.balance.eject.max_share");
        let mut config = Config::default();
        config.upstream.requests = 0;
        assert_eq!(config.check().unwrap_err().key, "gateway.upstream.requests");
    }
}

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use switchboard_balance::{
    Balancer, Endpoint, Fitness, Ledger, Moment, NoPick, Outcome, Pick, Policy, Request,
};

/// A balancer with a clock and dice of its own.
pub(crate) struct World {
    pub(crate) balancer: Balancer<String>,
    pub(crate) now: Moment,
    pub(crate) random: fastrand::Rng,
}

/// Instances as `id`, `id*weight`, `id@zone`, with `-` in front for failing and `.` for away.
pub(crate) fn endpoints(text: &str) -> Vec<(Endpoint, String)> {
    let endpoint = |word: &str| {
        let (fitness, word) = match word.split_at_checked(1) {
            Some(("-", rest)) => (Fitness::Failing, rest),
            Some((".", rest)) => (Fitness::Away, rest),
            _ => (Fitness::Fit, word),
        };
        let (word, zone) = match word.split_once('@') {
            Some((word, zone)) => (word, Some(Arc::from(zone))),
            None => (word, None),
        };
        let (id, weight) = match word.split_once('*') {
            Some((id, weight)) => (id, weight.parse().unwrap()),
            None => (word, 1),
        };
        let endpoint = Endpoint { weight, zone, fitness, ..Endpoint::new("users", id).unwrap() };
        (endpoint, id.to_owned())
    };
    text.split_whitespace().map(endpoint).collect()
}

pub(crate) fn world(policy: Policy, text: &str) -> World {
    world_on(policy, text, &Arc::new(Ledger::new()))
}

pub(crate) fn world_on(policy: Policy, text: &str, ledger: &Arc<Ledger>) -> World {
    let balancer = Balancer::new(policy, ledger.clone()).unwrap();
    let now = Moment::after_start(Duration::from_secs(1000));
    balancer.update(endpoints(text), now);
    World { balancer, now, random: fastrand::Rng::with_seed(42) }
}

impl World {
    pub(crate) fn update(&mut self, text: &str) {
        self.balancer.update(endpoints(text), self.now);
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    pub(crate) fn try_pick(&mut self, request: &Request<'_>) -> Result<Pick<String>, NoPick> {
        let random = &mut self.random;
        self.balancer.pick(request, self.now, &mut || random.u64(..))
    }

    pub(crate) fn pick(&mut self) -> Pick<String> {
        self.try_pick(&Request::default()).unwrap()
    }

    /// One call that takes 10 ms and fails on the instances named.
    pub(crate) fn call(&mut self, failing: &[&str]) -> String {
        let pick = self.pick();
        let id = pick.target().clone();
        self.wait(Duration::from_millis(10));
        let fails = failing.contains(&&*id);
        pick.finish(if fails { Outcome::FAILURE } else { Outcome::Success }, self.now);
        id
    }

    /// How many of so many calls go where.
    pub(crate) fn shares(&mut self, calls: usize) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for _ in 0..calls {
            *shares.entry(self.call(&[])).or_default() += 1;
        }
        shares
    }
}

//! A service of ten instances with four workers each, 1,000 calls a second for a minute, one client: what each policy
//! makes of an instance that fails at once, one that is slow, and one that is slow for a while.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use switchboard_balance::{
    Algorithm, Balancer, EjectionPolicy, Endpoint, LatencyPolicy, Ledger, Moment, Outcome, Pick, Policy,
    Request,
};

const INSTANCES: usize = 10;
const WORKERS: usize = 4;
const SECONDS: u64 = 60;
const CALLS_PER_SECOND: f64 = 1000.0;
const MEAN_MS: f64 = 20.0;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Blackhole,
    Slow,
    Brownout,
}

#[derive(Debug, Default)]
struct Result {
    calls: usize,
    errors: usize,
    /// Calls that went to the instance in trouble.
    to_it: usize,
    /// Sorted.
    millis: Vec<f64>,
}

impl Result {
    fn error_percent(&self) -> f64 {
        self.errors as f64 * 100.0 / self.calls as f64
    }

    fn share_percent(&self) -> f64 {
        self.to_it as f64 * 100.0 / self.calls as f64
    }

    fn percentile(&self, percent: f64) -> f64 {
        self.millis[((self.millis.len() - 1) as f64 * percent / 100.0) as usize]
    }
}

struct Call {
    pick: Pick<usize>,
    begun: Moment,
}

#[derive(Default)]
struct Server {
    busy: usize,
    waiting: VecDeque<Call>,
}

struct Simulation {
    trouble: Trouble,
    random: fastrand::Rng,
    servers: Vec<Server>,
    /// The end of calls that are being worked on, and their number.
    ends: BinaryHeap<Reverse<(Moment, u64)>>,
    working: BTreeMap<u64, Call>,
    next: u64,
    result: Result,
}

impl Simulation {
    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.random.f64()).ln()
    }

    fn work(&mut self, call: Call, now: Moment) {
        let troubled = *call.pick.target() == 0;
        let mean = match self.trouble {
            Trouble::Slow if troubled => MEAN_MS * 10.0,
            Trouble::Brownout if troubled && (20..40).contains(&now.since(Moment::START).as_secs()) => 300.0,
            _ => MEAN_MS,
        };
        let took = if self.trouble == Trouble::Blackhole && troubled { 1.0 } else { self.exponential(mean) };
        self.ends.push(Reverse((now + Duration::from_secs_f64(took / 1000.0), self.next)));
        self.working.insert(self.next, call);
        self.next += 1;
    }

    fn arrive(&mut self, call: Call, now: Moment) {
        let server = *call.pick.target();
        if self.servers[server].busy < WORKERS {
            self.servers[server].busy += 1;
            self.work(call, now);
        } else {
            self.servers[server].waiting.push_back(call);
        }
    }

    fn end(&mut self, number: u64, now: Moment) {
        let call = self.working.remove(&number).unwrap();
        let server = *call.pick.target();
        let failed = self.trouble == Trouble::Blackhole && server == 0;
        self.result.calls += 1;
        self.result.errors += usize::from(failed);
        self.result.to_it += usize::from(server == 0);
        if !failed {
            self.result.millis.push(now.since(call.begun).as_secs_f64() * 1000.0);
        }
        call.pick.finish(if failed { Outcome::FAILURE } else { Outcome::Success }, now);
        match self.servers[server].waiting.pop_front() {
            Some(next) => self.work(next, now),
            None => self.servers[server].busy -= 1,
        }
    }
}

fn simulate(policy: &Policy, trouble: Trouble, seed: u64) -> Result {
    let balancer = Balancer::new(policy.clone(), Arc::new(Ledger::new())).unwrap();
    let set = (0..INSTANCES).map(|i| (Endpoint::new("users", &format!("i{i}")).unwrap(), i)).collect();
    balancer.update(set, Moment::START);
    let mut simulation = Simulation {
        trouble,
        random: fastrand::Rng::with_seed(seed),
        servers: std::iter::repeat_with(Server::default).take(INSTANCES).collect(),
        ends: BinaryHeap::new(),
        working: BTreeMap::new(),
        next: 0,
        result: Result::default(),
    };
    let last = Moment::after_start(Duration::from_secs(SECONDS));
    let mut arrival = Moment::START;
    loop {
        let gap = simulation.exponential(1.0 / CALLS_PER_SECOND);
        arrival = arrival + Duration::from_secs_f64(gap);
        while let Some(Reverse((end, number))) =
            simulation.ends.peek().copied().filter(|next| next.0.0 <= arrival)
        {
            simulation.ends.pop();
            simulation.end(number, end);
        }
        if arrival > last {
            break;
        }
        let mut random = simulation.random.fork();
        let pick = balancer.pick(&Request::default(), arrival, &mut || random.u64(..)).unwrap();
        simulation.arrive(Call { pick, begun: arrival }, arrival);
    }
    while let Some(Reverse((end, number))) = simulation.ends.pop() {
        simulation.end(number, end);
    }
    simulation.result.millis.sort_by(f64::total_cmp);
    simulation.result
}

/// Only what the row is about: no ejection unless it is in the row, and no slow start.
fn bare(algorithm: Algorithm) -> Policy {
    Policy { algorithm, ejection: None, slow_start: None, ..Policy::default() }
}

fn rows() -> Vec<(&'static str, Policy)> {
    let unpunished = LatencyPolicy { penalty: Duration::ZERO, ..LatencyPolicy::default() };
    let least = Algorithm::LeastRequest { choices: 2 };
    let ejecting = |policy: Policy| Policy { ejection: Some(EjectionPolicy::default()), ..policy };
    vec![
        ("round robin", bare(Algorithm::RoundRobin)),
        ("least request", bare(least)),
        ("p2c, no penalty", Policy { latency: unpunished, ..bare(Algorithm::PowerOfTwo) }),
        ("p2c", bare(Algorithm::PowerOfTwo)),
        ("round robin + ejection", ejecting(bare(Algorithm::RoundRobin))),
        ("least request + ejection", ejecting(bare(least))),
        ("p2c + ejection (default)", ejecting(bare(Algorithm::PowerOfTwo))),
    ]
}

#[test]
fn the_default_policy_wins_in_every_trouble() {
    println!("| policy | blackhole: errors | slow: share, p99.9 | brownout: p99, p99.9 |");
    println!("|---|---|---|---|");
    let mut results = BTreeMap::new();
    for (name, policy) in rows() {
        let seed = 11;
        let blackhole = simulate(&policy, Trouble::Blackhole, seed);
        let slow = simulate(&policy, Trouble::Slow, seed);
        let brownout = simulate(&policy, Trouble::Brownout, seed);
        println!(
            "| {name} | {:.2} % | {:.1} %, {:.0} ms | {:.0} ms, {:.0} ms |",
            blackhole.error_percent(),
            slow.share_percent(),
            slow.percentile(99.9),
            brownout.percentile(99.0),
            brownout.percentile(99.9),
        );
        results.insert(name, (blackhole, slow, brownout));
    }
    let row = |name: &str| &results[name];
    let errors = |name: &str| row(name).0.error_percent();
    // Failing fast looks good to whoever counts only time or calls on the way.
    assert!((9.0..11.0).contains(&errors("round robin")));
    assert!(errors("least request") > 1.5 * errors("round robin"));
    assert!(errors("p2c, no penalty") > 1.5 * errors("round robin"));
    assert!(errors("p2c") <= 0.1, "{}", errors("p2c"));
    for name in ["round robin + ejection", "least request + ejection", "p2c + ejection (default)"] {
        assert!(errors(name) <= 0.1, "{name}: {}", errors(name));
    }
    // Ejection does nothing about slowness; the estimate of time does.
    let slow = |name: &str| (row(name).1.share_percent(), row(name).1.percentile(99.9));
    assert!((9.0..11.0).contains(&slow("round robin + ejection").0));
    assert!(slow("round robin + ejection").1 > 20.0 * slow("p2c").1);
    assert!(slow("p2c + ejection (default)").0 < 1.0);
    assert!(slow("p2c + ejection (default)").1 <= 0.5 * slow("least request + ejection").1);
    let brownout = |name: &str| row(name).2.percentile(99.9);
    assert!(brownout("p2c + ejection (default)") < 0.6 * brownout("least request"));
    assert!(brownout("round robin") > 10.0 * brownout("least request"));
}

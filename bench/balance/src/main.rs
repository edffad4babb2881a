//! What a pick costs: each policy, and tower's power of two choices over the same number of instances that answer at once.
//!
//! A pick here is all that the balancer does for a call: picking, and hearing how the call ended. One thread, median of
//! several rounds that alternate between the rows, so that a noisy machine is noisy to all of them.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a command line tool talks to its user")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use switchboard_balance::{Algorithm, Balancer, Endpoint, Ledger, Moment, Outcome, Policy, Request};
use tower::Service;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PeakEwmaDiscover};

const ROUNDS: usize = 15;
const PICKS: u32 = 40_000;

fn main() {
    let sizes = [10, 100, 1000];
    println!(
        "| ns for a pick and its outcome, one thread | {} |",
        sizes.map(|size| format!("{size} instances")).join(" | ")
    );
    println!("|---|{}", "---|".repeat(sizes.len()));
    let mut columns: Vec<Vec<(String, f64)>> = Vec::new();
    for size in sizes {
        let mut rows: Vec<(String, Box<dyn FnMut() -> f64>)> =
            vec![("tower 0.5 p2c, PeakEwma".to_owned(), tower_p2c(size))];
        for (name, algorithm) in [
            ("p2c (default policy, with ejection)", Algorithm::PowerOfTwo),
            ("least request of two", Algorithm::LeastRequest { choices: 2 }),
            ("round robin", Algorithm::RoundRobin),
            ("weighted round robin", Algorithm::WeightedRoundRobin),
            ("random", Algorithm::Random),
            ("consistent hash, bounded loads", Algorithm::ConsistentHash { load_bound: 1.25 }),
        ] {
            rows.push((name.to_owned(), ours(size, algorithm)));
        }
        let mut samples = vec![Vec::new(); rows.len()];
        for _ in 0..ROUNDS {
            for ((_, run), samples) in rows.iter_mut().zip(&mut samples) {
                samples.push(run());
            }
        }
        let medians = samples.into_iter().map(|mut samples| {
            samples.sort_by(f64::total_cmp);
            samples.get(samples.len() / 2).copied().unwrap_or_default()
        });
        columns.push(rows.into_iter().map(|(name, _)| name).zip(medians).collect());
    }
    let names = columns.first().into_iter().flatten().map(|(name, _)| name);
    for (row, name) in names.enumerate() {
        let cells =
            columns.iter().filter_map(|column| column.get(row)).map(|(_, nanos)| format!("{nanos:.0}"));
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

fn timed(mut once: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..PICKS).for_each(|_| once());
    begun.elapsed().as_nanos() as f64 / f64::from(PICKS)
}

fn ours(size: usize, algorithm: Algorithm) -> Box<dyn FnMut() -> f64> {
    let policy = Policy { algorithm, ..Policy::default() };
    let balancer = Balancer::new(policy, Arc::new(Ledger::new())).expect("the policy is sound");
    let start = Instant::now();
    let now = move || Moment::after_start(start.elapsed());
    let set =
        (0..size).map(|i| (Endpoint::new("users", &format!("i{i}")).expect("a good name"), i)).collect();
    balancer.update(set, now());
    let mut random = fastrand::Rng::with_seed(1);
    Box::new(move || {
        timed(|| {
            // The clock is read as often as a client reads it: before and after the call.
            let request = Request { hash: Some(random.u64(..)), tried: &[] };
            let pick = balancer.pick(&request, now(), &mut || random.u64(..)).expect("an instance");
            black_box(pick.target());
            pick.finish(Outcome::Success, now());
        })
    })
}

#[derive(Clone, Debug)]
struct AtOnce(usize);

impl Service<()> for AtOnce {
    type Response = usize;
    type Error = Infallible;
    type Future = Ready<Result<usize, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(self.0))
    }
}

fn tower_p2c(size: usize) -> Box<dyn FnMut() -> f64> {
    let discover = ServiceList::new::<()>((0..size).map(AtOnce));
    let discover = PeakEwmaDiscover::new(
        discover,
        Duration::from_millis(30),
        Duration::from_secs(10),
        CompleteOnResponse::default(),
    );
    let mut balance = Balance::new(discover);
    Box::new(move || {
        let mut context = Context::from_waker(Waker::noop());
        timed(|| {
            let ready = balance.poll_ready(&mut context).is_ready();
            black_box(ready);
            let mut call = std::pin::pin!(balance.call(()));
            black_box(call.as_mut().poll(&mut context).is_ready());
        })
    })
}

use proptest::prelude::*;
use switchboard_balance::{
    Algorithm, EjectionPolicy, NoPick, Outcome, Phase, Policy, Request, RetryPolicy, ramp,
};

use crate::algorithms::ALL;
use crate::support::world;

/// Instances of a random service: a sign for fitness and a weight each.
fn service() -> impl Strategy<Value = String> {
    let word = ("[a-z]{1,2}", prop::sample::select(vec!["", "", "", "-", "."]), 0_u32..4, 0_usize..3);
    prop::collection::vec(word, 0..12).prop_map(|words| {
        let word =
            |(id, sign, weight, zone): &(String, &str, u32, usize)| format!("{sign}{id}*{weight}@z{zone}");
        words.iter().map(word).collect::<Vec<_>>().join(" ")
    })
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(ALL.to_vec())
}

proptest! {
    /// Whatever the service, the outcomes and the order in which calls end.
    #[test]
    fn nobody_is_picked_who_must_not_be_and_nothing_is_left_over(
        algorithm in algorithm(), first in service(), second in service(), seed in 0_u64..1000, steps in 1_usize..150,
    ) {
        let mut world = world(Policy { algorithm, ..Policy::default() }, &first);
        world.random = fastrand::Rng::with_seed(seed);
        let mut open = Vec::new();
        for step in 0..steps {
            if step == steps / 2 {
                world.update(&second);
            }
            match world.try_pick(&Request { hash: Some(step as u64), tried: &[] }) {
                Ok(pick) => {
                    prop_assert!(pick.endpoint().weight > 0);
                    prop_assert!(pick.endpoint().fitness != switchboard_balance::Fitness::Away);
                    open.push(pick);
                }
                Err(error) => prop_assert!(matches!(error, NoPick::Empty | NoPick::NoneServing { .. }), "{error}"),
            }
            world.wait(std::time::Duration::from_millis(7));
            if open.len() > 5 {
                let pick = open.swap_remove(world.random.usize(..open.len()));
                match world.random.u8(..4) {
                    0 => drop(pick),
                    1 => pick.finish(Outcome::Success, world.now),
                    2 => pick.finish(Outcome::Limited { hint: None }, world.now),
                    _ => pick.finish(Outcome::FAILURE, world.now),
                }
            }
            let report = world.balancer.report(world.now);
            let fit = |it: &&switchboard_balance::Report| {
                it.endpoint.fitness == switchboard_balance::Fitness::Fit && it.endpoint.weight > 0
            };
            let out = report.iter().filter(fit).filter(|it| it.phase != Phase::Closed).count();
            if step < steps / 2 {
                prop_assert!(out <= (report.iter().filter(fit).count() / 2).max(1), "{out} are ejected");
            }
        }
        drop(open);
        prop_assert_eq!(world.balancer.in_flight(), 0);
        prop_assert!(world.balancer.report(world.now).iter().all(|it| it.in_flight == 0));
    }

    /// One call at a time, all of which succeed: everybody gets what is due by weight.
    #[test]
    fn an_idle_service_shares_by_weight(
        algorithm in algorithm(), weights in prop::collection::vec(1_u32..6, 2..8), seed in 0_u64..1000,
    ) {
        let algorithm = match algorithm {
            // With a bound calls spill over, which is another property.
            Algorithm::ConsistentHash { .. } => Algorithm::ConsistentHash { load_bound: 0.0 },
            other => other,
        };
        let text: Vec<String> = weights.iter().enumerate().map(|(i, weight)| format!("i{i}*{weight}")).collect();
        let mut world = world(Policy { algorithm, slow_start: None, ..Policy::default() }, &text.join(" "));
        world.random = fastrand::Rng::with_seed(seed);
        let calls = 4000.0;
        let shares = world.shares(4000);
        let total: u32 = weights.iter().sum();
        for (i, weight) in weights.iter().enumerate() {
            let got = shares.get(&format!("i{i}")).copied().unwrap_or_default() as f64;
            let by_weight = calls * f64::from(*weight) / f64::from(total);
            let due = if algorithm == Algorithm::RoundRobin { calls / weights.len() as f64 } else { by_weight };
            let chance = 6.0 * (due * (1.0 - due / calls)).sqrt();
            let off = match algorithm {
                Algorithm::RoundRobin => 1.0,
                Algorithm::WeightedRoundRobin => weights.len() as f64,
                Algorithm::Random | Algorithm::ConsistentHash { .. } => chance,
                // Of two that are drawn the better wins, and no two estimates are ever quite alike.
                Algorithm::LeastRequest { .. } | Algorithm::PowerOfTwo => chance + due * 0.4,
            };
            prop_assert!((got - due).abs() <= off, "{algorithm:?}: {weights:?}: i{i} has {got}, due are {due:.0} ± {off:.0}");
        }
    }

    /// Whoever is left out takes nothing but the one call that finds out whether it works again, unless so many are out
    /// that all are used.
    #[test]
    fn an_ejected_instance_is_not_picked_unless_so_many_are_out_that_all_are_used(
        algorithm in algorithm(), instances in 2_usize..9, failing in prop::collection::btree_set(0_usize..9, 0..9),
        max_share in 0.0..1.0_f64, panic_threshold in 0.0..1.0_f64, seed in 0_u64..1000,
    ) {
        let ejection = EjectionPolicy { max_share, ..EjectionPolicy::default() };
        let policy =
            Policy { algorithm, ejection: Some(ejection), panic_threshold, slow_start: None, ..Policy::default() };
        let text: Vec<String> = (0..instances).map(|i| format!("i{i}")).collect();
        let mut world = world(policy, &text.join(" "));
        world.random = fastrand::Rng::with_seed(seed);
        for _ in 0..600 {
            let report = world.balancer.report(world.now);
            let well = report.iter().filter(|it| it.phase == Phase::Closed).count();
            let panics = well == 0 || (well as f64) < instances as f64 * panic_threshold;
            let phase = |key: &switchboard_balance::Endpoint| {
                report.iter().find(|it| it.endpoint.key == key.key).map(|it| it.phase)
            };
            let pick = world.pick();
            match phase(pick.endpoint()) {
                Some(Phase::Closed) => {}
                Some(Phase::Open { until }) if pick.is_probe() => {
                    prop_assert!(until <= world.now, "it was tried again before its rest was over");
                }
                other => prop_assert!(panics, "{:?} was picked: {other:?}, {well} of {instances} are well", pick.key()),
            }
            let fails = failing.iter().any(|i| *pick.target() == format!("i{i}"));
            let outcome = if fails { Outcome::FAILURE } else { Outcome::Success };
            pick.finish(outcome, world.now);
            world.wait(std::time::Duration::from_millis(200));
        }
        let overdue = std::time::Duration::from_secs(5);
        for it in world.balancer.report(world.now) {
            let waits = matches!(it.phase, Phase::Open { until } if until + overdue < world.now);
            prop_assert!(!waits, "{} is out for longer than its rest", it.endpoint.key);
        }
    }

    /// At any moment no more retries are under way than the share of the calls, or the few that always may.
    #[test]
    fn retries_stay_within_their_budget_whatever_begins_and_ends(
        budget in 0.0..1.0_f64, min_concurrent in 0_u32..4, steps in prop::collection::vec(0_u8..4, 1..300),
    ) {
        let retry = RetryPolicy { budget, min_concurrent, ..RetryPolicy::default() };
        let mut world = world(Policy { retry, ..Policy::default() }, "a b c");
        let (mut calls, mut permits) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                0 => calls.push(world.pick()),
                1 => drop(calls.pop()),
                2 => drop(permits.pop()),
                _ => {
                    let most = ((calls.len() as f64 * budget) as usize).max(min_concurrent as usize);
                    let permit = world.balancer.retry();
                    prop_assert_eq!(permit.is_some(), permits.len() < most);
                    permits.extend(permit);
                }
            }
        }
    }

    /// The share of whoever joins never falls while it grows older, and is all of it in the end.
    #[test]
    fn a_slow_start_only_goes_up(window in 1_u64..600, aggression in 0.1..5.0_f64, ages in prop::collection::vec(0_u64..700, 2..40)) {
        let (window, mut ages) = (std::time::Duration::from_secs(window), ages);
        ages.sort_unstable();
        let shares: Vec<f64> =
            ages.iter().map(|age| ramp(std::time::Duration::from_secs(*age), window, aggression)).collect();
        prop_assert!(shares.is_sorted(), "{shares:?}");
        prop_assert!(shares.iter().all(|share| (0.1..=1.0).contains(share)), "{shares:?}");
        prop_assert_eq!(ramp(window, window, aggression), 1.0);
    }

    #[test]
    fn with_anyone_fit_there_is_always_a_pick(algorithm in algorithm(), service in service()) {
        let mut world = world(Policy { algorithm, panic_threshold: 0.0, ..Policy::default() }, &format!("{service} fit"));
        for _ in 0..30 {
            let pick = world.pick();
            prop_assert_eq!(pick.endpoint().fitness, switchboard_balance::Fitness::Fit);
            pick.finish(Outcome::FAILURE, world.now);
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    use switchboard_balance::SubsetPolicy;
    let ejection = EjectionPolicy { max_share: 10.0, ..EjectionPolicy::default() };
    let nonsense = [
        ("panic_threshold", Policy { panic_threshold: 50.0, ..Policy::default() }),
        ("ejection.max_share", Policy { ejection: Some(ejection), ..Policy::default() }),
        ("subset.size", Policy { subset: Some(SubsetPolicy { size: 0, seed: 1 }), ..Policy::default() }),
        (
            "retry.max_attempts",
            Policy { retry: RetryPolicy { max_attempts: 0, ..RetryPolicy::default() }, ..Policy::default() },
        ),
        (
            "algorithm.choices",
            Policy { algorithm: Algorithm::LeastRequest { choices: 1 }, ..Policy::default() },
        ),
        (
            "algorithm.load_bound",
            Policy { algorithm: Algorithm::ConsistentHash { load_bound: 0.5 }, ..Policy::default() },
        ),
        ("max_in_flight", Policy { max_in_flight: Some(0), ..Policy::default() }),
    ];
    for (setting, policy) in nonsense {
        assert_eq!(policy.check().unwrap_err().setting, setting);
    }
}

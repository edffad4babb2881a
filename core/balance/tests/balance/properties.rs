use proptest::prelude::*;
use switchboard_balance::{Algorithm, NoPick, Outcome, Phase, Policy, Request};

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

    #[test]
    fn with_anyone_fit_there_is_always_a_pick(algorithm in algorithm(), service in service()) {
        let mut world = world(Policy { algorithm, panic_threshold: 0.0, ..Policy::default() }, &format!("{service} zz"));
        for _ in 0..30 {
            let pick = world.pick();
            prop_assert_eq!(pick.endpoint().fitness, switchboard_balance::Fitness::Fit);
            pick.finish(Outcome::FAILURE, world.now);
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    use switchboard_balance::{EjectionPolicy, RetryPolicy, SubsetPolicy};
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

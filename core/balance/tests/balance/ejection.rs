use std::sync::Arc;
use std::time::Duration;

use switchboard_balance::{
    Algorithm, CircuitPolicy, EjectionPolicy, Ledger, NoPick, Outcome, Phase, Policy, Request, Rest,
    TripRules,
};

use crate::support::{World, world, world_on};

fn policy() -> Policy {
    let rest = Rest { jitter: 0.0, ..Rest::default() };
    let ejection = EjectionPolicy { rest, ..EjectionPolicy::default() };
    Policy {
        algorithm: Algorithm::RoundRobin,
        ejection: Some(ejection),
        slow_start: None,
        ..Policy::default()
    }
}

fn ejected(world: &World) -> Vec<String> {
    let report = world.balancer.report(world.now);
    report.iter().filter(|it| it.phase != Phase::Closed).map(|it| it.endpoint.key.id.to_string()).collect()
}

#[test]
fn five_failures_in_a_row_eject_and_a_good_probe_brings_back() {
    let mut world = world(policy(), "bad b c d");
    (0..19).for_each(|_| {
        world.call(&["bad"]);
    });
    while ejected(&world).is_empty() {
        world.call(&["bad"]);
    }
    let shares = world.shares(300);
    assert!(!shares.contains_key("bad"), "{shares:?}");
    world.wait(Duration::from_secs(30));
    assert_eq!(world.shares(1)["bad"], 1, "the first call after the rest is the probe");
    assert_eq!(world.shares(400)["bad"], 100);
}

#[test]
fn a_failed_probe_makes_the_rest_longer_and_is_a_single_call() {
    let mut world = world(policy(), "bad b c d");
    while ejected(&world).is_empty() {
        world.call(&["bad"]);
    }
    world.wait(Duration::from_secs(30));
    let probe = world.pick();
    assert!(probe.is_probe());
    for _ in 0..50 {
        assert_ne!(world.pick().target(), "bad", "a second call was let through");
    }
    probe.finish(Outcome::FAILURE, world.now);
    world.wait(Duration::from_secs(59));
    assert!(!world.shares(100).contains_key("bad"));
    world.wait(Duration::from_secs(1));
    assert!(world.pick().is_probe());
}

#[test]
fn a_probe_that_was_given_up_is_taken_over_by_the_next_call() {
    let mut world = world(policy(), "bad b c");
    while ejected(&world).is_empty() {
        world.call(&["bad"]);
    }
    world.wait(Duration::from_secs(31));
    drop(world.pick());
    let next = world.pick();
    assert!(next.is_probe());
    assert_eq!(next.target(), "bad");
}

/// Envoy's defaults (10 %, and nothing below one whole host) never eject from a pool of fewer than ten: envoy #3263,
/// #26877, istio #20135.
#[test]
fn a_small_pool_ejects_too_and_the_last_one_never() {
    for (ids, failing, out) in [
        ("a", vec!["a"], 0),
        ("a b", vec!["a"], 1),
        ("a b", vec!["a", "b"], 1),
        ("a b c", vec!["a", "b", "c"], 1),
        ("a b c d", vec!["a", "b", "c", "d"], 2),
        ("a b c d e f g h i j", vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], 5),
    ] {
        let mut world = world(policy(), ids);
        for _ in 0..400 {
            world.call(&failing);
        }
        assert_eq!(ejected(&world).len(), out, "{ids}, failing {failing:?}");
    }
}

#[test]
fn a_low_success_rate_ejects_without_failures_in_a_row() {
    let mut world = world(policy(), "bad b c");
    let mut calls = 0;
    for _ in 0..300 {
        let pick = world.pick();
        let is_bad = pick.target() == "bad";
        calls += usize::from(is_bad);
        world.wait(Duration::from_millis(10));
        let fails = is_bad && calls % 3 != 0;
        pick.finish(if fails { Outcome::FAILURE } else { Outcome::Success }, world.now);
    }
    assert_eq!(ejected(&world), ["bad"]);
}

#[test]
fn being_limited_is_not_being_dead() {
    let mut world = world(policy(), "busy b c");
    for _ in 0..300 {
        let pick = world.pick();
        let outcome =
            if pick.target() == "busy" { Outcome::Limited { hint: None } } else { Outcome::Success };
        pick.finish(outcome, world.now);
    }
    assert!(ejected(&world).is_empty());
}

/// Envoy and others keep this per route: five failures become five times the routes.
#[test]
fn what_one_route_learns_every_route_knows() {
    let ledger = Arc::new(Ledger::new());
    let mut first = world_on(policy(), "bad b c d", &ledger);
    let mut second = world_on(Policy { algorithm: Algorithm::PowerOfTwo, ..policy() }, "bad b c d", &ledger);
    second.shares(100);
    while ejected(&first).is_empty() {
        first.call(&["bad"]);
    }
    second.now = first.now;
    assert!(!second.shares(200).contains_key("bad"));
    second.wait(Duration::from_secs(30));
    assert_eq!(second.call(&[]), "bad");
    first.now = second.now;
    assert!(first.shares(100).contains_key("bad"), "it came back for one route only");
}

#[test]
fn an_instance_that_moved_is_another_one_and_one_that_stays_keeps_its_record() {
    let ledger = Arc::new(Ledger::new());
    let mut world = world_on(policy(), "bad b c", &ledger);
    while ejected(&world).is_empty() {
        world.call(&["bad"]);
    }
    world.update("bad*5 b c e");
    assert_eq!(ejected(&world), ["bad"], "a change of weight made it forgotten");
    let mut moved = crate::support::endpoints("bad b c e");
    moved[0].0.address = Arc::from("10.0.0.9:80");
    world.balancer.update(moved, world.now);
    assert!(ejected(&world).is_empty());
    world.update("");
    assert!(ledger.is_empty(), "instances that are gone are remembered for ever");
}

#[test]
fn if_only_ejected_ones_are_left_they_are_used() {
    let calm = Policy { panic_threshold: 0.0, ..policy() };
    let mut world = world(calm, "bad b");
    while ejected(&world).is_empty() {
        world.call(&["bad"]);
    }
    world.update("bad");
    assert_eq!(world.call(&[]), "bad");
}

#[test]
fn an_answer_from_before_the_ejection_changes_nothing() {
    let mut world = world(policy(), "bad b c");
    let early: Vec<_> = (0..9).map(|_| world.pick()).collect();
    while ejected(&world).is_empty() {
        world.call(&["bad"]);
    }
    for pick in early {
        pick.finish(Outcome::Success, world.now);
    }
    assert_eq!(ejected(&world), ["bad"]);
}

#[test]
fn the_circuit_refuses_calls_to_a_service_that_is_down_and_closes_after_one_that_works() {
    let rules =
        TripRules { consecutive: 10, success_rate: 0.0, min_calls: 0, window: Duration::from_secs(10) };
    let rest = Rest { base: Duration::from_secs(1), longest: Duration::from_secs(30), jitter: 0.0 };
    let mut world = world(Policy { circuit: Some(CircuitPolicy { rules, rest }), ..policy() }, "a b");
    for _ in 0..10 {
        world.call(&["a", "b"]);
    }
    let refused = world.try_pick(&Request::default()).unwrap_err();
    assert_eq!(refused, NoPick::CircuitOpen { retry_after: Duration::from_secs(1) });
    world.wait(Duration::from_secs(1));
    drop(world.pick());
    let trial = world.pick();
    assert!(matches!(world.try_pick(&Request::default()), Err(NoPick::CircuitOpen { .. })));
    trial.finish(Outcome::Success, world.now);
    world.shares(10);
}

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::follow::Follower;
use crate::heart::{Heart, TTL, register};
use crate::process::Place;
use crate::rounds::rounds;

/// Fewer than the brake looks at, so that every loss is believed.
const LIVING: usize = 5;

#[test]
fn a_registry_that_was_frozen_blames_nobody_and_still_finds_the_dead() {
    let mut proven = 0;
    let (wanted, mut tries) = (rounds(1, 30), 0);
    while proven < wanted {
        tries += 1;
        assert!(tries <= wanted + 3, "this machine has too little time for heartbeats");
        proven += usize::from(freeze());
    }
}

/// Whether the heartbeats came as they must; if they did not, nothing was proven.
fn freeze() -> bool {
    let place = Place::new();
    let server = place.start();
    let follower = Follower::start(&server.address, 0);
    let hearts: Vec<Heart> =
        (0..LIVING).map(|at| Heart::start(&server.address, &format!("living-{at}"))).collect();
    let began = Instant::now();
    std::thread::sleep(Duration::from_millis(500));
    // It had most of its time to live left when the registry froze, and never speaks again.
    register(&mut server.client(), "dead");
    server.process.signal(Signal::STOP);
    let froze = Instant::now();
    std::thread::sleep(TTL * 5 / 2);
    server.process.signal(Signal::CONT);
    let thawed = Instant::now();

    follower.wait_for("the dead one lapsed", |change| change["id"] == "dead" && is_out(change));
    // And whoever would be blamed for the pause had time to lapse, too.
    let rest = (TTL * 2).saturating_sub(thawed.elapsed());
    std::thread::sleep(rest);
    let beating = Heart::end_all(hearts, &[(began, froze), (thawed, Instant::now())]);
    let told = follower.end();
    let blamed: Vec<&Value> = told.iter().filter(|change| change["id"] != "dead" && is_out(change)).collect();
    if beating {
        assert!(blamed.is_empty(), "{blamed:#?}");
    }
    beating
}

pub(crate) fn is_out(change: &Value) -> bool {
    !matches!(change["to"].as_str(), Some("passing"))
}

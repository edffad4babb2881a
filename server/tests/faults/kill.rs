use std::time::Duration;

use crate::follow::Follower;
use crate::load::Load;
use crate::process::Place;
use crate::rounds::{choices, rounds};
use crate::truth::Truth;

#[test]
fn no_acknowledged_write_is_lost_by_kill_nine() {
    let mut choices = choices("kill");
    let place = Place::new();
    let mut truth = Truth::default();
    let mut server = place.start();
    let (mut acknowledged, mut unanswered) = (0, 0);
    let rounds = rounds(20, 1);
    for _ in 0..rounds {
        let load = Load::start(&server.address, &truth.states, &mut choices);
        let follower = Follower::start(&server.address, truth.revision);
        std::thread::sleep(Duration::from_millis(choices.u64(1..250)));
        server.process.kill_nine();
        let written = load.end();
        let live = follower.end();
        if choices.u8(..3) == 0 {
            // Once more, while it is about to recover from the first time.
            let mut starting = place.spawn();
            std::thread::sleep(Duration::from_millis(choices.u64(..100)));
            starting.kill_nine();
        }
        server = place.start();
        truth.settle(&server, &written, &live, &mut choices);
        let answered = written.writes.iter().filter(|write| write.acknowledged.is_some()).count();
        acknowledged += answered;
        unanswered += written.writes.len() - answered;
    }
    eprintln!(
        "kill: {rounds} rounds, {acknowledged} writes acknowledged, {unanswered} without an answer, revision {}",
        truth.revision
    );
    // Were there nothing to lose, nothing would have been proven.
    assert!(acknowledged > rounds && unanswered > 0, "{acknowledged} {unanswered}");
}

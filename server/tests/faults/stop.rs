use std::time::Duration;

use rustix::process::Signal;

use crate::follow::Follower;
use crate::load::Load;
use crate::process::Place;
use crate::rounds::{choices, rounds};
use crate::truth::Truth;

#[test]
fn sigterm_under_load_ends_well_and_loses_nothing() {
    let mut choices = choices("stop");
    let place = Place::new();
    let mut truth = Truth::default();
    for _ in 0..rounds(4, 10) {
        let mut server = place.start();
        let load = Load::start(&server.address, &truth.states, &mut choices);
        let follower = Follower::start(&server.address, truth.revision);
        std::thread::sleep(Duration::from_millis(choices.u64(1..300)));
        server.process.signal(Signal::TERM);
        let status = server.process.wait();
        assert!(status.success(), "{status}: {}", place.log());
        let (written, live) = (load.end(), follower.end());
        let server = place.start();
        truth.settle(&server, &written, &live, &mut choices);
        server.stop();
    }
}

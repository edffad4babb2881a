use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::follow::Follower;
use crate::heart::{Heart, TTL, register};
use crate::pause::is_out;
use crate::process::Place;
use crate::rounds::{not_run, rounds};

const FOLDERS: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib/faketime",
    "/usr/lib64/faketime",
    "/usr/local/lib/faketime",
];

#[test]
fn a_jump_of_the_wall_clock_takes_nobody_out_and_the_watch_goes_on() {
    let Some(library) = library() else {
        let name = "clock::a_jump_of_the_wall_clock_takes_nobody_out_and_the_watch_goes_on";
        return not_run(name, "libfaketime is not installed");
    };
    let mut proven = 0;
    let (wanted, mut tries) = (rounds(1, 30), 0);
    while proven < wanted {
        tries += 1;
        assert!(tries <= wanted + 3, "this machine has too little time for heartbeats");
        proven += usize::from(jump(&library));
    }
}

fn library() -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join("libfaketimeMT.so.1")).find(|path| path.exists())
}

/// Whether the heartbeats came as they must; if they did not, nothing was proven.
fn jump(library: &Path) -> bool {
    let mut place = Place::new();
    let offset = place.path().join("offset");
    std::fs::write(&offset, "+0\n").unwrap();
    place.set("LD_PRELOAD", library.to_str().unwrap());
    place.set("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap());
    place.set("FAKETIME_NO_CACHE", "1");
    // Only what people set jumps; what the kernel counts does not.
    place.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let server = place.start();
    let mut client = server.client();
    let follower = Follower::start(&server.address, 0);
    let began = Instant::now();
    let hearts: Vec<Heart> =
        (0..4).map(|at| Heart::start(&server.address, &format!("living-{at}"))).collect();
    // Ten years would be the end of it, were they counted.
    let patient = json!({ "service": "living", "host": "127.0.0.1", "id": "patient", "ttl": 3600 });
    client.post("/v1/register", &patient);
    register(&mut client, "witness");
    let today = year(&follower.wait_for("there is a witness", |change| change["id"] == "witness"));

    for (jump, years) in [("+10y\n", 10), ("-10y\n", -10)] {
        std::fs::write(&offset, jump).unwrap();
        let id = format!("dead{years}");
        let revision = register(&mut client, &id);
        let born = follower.wait_for("it was born after the jump", |change| change["revision"] == revision);
        // Else the library does nothing, and nothing is proven.
        assert!((year(&born) - today - years).abs() <= 1, "the clock did not jump: {born}");
        follower.wait_for("the dead one lapsed", |change| change["id"] == id.as_str() && is_out(change));
        std::thread::sleep(TTL / 4);
    }
    let beating = Heart::end_all(hearts, &[(began, Instant::now())]);
    let told = follower.end();
    let revisions: Vec<u64> = told.iter().map(|change| change["revision"].as_u64().unwrap()).collect();
    assert!(revisions.is_sorted(), "{revisions:?}");
    let dead = |change: &Value| matches!(change["id"].as_str(), Some("dead10" | "dead-10" | "witness"));
    let blamed: Vec<&Value> = told.iter().filter(|change| !dead(change) && is_out(change)).collect();
    if beating {
        assert!(blamed.is_empty(), "{blamed:#?}");
    }
    beating
}

fn year(change: &Value) -> i64 {
    change["at"].as_str().unwrap()[..4].parse().unwrap()
}

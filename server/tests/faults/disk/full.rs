use std::time::{Duration, Instant};

use super::small::Small;
use crate::follow::Follower;
use crate::heart::{Heart, TTL};
use crate::http::{Answer, Client};
use crate::pause::is_out;
use crate::process::{PATIENCE, Place};
use crate::rounds::not_run;

const BALLAST_BYTES: usize = 4 << 20;

#[test]
fn a_full_disk_refuses_writes_and_takes_them_again_when_there_is_room() {
    let place = Place::new();
    let _disk = match Small::mount(&place.data(), 12) {
        Ok(disk) => disk,
        Err(why) => {
            let name = "disk::full::a_full_disk_refuses_writes_and_takes_them_again_when_there_is_room";
            return not_run(name, &format!("a small filesystem cannot be mounted: {why}"));
        }
    };
    let ballast = place.data().join("ballast");
    std::fs::write(&ballast, vec![1; BALLAST_BYTES]).unwrap();
    let server = place.start();
    let mut client = server.client();
    let follower = Follower::start(&server.address, 0);
    let began = Instant::now();
    let heart = Heart::start(&server.address, "living");

    let mut kept = Vec::new();
    let refused = loop {
        assert!(kept.len() < 1000, "the disk never filled");
        let answer = put(&mut client, kept.len());
        match answer.status {
            200 => kept.push(answer.json()["revision"].as_u64().unwrap()),
            _ => break answer.expect(503),
        }
    };
    assert!(refused.text().contains("no space left"), "{}", refused.text());
    assert!(refused.json()["message"].as_str().unwrap().contains("Free some space"), "{}", refused.text());

    // For longer than anyone may be silent. What failed gave back some room, so that a little may still fit in.
    let filled = Instant::now();
    let mut last = refused.status;
    while filled.elapsed() < TTL * 3 / 2 || last == 200 {
        let answer = put(&mut client, kept.len());
        last = answer.status;
        match last {
            200 => kept.push(answer.json()["revision"].as_u64().unwrap()),
            _ => drop(answer.expect(503)),
        }
        hold(&mut client, kept.len());
        let services = client.get("/v1/services/living").json();
        assert_eq!(services["instances"].as_array().unwrap().len(), 1, "{services}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let highest = *kept.last().unwrap();

    std::fs::remove_file(&ballast).unwrap();
    let freed = Instant::now();
    let revision = loop {
        assert!(freed.elapsed() < PATIENCE, "writes never went on: {}", place.log());
        let answer = put(&mut client, kept.len());
        match answer.status {
            200 => break answer.json()["revision"].as_u64().unwrap(),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    assert!(revision > highest, "{revision} after {highest}");
    kept.push(revision);
    client.get("/readyz");
    let beating = heart.end(&[(began, Instant::now())]);
    let told = follower.end();
    assert!(!beating || !told.iter().any(is_out), "{told:#?}");

    server.stop();
    let server = place.start();
    let mut client = server.client();
    hold(&mut client, kept.len());
    assert!(client.get("/v1/status").json()["revision"].as_u64().unwrap() >= revision);
    server.stop();
}

fn put(client: &mut Client, at: usize) -> Answer {
    client.ask("PUT", &format!("/v1/entries/entry-{at}"), &value(at)).unwrap()
}

/// Everything that was acknowledged is there.
fn hold(client: &mut Client, entries: usize) {
    for at in 0..entries {
        assert!(
            client.get(&format!("/v1/entries/entry-{at}")).body == value(at),
            "entry {at} is another one"
        );
    }
}

fn value(at: usize) -> Vec<u8> {
    vec![at as u8; 64 << 10]
}

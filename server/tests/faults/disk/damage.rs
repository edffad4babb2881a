use std::ops::Range;

use serde_json::json;

use crate::http::Client;
use crate::process::Place;
use crate::rounds::{choices, rounds};

const INSTANCES: usize = 40;

/// Opening a file writes what the database notes about itself. It must not write over what could still be rescued.
#[test]
fn a_file_with_another_byte_in_a_record_is_refused_and_can_still_be_mended() {
    let mut choices = choices("disk::damage, record");
    for _ in 0..rounds(2, 10) {
        let (place, mut bytes) = store();
        let flipped = 1 << choices.u8(..8);
        let places = all(&bytes, name(choices.usize(..INSTANCES)).as_bytes());
        places.iter().for_each(|found| bytes[found.start] ^= flipped);
        std::fs::write(place.database(), &bytes).unwrap();
        for _ in 0..2 {
            let status = place.spawn().wait();
            says_what_is_wrong(&place, status.code());
        }
        let mut left = std::fs::read(place.database()).unwrap();
        let untouched = places.iter().filter(|found| left[(*found).clone()] == bytes[(*found).clone()]);
        untouched.cloned().collect::<Vec<_>>().iter().for_each(|found| left[found.start] ^= flipped);
        std::fs::write(place.database(), left).unwrap();
        tells_everything(&mut place.start().client());
    }
}

#[test]
fn a_file_that_lost_its_end_is_refused_and_left_alone() {
    let mut choices = choices("disk::damage, end");
    for _ in 0..rounds(3, 10) {
        let (place, mut bytes) = store();
        let last = all(&bytes, b"unmistakable-").last().unwrap().start;
        bytes.truncate(choices.usize(1..last));
        refused(&place, &bytes);
    }
}

/// A byte that nothing rests on may change. Any other must not change what is told.
#[test]
fn a_file_with_another_byte_anywhere_is_refused_or_tells_everything() {
    let mut choices = choices("disk::damage, anywhere");
    let (place, whole) = store();
    for _ in 0..rounds(15, 1) {
        let at = choices.usize(..whole.len());
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << choices.u8(..8);
        std::fs::write(place.database(), &bytes).unwrap();
        let mut process = place.spawn();
        while process.is_running() && !place.path().join("ports").exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        if process.is_running() {
            process.kill_nine();
            std::fs::write(place.database(), &bytes).unwrap();
            let server = place.start();
            tells_everything(&mut server.client());
        } else {
            says_what_is_wrong(&place, process.wait().code());
        }
    }
}

/// A folder in which a registry ran, and its file.
fn store() -> (Place, Vec<u8>) {
    let place = Place::new();
    let server = place.start();
    let mut client = server.client();
    for at in 0..INSTANCES {
        let metadata = json!({ "name": name(at) });
        let body =
            json!({ "service": "kept", "host": "127.0.0.1", "id": format!("{at}"), "metadata": metadata });
        client.post("/v1/register", &body);
    }
    server.stop();
    let bytes = std::fs::read(place.database()).unwrap();
    (place, bytes)
}

fn name(at: usize) -> String {
    format!("unmistakable-{at:03}-")
}

fn all(bytes: &[u8], wanted: &[u8]) -> Vec<Range<usize>> {
    let windows = bytes.windows(wanted.len()).enumerate();
    windows.filter(|(_, window)| *window == wanted).map(|(at, _)| at..at + wanted.len()).collect()
}

fn refused(place: &Place, bytes: &[u8]) {
    std::fs::write(place.database(), bytes).unwrap();
    let status = place.spawn().wait();
    says_what_is_wrong(place, status.code());
    let left = std::fs::read(place.database()).unwrap();
    let differs = left.iter().zip(bytes).position(|(left, was)| left != was);
    assert_eq!((left.len(), differs), (bytes.len(), None), "the file was touched");
}

fn says_what_is_wrong(place: &Place, code: Option<i32>) {
    let log = place.log();
    assert_eq!(code, Some(1), "{log}");
    for words in ["switchboard.redb is damaged", "restore it from a backup", "switchboard doctor"] {
        assert!(log.contains(words), "no {words:?} in {log}");
    }
}

fn tells_everything(client: &mut Client) {
    let found = client.get("/v1/services/kept?limit=10000").json();
    let found = found["instances"].as_array().unwrap();
    assert_eq!(found.len(), INSTANCES);
    for instance in found {
        let at = instance["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(instance["metadata"]["name"], name(at), "{instance}");
    }
}

//! Any bytes whatsoever, to everything that reads them. `CONTRIBUTING.md` says how to let these run for a night; what was
//! found is kept in `__fuzz__` and tried again in every run of the tests.

use std::time::Duration;

use bolero::check;
use serde::de::DeserializeOwned;
use switchboard_model::{Id, Name, NodeKey, Owner};

use crate::ask::decode;
use crate::{lens, wire};

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    decode(bytes).ok()
}

#[test]
fn registration() {
    check!().for_each(|bytes: &[u8]| {
        if let Some(body) = read::<wire::RegisterBody>(bytes) {
            let _ = lens::register_from_wire(body, Duration::from_secs(60));
        }
    });
}

#[test]
fn check_of_a_node() {
    let node = NodeKey { namespace: Name::default_namespace(), node: Name::parse("node", "n1").unwrap() };
    check!().for_each(|bytes: &[u8]| {
        if let Some(body) = read::<wire::CheckBody>(bytes) {
            let _ = lens::check_from_wire("checks[0]", Owner::Node(node.clone()), body);
        }
        if let Some(body) = read::<wire::NodeBody>(bytes) {
            let _ = lens::node_from_wire(node.clone(), body);
        }
    });
}

#[test]
fn lease_and_reports() {
    check!().for_each(|bytes: &[u8]| {
        if let Some(body) = read::<wire::LeaseBody>(bytes) {
            let _ = lens::lease_from_wire(&body, Duration::from_secs(60));
        }
        let _ = read::<wire::ReportBody>(bytes);
        let _ = read::<wire::StatusBody>(bytes);
    });
}

#[test]
fn words_in_a_path() {
    check!().for_each(|bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let _ = lens::lease_id_from_wire("lease", text);
        // What is taken is said back as it was.
        if let Ok(id) = Id::parse("id", text) {
            assert_eq!(id.as_str(), text);
        }
    });
}

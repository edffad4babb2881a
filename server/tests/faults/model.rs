//! What the load writes, and how to tell from what is read back which write it was.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) const SERVICE: &str = "faulty";

/// What is written as a whole, and must be there as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// An instance with its lease and its checks.
    Instance(String),
    Entry(String),
    /// A lease with the entry that lives by it.
    Lease(u64),
}

/// Every write has a version of its own, and everything it writes follows from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Gone,
    Written {
        version: u64,
        /// The version of the entry that lives by a lease.
        held: Option<u64>,
    },
}

impl State {
    pub(crate) fn written(version: u64) -> State {
        State::Written { version, held: None }
    }
}

/// States, each with the revision that brought it.
pub(crate) type States = BTreeMap<Key, (State, u64)>;

/// The time to live, the number of checks, the port and the metadata all say which version it is, so that an instance
/// with parts of two versions is told apart from one.
pub(crate) fn registration(id: &str, version: u64) -> Value {
    let checks =
        |at: u64| json!({ "type": "ttl", "id": format!("check-{at}"), "ttl": 10_000, "initial": "passing" });
    json!({
        "service": SERVICE, "host": "127.0.0.1", "id": id,
        "port": port(version), "ttl": seconds(version), "metadata": { "version": version.to_string() },
        "checks": (0..=version % 3).map(checks).collect::<Vec<_>>(),
    })
}

/// The version of an instance as it is shown in lists and by the watch.
#[track_caller]
pub(crate) fn version_of_instance(shown: &Value) -> u64 {
    let version = shown["metadata"]["version"].as_str().unwrap().parse().unwrap();
    assert_eq!(shown["port"], port(version), "parts of two versions: {shown}");
    assert_eq!(shown["health"], "passing", "{shown}");
    version
}

/// The version of an instance that is shown with everything that belongs to it.
#[track_caller]
pub(crate) fn version_of_detail(detail: &Value) -> u64 {
    let version = version_of_instance(detail);
    let checks = detail["checks"].as_array().unwrap().len() as u64;
    assert_eq!(checks, 1 + version % 3, "half an instance, by its checks: {detail}");
    assert_eq!(detail["lease"]["ttl"], seconds(version), "half an instance, by its lease: {detail}");
    version
}

pub(crate) fn value(version: u64) -> Vec<u8> {
    let mut value = format!("{version}:").into_bytes();
    // Some fit many times into a page of the file, some take several pages.
    let length = (version.wrapping_mul(7919) % 6000) as usize;
    value.extend((0..length).map(|at| b'a' + ((version as usize + at) % 26) as u8));
    value
}

#[track_caller]
pub(crate) fn version_of_value(bytes: &[u8]) -> u64 {
    let text = std::str::from_utf8(bytes).unwrap();
    let version = text.split(':').next().unwrap().parse().unwrap();
    assert!(bytes == value(version), "parts of a value: {text}");
    version
}

pub(crate) fn seconds(version: u64) -> u64 {
    // Long enough that nothing ends by itself during a run.
    5000 + version % 1000
}

/// The entry that lives by a lease.
pub(crate) fn held_by(lease: u64) -> String {
    format!("held-{lease:x}")
}

fn port(version: u64) -> u64 {
    1 + version % 65_535
}

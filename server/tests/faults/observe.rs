//! Reads everything there is, and sees that nothing of it is half there.

use serde_json::Value;

use crate::http::Client;
use crate::model::{Key, SERVICE, State, States, held_by, version_of_detail, version_of_value};

/// Everything that a registry holds while nobody writes.
pub(crate) struct Observed {
    pub(crate) states: States,
    pub(crate) revision: u64,
}

pub(crate) fn observe(client: &mut Client) -> Observed {
    let status = client.get("/v1/status").json();
    let mut states = States::new();
    let mut totals = (0, 0);
    for instance in list(client, "/v1/instances", "instances") {
        let id = instance["id"].as_str().unwrap().to_owned();
        let detail = client.get(&format!("/v1/instances/{id}?service={SERVICE}")).json();
        let version = version_of_detail(&detail);
        totals.0 += detail["checks"].as_array().unwrap().len();
        totals.1 += 1;
        states.insert(Key::Instance(id), (State::written(version), number(&detail["revision"])));
    }
    for entry in list(client, "/v1/entries", "entries") {
        let name = entry["key"].as_str().unwrap();
        let version = version_of_value(&client.get(&format!("/v1/entries/{name}")).body);
        let key = Key::Entry(name.to_owned());
        states.insert(key, (State::written(version), number(&entry["revision"])));
    }
    for lease in list(client, "/v1/leases", "leases").iter().filter(|lease| lease["implicit"] == false) {
        totals.1 += 1;
        let id = u64::from_str_radix(lease["lease"].as_str().unwrap(), 16).unwrap();
        let version = number(&lease["ttl"]);
        let mut found = (State::written(version), number(&lease["revision"]));
        // An entry that lives by a lease is part of that.
        if let Some((State::Written { version: held, .. }, revision)) =
            states.remove(&Key::Entry(held_by(id)))
        {
            assert_eq!(lease["holds"].as_array().unwrap().len(), 1, "an entry lost its lease: {lease}");
            found = (State::Written { version, held: Some(held) }, revision.max(found.1));
        }
        states.insert(Key::Lease(id), found);
    }
    let orphan = states.keys().find(|key| matches!(key, Key::Entry(name) if name.starts_with("held-")));
    assert_eq!(orphan, None, "an entry outlived its lease");
    // Checks and leases without the instance that they were registered with show only in the totals.
    let shown = (number(&status["checks"]) as usize, number(&status["leases"]) as usize);
    assert_eq!(shown, totals, "checks or leases of nobody: {status}");
    Observed { states, revision: number(&status["revision"]) }
}

fn list(client: &mut Client, path: &str, field: &str) -> Vec<Value> {
    let page = client.get(&format!("{path}?limit=10000")).json();
    page[field].as_array().unwrap().clone()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

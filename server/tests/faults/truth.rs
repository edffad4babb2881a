//! What must be there after a fault, out of what was acknowledged before it.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::Value;

use crate::follow::changes;
use crate::load::{Write, Written};
use crate::model::{Key, State, States, version_of_instance};
use crate::observe::observe;
use crate::process::Server;

/// How far back watches resume, so that long runs do not read all of history again and again.
const FAR: u64 = 5000;

/// What is known for certain.
#[derive(Default)]
pub(crate) struct Truth {
    pub(crate) states: States,
    pub(crate) revision: u64,
    /// What the watch told about each revision.
    told: BTreeMap<u64, (Key, State)>,
}

impl Truth {
    /// Holds a registry that was started again against what was known and what was written since.
    pub(crate) fn settle(&mut self, server: &Server, written: &Written, live: &[Value], choices: &mut Rng) {
        let mut client = server.client();
        let observed = observe(&mut client);
        let reached = written.seen.max(self.revision);
        assert!(
            observed.revision >= reached,
            "the revision went back from {reached} to {}",
            observed.revision
        );

        for key in self.keys(written, &observed.states) {
            let writes: Vec<&Write> = written.writes.iter().filter(|write| write.key == key).collect();
            let known = self.states.get(&key);
            judge(&key, known, &writes, observed.states.get(&key), observed.revision);
        }
        let since = choices.u64(self.revision.saturating_sub(FAR)..=self.revision);
        let told = read(&changes(&mut client, since, observed.revision));
        self.hold_against_the_past(&told, since, observed.revision);
        self.hold_against_the_writes(&told, written);
        // What a watcher was told before the fault must still be true after it.
        let live = read(live);
        assert!(live.iter().all(|item| told.contains(item)), "a watch told what was not kept");

        self.told.extend(told.into_iter().map(|item| (item.revision, (item.key, item.state))));
        (self.states, self.revision) = (observed.states, observed.revision);
    }

    fn keys(&self, written: &Written, observed: &States) -> std::collections::BTreeSet<Key> {
        let written = written.writes.iter().map(|write| &write.key);
        self.states.keys().chain(observed.keys()).chain(written).cloned().collect()
    }

    /// What was told once is told again, word for word, and in order.
    fn hold_against_the_past(&self, told: &[Told], since: u64, until: u64) {
        let revisions: Vec<u64> = told.iter().map(|item| item.revision).collect();
        assert!(revisions.is_sorted_by(|one, next| one < next), "not once, or not in order: {revisions:?}");
        assert!(revisions.iter().all(|at| (since + 1..=until).contains(at)), "{since} {until} {revisions:?}");
        let again = told.iter().take_while(|item| item.revision <= self.revision);
        let again: BTreeMap<u64, (Key, State)> =
            again.map(|item| (item.revision, (item.key.clone(), item.state.clone()))).collect();
        let before: BTreeMap<u64, (Key, State)> =
            self.told.range(since + 1..).map(|(at, item)| (*at, item.clone())).collect();
        assert_eq!(again, before, "the past was told differently, since {since}");
    }

    /// Every acknowledged change of an instance is told, and nothing that nobody asked for.
    fn hold_against_the_writes(&self, told: &[Told], written: &Written) {
        let told: BTreeMap<u64, &Told> = told.iter().map(|item| (item.revision, item)).collect();
        let of_instances = || written.writes.iter().filter(|write| matches!(write.key, Key::Instance(_)));
        for write in of_instances() {
            let Some(revision) = write.acknowledged.filter(|revision| *revision > self.revision) else {
                continue;
            };
            let found = told.get(&revision).map(|told| (&told.key, &told.state));
            assert_eq!(found, Some((&write.key, &write.state)), "the watch missed revision {revision}");
        }
        for item in told.values().filter(|item| item.revision > self.revision) {
            let asked = of_instances().any(|write| {
                write.acknowledged.is_none_or(|revision| revision == item.revision)
                    && (&write.key, &write.state) == (&item.key, &item.state)
            });
            assert!(asked, "nobody asked for {item:?}");
        }
    }
}

/// What is there must be the newest that was acknowledged, or newer and asked for without an answer.
fn judge(
    key: &Key,
    known: Option<&(State, u64)>,
    writes: &[&Write],
    found: Option<&(State, u64)>,
    head: u64,
) {
    let known = known.cloned().unwrap_or((State::Gone, 0));
    let acknowledged = writes.iter().filter_map(|write| Some((write.state.clone(), write.acknowledged?)));
    // The same again is acknowledged with the revision that it already had.
    let newest = acknowledged.chain([known]).max_by_key(|(_, revision)| *revision).unwrap();
    let unanswered = || writes.iter().filter(|write| write.acknowledged.is_none()).map(|write| &write.state);
    let holds = match found {
        Some((state, revision)) if *revision == newest.1 => *state == newest.0,
        Some((state, revision)) => {
            (newest.1 + 1..=head).contains(revision) && unanswered().any(|asked| asked == state)
        }
        None => newest.0 == State::Gone || unanswered().any(|asked| *asked == State::Gone),
    };
    assert!(holds, "{key:?}: acknowledged was {newest:?}, found was {found:?}, of {writes:?}");
}

#[derive(Debug, PartialEq)]
struct Told {
    revision: u64,
    key: Key,
    state: State,
}

fn read(changes: &[Value]) -> Vec<Told> {
    let told = |change: &Value| {
        let state = match change["kind"].as_str().unwrap() {
            "deregistered" => State::Gone,
            _ => State::written(version_of_instance(&change["instance"])),
        };
        let key = Key::Instance(change["id"].as_str().unwrap().to_owned());
        Told { revision: change["revision"].as_u64().unwrap(), key, state }
    };
    changes.iter().map(told).collect()
}

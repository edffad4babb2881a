//! Writers that remember what they were told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use fastrand::Rng;
use serde_json::json;

use crate::http::{Answer, Client};
use crate::model::{Key, State, States, held_by, registration, seconds, value};

const WRITERS: u64 = 4;
/// Of each writer.
const INSTANCES: u64 = 6;
const ENTRIES: u64 = 4;
/// Entries that all writers write.
const SHARED: u64 = 3;

/// One write.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) state: State,
    /// The revision that it was acknowledged with; None: the answer never came, or was that nobody knows.
    pub(crate) acknowledged: Option<u64>,
}

/// What came of a load.
pub(crate) struct Written {
    pub(crate) writes: Vec<Write>,
    /// The highest revision that any answer mentioned.
    pub(crate) seen: u64,
}

pub(crate) struct Load {
    writers: Vec<JoinHandle<Vec<Write>>>,
    ending: Arc<AtomicBool>,
    seen: Arc<AtomicU64>,
}

impl Load {
    /// Begins to write over what is there.
    pub(crate) fn start(address: &str, there: &States, choices: &mut Rng) -> Load {
        let ending = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(AtomicU64::new(0));
        let writer = |number| {
            let mut writer = Writer {
                number,
                choices: choices.fork(),
                client: Client::new(address),
                there: there.clone(),
                writes: Vec::new(),
                seen: seen.clone(),
            };
            let ending = ending.clone();
            std::thread::spawn(move || {
                while !ending.load(Ordering::Relaxed) && writer.write().is_ok() {}
                writer.writes
            })
        };
        let writers = (0..WRITERS).map(writer).collect();
        Load { writers, ending, seen }
    }

    pub(crate) fn end(self) -> Written {
        self.ending.store(true, Ordering::Relaxed);
        let writes = self.writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        Written { writes, seen: self.seen.load(Ordering::Relaxed) }
    }
}

/// No two writes of a run write the same.
fn new_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

struct Writer {
    number: u64,
    choices: Rng,
    client: Client,
    there: States,
    writes: Vec<Write>,
    seen: Arc<AtomicU64>,
}

impl Writer {
    /// Err: the connection broke.
    fn write(&mut self) -> io::Result<()> {
        match self.choices.u8(..10) {
            0..5 => self.write_instance(),
            5..8 => self.write_entry(),
            _ => self.write_lease(),
        }
    }

    fn write_instance(&mut self) -> io::Result<()> {
        let id = format!("instance-{}-{}", self.number, self.choices.u64(..INSTANCES));
        let key = Key::Instance(id.clone());
        let version = match (self.state(&key), self.choices.u8(..10)) {
            (State::Written { .. }, 0..3) => {
                return self.put(key, State::Gone, "DELETE", &format!("/v1/instances/{id}"), b"");
            }
            // The same again is acknowledged without a commit.
            (State::Written { version, .. }, 3) => version,
            _ => new_version(),
        };
        let body = registration(&id, version).to_string();
        self.put(key, State::written(version), "POST", "/v1/register", body.as_bytes())
    }

    fn write_entry(&mut self) -> io::Result<()> {
        let shared = self.choices.u8(..3) == 0;
        let name = match shared {
            true => format!("shared-{}", self.choices.u64(..SHARED)),
            false => format!("entry-{}-{}", self.number, self.choices.u64(..ENTRIES)),
        };
        let (key, path) = (Key::Entry(name.clone()), format!("/v1/entries/{name}"));
        if !shared && self.state(&key) != State::Gone && self.choices.u8(..4) == 0 {
            return self.put(key, State::Gone, "DELETE", &path, b"");
        }
        let version = new_version();
        self.put(key, State::written(version), "PUT", &path, &value(version))
    }

    /// Grants a lease, then puts an entry that lives by it, then revokes it, which takes both.
    fn write_lease(&mut self) -> io::Result<()> {
        let id = 0xabc0 + self.number;
        let key = Key::Lease(id);
        let new = new_version();
        match self.state(&key) {
            State::Gone => {
                let body = json!({ "id": format!("{id:x}"), "ttl": seconds(new) }).to_string();
                // All that a lease says about its version is its time to live.
                self.put(key, State::written(seconds(new)), "POST", "/v1/leases", body.as_bytes())
            }
            State::Written { version, held: None } => {
                let path = format!("/v1/entries/{}?lease={id:x}", held_by(id));
                self.put(key, State::Written { version, held: Some(new) }, "PUT", &path, &value(new))
            }
            State::Written { .. } => self.put(key, State::Gone, "DELETE", &format!("/v1/leases/{id:x}"), b""),
        }
    }

    fn state(&self, key: &Key) -> State {
        self.there.get(key).map_or(State::Gone, |(state, _)| state.clone())
    }

    fn put(&mut self, key: Key, state: State, method: &str, path: &str, body: &[u8]) -> io::Result<()> {
        let answer = self.client.ask(method, path, body);
        let acknowledged = match &answer {
            Ok(answer) if answer.status == 200 => Some(self.acknowledged(answer)),
            // A registry that is stopping may have kept it.
            Ok(answer) if answer.status == 503 => None,
            Ok(answer) => panic!("{method} {path}: {} {}", answer.status, answer.text()),
            Err(_) => None,
        };
        if let Some(revision) = acknowledged {
            self.there.insert(key.clone(), (state.clone(), revision));
        }
        self.writes.push(Write { key, state, acknowledged });
        match (answer, acknowledged) {
            (Ok(_), Some(_)) => Ok(()),
            // From here on this writer would not know what there is.
            (Ok(_), None) => Err(io::ErrorKind::Other.into()),
            (Err(error), _) => Err(error),
        }
    }

    fn acknowledged(&self, answer: &Answer) -> u64 {
        let revision = answer.json()["revision"].as_u64().unwrap();
        self.seen.fetch_max(answer.revision.unwrap().max(revision), Ordering::Relaxed);
        revision
    }
}

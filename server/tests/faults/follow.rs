//! The watch, by long polls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Answer, Client};
use crate::process::PATIENCE;

/// All changes after one revision and up to another.
pub(crate) fn changes(client: &mut Client, since: u64, until: u64) -> Vec<Value> {
    let (mut at, mut told) = (since, Vec::new());
    while at < until {
        let (reached, changes) = page(client.get(&path(at, 100)));
        assert!(reached >= at, "the watch went back from {at} to {reached}");
        // What is not about an instance is told by the revision alone, if at all.
        if reached == at {
            break;
        }
        (at, told) = (reached, [told, changes].concat());
    }
    told
}

/// Follows the watch beside a test until that ends or the registry does.
pub(crate) struct Follower {
    told: Arc<Mutex<Vec<Value>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    pub(crate) fn start(address: &str, since: u64) -> Follower {
        let told = Arc::new(Mutex::new(Vec::new()));
        let ending = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (told, ending, mut client) = (told.clone(), ending.clone(), Client::new(address));
            move || {
                let mut at = since;
                while !ending.load(Ordering::Relaxed) {
                    let Ok(answer) = client.ask("GET", &path(at, 500), b"") else { return };
                    // Stopping.
                    if answer.status == 503 {
                        return;
                    }
                    let (reached, changes) = page(answer.expect(200));
                    assert!(reached >= at, "the watch went back from {at} to {reached}");
                    at = reached;
                    told.lock().unwrap().extend(changes);
                }
            }
        });
        Follower { told, ending, thread: Some(thread) }
    }

    /// Everything it was told so far.
    pub(crate) fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap().clone()
    }

    /// Waits for the event itself, however long the machine takes.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(found) = self.told().into_iter().find(&is_it) {
                return found;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the watch never told that {what}: {:#?}", self.told());
    }

    pub(crate) fn end(mut self) -> Vec<Value> {
        self.ending.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.told()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

fn path(since: u64, wait_ms: u64) -> String {
    format!("/v1/watch?since={since}&wait={wait_ms}ms")
}

fn page(answer: Answer) -> (u64, Vec<Value>) {
    let body = answer.json();
    (body["revision"].as_u64().unwrap(), body["changes"].as_array().unwrap().clone())
}

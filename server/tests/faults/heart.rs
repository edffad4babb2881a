//! Instances that say that they live.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::http::Client;

pub(crate) const TTL: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(200);

/// Registers an instance that stays for the time to live and no longer.
pub(crate) fn register(client: &mut Client, id: &str) -> u64 {
    let body = json!({ "service": "living", "host": "127.0.0.1", "id": id, "ttl": TTL.as_secs() });
    client.post("/v1/register", &body).json()["revision"].as_u64().unwrap()
}

/// An instance with heartbeats.
pub(crate) struct Heart {
    beats: Arc<Mutex<Vec<Instant>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Heart {
    pub(crate) fn start(address: &str, id: &str) -> Heart {
        let mut client = Client::new(address);
        register(&mut client, id);
        let beats = Arc::new(Mutex::new(vec![Instant::now()]));
        let ending = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (beats, ending, path) = (beats.clone(), ending.clone(), format!("/v1/instances/{id}/renew"));
            move || {
                while !ending.load(Ordering::Relaxed) {
                    std::thread::sleep(EVERY);
                    client.ask("PUT", &path, b"").unwrap().expect(200);
                    beats.lock().unwrap().push(Instant::now());
                }
            }
        });
        Heart { beats, ending, thread: Some(thread) }
    }

    /// Ends all heartbeats, with the answer of [`Heart::end`] for all.
    pub(crate) fn end_all(hearts: Vec<Heart>, listening: &[(Instant, Instant)]) -> bool {
        let beating: Vec<bool> = hearts.into_iter().map(|heart| heart.end(listening)).collect();
        beating.iter().all(|beating| *beating)
    }

    /// Ends the heartbeats. Whether they came as often as they must, in spans of time in which the registry listened:
    /// on a machine that has no time for us, they did not, and then nothing is proven.
    pub(crate) fn end(mut self, listening: &[(Instant, Instant)]) -> bool {
        self.ending.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        let beats = self.beats.lock().unwrap();
        listening.iter().all(|(from, to)| {
            let within = beats.iter().filter(|beat| (from..=to).contains(beat));
            let moments: Vec<&Instant> = [from].into_iter().chain(within).chain([to]).collect();
            moments.windows(2).all(|pair| pair[1].duration_since(*pair[0]) < TTL / 2)
        })
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
    }
}

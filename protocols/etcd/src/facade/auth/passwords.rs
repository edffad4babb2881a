use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::{self, Refusal};

/// Hashes passwords, which takes a processor a good while: beside the threads that serve everything else, and on half of
/// the processors at most.
#[derive(Debug)]
pub(crate) struct Passwords {
    cost: u32,
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// Longer ones were cut off, and whatever is behind that would be as good as right.
const LONGEST: usize = 72;
/// Those who wait for their turn; one more is told that there are too many.
const PLACES: usize = 1024;

impl Passwords {
    pub(crate) fn new(cost: u32) -> Passwords {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Passwords {
            cost,
            turns: Arc::new(Semaphore::new((processors / 2).max(1))),
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    pub(crate) async fn hash(&self, password: String) -> Result<Bytes, Refusal> {
        if password.len() > LONGEST {
            return Err(refusal::PASSWORD_TOO_LONG);
        }
        let cost = self.cost;
        let hashed = self.work(move || bcrypt::hash(password, cost)).await?;
        hashed.map(Bytes::from).map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            refusal::UNHEALTHY
        })
    }

    /// Whether the password is the one that was hashed. None: there is none, and finding that out takes as long.
    pub(crate) async fn fits(&self, password: String, hashed: Option<Bytes>) -> Result<bool, Refusal> {
        let too_long = password.len() > LONGEST;
        let cost = self.cost;
        let fits = self.work(move || match hashed {
            Some(hashed) => std::str::from_utf8(&hashed)
                .is_ok_and(|hashed| bcrypt::verify(password, hashed).unwrap_or(false)),
            None => bcrypt::hash(password, cost).is_err(),
        });
        Ok(fits.await? && !too_long)
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| refusal::TOO_MANY_REQUESTS)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| refusal::STOPPED)?;
        let held: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, turn);
        // Once begun it is done to the end, and the turn with it, whether or not anybody still waits.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(held);
            done
        });
        done.await.map_err(|_| refusal::STOPPED)
    }
}

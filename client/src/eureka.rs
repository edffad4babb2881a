//! Netflix Eureka's REST API: everything once, then what changed, held against the registry's own count.

mod poll;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION};
use parking_lot::Mutex;
use switchboard_discover::{Feed, FeedError, Publisher, Query, Shared, SharedOptions};

use crate::wire::{AddressError, Wire};
use poll::Poll;

/// A Eureka server, by its REST API below `/eureka`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use switchboard::{Eureka, HttpClient};
///
/// let eureka = Eureka::at("http://127.0.0.1:8761")?.every(Duration::from_secs(5));
/// let http = HttpClient::new(eureka.source());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Eureka {
    wire: Wire,
    name: Arc<str>,
    every: Duration,
    /// By namespace, those that somebody has.
    polls: Arc<Mutex<HashMap<String, Weak<Poll>>>>,
}

impl Eureka {
    /// The server at this address, such as `http://127.0.0.1:8761`; of several, separated by commas, whichever answers.
    pub fn at(addresses: &str) -> Result<Eureka, AddressError> {
        let wire = Wire::to(addresses)?.with_header(ACCEPT, HeaderValue::from_static("application/json"));
        let name = Arc::from(format!("eureka at {}", wire.shown()));
        Ok(Eureka { wire, name, every: Duration::from_secs(30), polls: Arc::default() })
    }

    /// With what stands in the header `Authorization`.
    pub fn authorization(mut self, value: &str) -> Result<Eureka, AddressError> {
        let wrong =
            |_| AddressError { address: "the authorization".to_owned(), why: "cannot be sent in a header" };
        self.wire = self.wire.with_header(AUTHORIZATION, HeaderValue::from_str(value).map_err(wrong)?);
        Ok(self)
    }

    /// Asks this often for what changed; every 30 seconds by default, as Eureka's own clients do.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Eureka {
        self.every = every;
        self
    }

    /// What it knows about services.
    pub fn source(&self) -> Shared<Eureka> {
        Shared::new(self.clone())
    }

    /// The same with options, such as where to keep the last known good.
    pub fn source_with(&self, options: SharedOptions) -> Shared<Eureka> {
        Shared::with(self.clone(), options)
    }

    /// The poll that is under way, or a new one.
    fn poll(&self, namespace: &str) -> Arc<Poll> {
        let mut polls = self.polls.lock();
        if let Some(poll) = polls.get(namespace).and_then(Weak::upgrade).filter(|poll| !poll.has_failed()) {
            return poll;
        }
        polls.retain(|_, poll| poll.strong_count() > 0);
        let poll = Arc::new(Poll::start(self.wire.clone(), namespace, self.every));
        polls.insert(namespace.to_owned(), Arc::downgrade(&poll));
        poll
    }
}

#[async_trait]
impl Feed for Eureka {
    fn name(&self) -> &str {
        &self.name
    }

    async fn follow(&self, query: &Query, publisher: &Publisher) -> FeedError {
        let poll = self.poll(query.service.namespace.as_str());
        let mut news = poll.news();
        for revision in 1.. {
            let now = news.borrow_and_update().clone();
            match now {
                None => {}
                Some(Err(why)) => return FeedError::new(why),
                Some(Ok(known)) => match known.instances(&query.service) {
                    Ok(instances) => publisher.publish(instances, revision),
                    Err(error) => return FeedError::new(format_args!("{}: {error}", self.name)),
                },
            }
            if news.changed().await.is_err() {
                break;
            }
        }
        FeedError::new("the poll has ended")
    }
}

impl std::fmt::Debug for Eureka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Eureka").field(&self.name).finish()
    }
}

//! Netflix Eureka's REST API: everything once, then what changed, held against the registry's own count.

mod words;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION};
use switchboard_discover::{Feed, FeedError, Publisher, Query, Shared, SharedOptions};

use crate::wire::{AddressError, Answer, Ask, Wire, WireError, segment};
use words::{Known, Said};

/// A Eureka server, by its REST API below `/eureka`.
#[derive(Clone)]
pub struct Eureka {
    wire: Wire,
    name: Arc<str>,
    every: Duration,
}

impl Eureka {
    /// The server at this address, such as `http://127.0.0.1:8761`; of several, separated by commas, whichever answers.
    pub fn at(addresses: &str) -> Result<Eureka, AddressError> {
        let wire = Wire::to(addresses)?.with_header(ACCEPT, HeaderValue::from_static("application/json"));
        let name = Arc::from(format!("eureka at {}", wire.shown()));
        Ok(Eureka { wire, name, every: Duration::from_secs(30) })
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

    async fn said(&self, path: &str) -> Result<(Answer, Said), WireError> {
        let answer = self.wire.ask(Ask::get(path)).await?;
        let said = answer.json()?;
        Ok((answer, said))
    }

    async fn run(&self, query: &Query, publisher: &Publisher) -> Result<std::convert::Infallible, WireError> {
        let (all, changes) = paths(query);
        let (mut answer, said) = self.said(&all).await?;
        let mut known = Known::whole(said);
        for revision in 1.. {
            let instances = known.instances(&query.service).map_err(|error| answer.nonsense(error))?;
            publisher.publish(instances, revision);
            // So that clients which started together do not ask together for ever.
            tokio::time::sleep(self.every.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
            let (delta, said) = self.said(&changes).await?;
            answer = delta;
            if !known.take(said) {
                // A change was missed, or told while it happened.
                let (whole, said) = self.said(&all).await?;
                answer = whole;
                known = Known::whole(said);
            }
        }
        Err(answer.nonsense("out of revisions"))
    }
}

/// Of everything and of what changed. A namespace is a word below `/eureka`, where the registry has any.
fn paths(query: &Query) -> (String, String) {
    let namespace = query.service.namespace.as_str();
    let base = match namespace.eq_ignore_ascii_case(switchboard_model::DEFAULT_NAMESPACE) {
        true => "/eureka/apps/".to_owned(),
        false => format!("/eureka/{}/apps/", segment(namespace)),
    };
    (base.clone(), format!("{base}delta"))
}

#[async_trait]
impl Feed for Eureka {
    fn name(&self) -> &str {
        &self.name
    }

    async fn follow(&self, query: &Query, publisher: &Publisher) -> FeedError {
        match self.run(query, publisher).await {
            Ok(never) => match never {},
            Err(error) => FeedError::new(error),
        }
    }
}

impl std::fmt::Debug for Eureka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Eureka").field(&self.name).finish()
    }
}

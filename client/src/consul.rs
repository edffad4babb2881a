//! Consul's HTTP API.

mod words;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use http::header::HeaderName;
use switchboard_discover::{Feed, FeedError, Publisher, Query, Shared, SharedOptions};
use tokio::time::Instant;

use crate::registrar::{Registry, RegistryError};
use crate::registration::Registration;
use crate::wire::{ANSWER, AddressError, Ask, Wire, WireError, segment};

/// Consul, by its agent's HTTP API.
///
/// It is a [`Registry`] to register with, and [`Consul::source`] watches it by blocking queries.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Consul, HttpClient, Registrar, Registration};
///
/// let consul = Consul::at("http://127.0.0.1:8500")?.token("a token of ACLs")?;
/// let http = HttpClient::new(consul.source());
/// let me = Registrar::start(consul, Registration::new("greeter", "10.0.0.5", 8080)?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Consul {
    wire: Wire,
    name: Arc<str>,
    wait: Duration,
}

const INDEX: &str = "x-consul-index";
/// Answers in a row without a pause, and how many a second after that: every change of any instance of the service may
/// end a query.
const BURST: f64 = 10.0;
const PER_SECOND: f64 = 10.0;

impl Consul {
    /// The agent at this address, such as `http://127.0.0.1:8500`; of several, separated by commas, whichever answers.
    pub fn at(addresses: &str) -> Result<Consul, AddressError> {
        let wire = Wire::to(addresses)?;
        let name = Arc::from(format!("consul at {}", wire.shown()));
        Ok(Consul { wire, name, wait: Duration::from_secs(300) })
    }

    /// With an ACL token.
    pub fn token(mut self, token: &str) -> Result<Consul, AddressError> {
        let value = HeaderValue::from_str(token);
        let wrong = |_| AddressError { address: "the token".to_owned(), why: "cannot be sent in a header" };
        self.wire = self.wire.with_header(HeaderName::from_static("x-consul-token"), value.map_err(wrong)?);
        Ok(self)
    }

    /// With queries that block this long; 5 minutes by default.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Consul {
        self.wait = wait;
        self
    }

    /// What it knows about services.
    pub fn source(&self) -> Shared<Consul> {
        Shared::new(self.clone())
    }

    /// The same with options, such as where to keep the last known good.
    pub fn source_with(&self, options: SharedOptions) -> Shared<Consul> {
        Shared::with(self.clone(), options)
    }

    async fn run(&self, query: &Query, publisher: &Publisher) -> Result<std::convert::Infallible, WireError> {
        let mut index = 0_u64;
        let mut pace = Pace::new(Instant::now());
        loop {
            let path = health(query, index, self.wait);
            // Consul adds up to a sixteenth so that not all return at once.
            let limit = if index > 0 { ANSWER + self.wait + self.wait / 16 } else { ANSWER };
            let answer = self.wire.ask(Ask { limit, ..Ask::get(&path) }).await?;
            let said = answer.number(INDEX);
            let entries: Vec<words::ServiceEntry> = answer.json()?;
            let instances: Result<Vec<_>, _> =
                entries.into_iter().map(|entry| entry.read(&query.service)).collect();
            // Whatever became of the index, the answer is good.
            let next = next_index(index, said);
            publisher.publish(
                instances.map_err(|rejection| answer.nonsense(rejection))?,
                said.unwrap_or_default(),
            );
            index = next;
            let pause = match said {
                // An index of 0 does not block: asking on at once would be a loop.
                None | Some(0) => Duration::from_secs(1),
                Some(_) => pace.pause(Instant::now()),
            };
            tokio::time::sleep(pause).await;
        }
    }
}

fn health(query: &Query, index: u64, wait: Duration) -> String {
    let mut asked = form_urlencoded::Serializer::new(String::new());
    // The first tag is enough to spare most of the traffic; the publisher looks at all of them.
    if let Some(tag) = query.tags.first() {
        asked.append_pair("tag", tag);
    }
    let namespace = query.service.namespace.as_str();
    if !namespace.eq_ignore_ascii_case(switchboard_model::DEFAULT_NAMESPACE) {
        asked.append_pair("ns", namespace);
    }
    if index > 0 {
        asked.append_pair("index", &index.to_string());
        asked.append_pair("wait", &format!("{}ms", wait.as_millis()));
    }
    format!("/v1/health/service/{}?{}", segment(query.service.service.as_str()), asked.finish())
}

/// An index that went back is of another history: the next query must not block on it.
fn next_index(last: u64, said: Option<u64>) -> u64 {
    match said {
        Some(said) if said >= last => said,
        Some(_) | None => 0,
    }
}

/// Spends one for each answer and earns some each second.
#[derive(Debug)]
struct Pace {
    credit: f64,
    at: Instant,
}

impl Pace {
    fn new(at: Instant) -> Pace {
        Pace { credit: BURST, at }
    }

    fn pause(&mut self, now: Instant) -> Duration {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND;
        self.credit = (self.credit + earned).min(BURST) - 1.0;
        self.at = now;
        Duration::from_secs_f64((-self.credit).max(0.0) / PER_SECOND)
    }
}

#[async_trait]
impl Feed for Consul {
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

#[async_trait]
impl Registry for Consul {
    fn name(&self) -> String {
        self.name.to_string()
    }

    async fn register(&self, registration: &Registration) -> Result<(), RegistryError> {
        let body = words::registration(registration).map_err(RegistryError::refused)?;
        let path = "/v1/agent/service/register?replace-existing-checks=true";
        self.put(path, Some(&body)).await?;
        // A registration that was drained once is in maintenance still.
        let path = format!("/v1/agent/service/maintenance/{}?enable=false", segment(&registration.id));
        self.put(&path, None).await
    }

    async fn renew(&self, registration: &Registration) -> Result<(), RegistryError> {
        if registration.check.is_some() {
            let path = format!("/v1/agent/service/{}", segment(&registration.id));
            return self.wire.ask(Ask::get(&path)).await.map(drop).map_err(refusal);
        }
        let path = format!("/v1/agent/check/pass/{}", segment(&words::ttl_check(registration)));
        self.put(&path, None).await
    }

    async fn drain(&self, registration: &Registration) -> Result<(), RegistryError> {
        let path = format!(
            "/v1/agent/service/maintenance/{}?enable=true&reason=draining",
            segment(&registration.id)
        );
        self.put(&path, None).await
    }

    async fn deregister(&self, registration: &Registration) -> Result<(), RegistryError> {
        let path = format!("/v1/agent/service/deregister/{}", segment(&registration.id));
        match self.put(&path, None).await {
            Err(RegistryError::Unknown(_)) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn afresh(&self) -> Arc<dyn Registry> {
        Arc::new(Consul { wire: self.wire.afresh(), ..self.clone() })
    }
}

impl Consul {
    async fn put(&self, path: &str, body: Option<&serde_json::Value>) -> Result<(), RegistryError> {
        let ask = match body {
            Some(body) => Ask::put(path).json(body),
            None => Ask::put(path),
        };
        self.wire.ask(ask).await.map(drop).map_err(refusal)
    }
}

fn refusal(error: WireError) -> RegistryError {
    match &error {
        WireError::Refused { status, body, .. } => match status.as_u16() {
            404 => RegistryError::unknown(error),
            // Before 1.12 an agent says this with 500.
            500 if body.contains("Unknown check") || body.contains("Unknown service") => {
                RegistryError::unknown(error)
            }
            429 | 500..=599 => RegistryError::unavailable(error),
            _ => RegistryError::refused(error),
        },
        WireError::Unreachable { .. } | WireError::Slow { .. } | WireError::Nonsense { .. } => {
            RegistryError::unavailable(error)
        }
    }
}

impl std::fmt::Debug for Consul {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Consul").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k10_an_index_that_goes_back_or_is_missing_starts_anew() {
        assert_eq!(next_index(5, Some(7)), 7);
        assert_eq!(next_index(5, Some(5)), 5);
        assert_eq!(next_index(5, Some(3)), 0);
        assert_eq!(next_index(5, Some(0)), 0);
        assert_eq!(next_index(5, None), 0);
    }

    #[test]
    fn k10_answers_that_come_at_once_are_paced() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut now = start;
        let mut answers = 0;
        while now < start + Duration::from_secs(60) {
            answers += 1;
            now += pace.pause(now) + Duration::from_millis(1);
        }
        assert!((550..=650).contains(&answers), "{answers} queries in a minute");
        now += Duration::from_secs(10);
        assert_eq!(pace.pause(now), Duration::ZERO);
    }
}

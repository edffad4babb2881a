//! Switchboard's own API.

mod sse;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use switchboard_discover::{Feed, FeedError, Instance, Publisher, Query, Shared, SharedOptions};

use crate::registrar::{Registry, RegistryError};
use crate::registration::Registration;
use crate::wire::{AddressError, Ask, Wire, WireError, segment};
use sse::{Event, Lines};
use words::{Change, Page};

/// A Switchboard registry, by its native API.
///
/// It is a [`Registry`] to register with, and [`Native::source`] watches it by server-sent events.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Native, Query, Registrar, Registration, Source};
///
/// let registry = Native::at("http://10.0.0.1:7700, http://10.0.0.2:7700")?;
/// let me = Registrar::start(registry.clone(), Registration::new("greeter", "10.0.0.5", 8080)?);
/// let mut users = registry.source().watch(&Query::service("user-service")?);
/// assert!(users.current().freshness.is_never(), "nobody has answered yet");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Native {
    wire: Wire,
    name: Arc<str>,
}

/// A stream says how far it is every 15 seconds; one that says nothing for so long is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// Pages of one service; a page has up to 10,000 instances.
const MAX_PAGES: usize = 100;
const REVISION: &str = "switchboard-revision";

impl Native {
    /// At this address, such as `http://127.0.0.1:7700`; of several, separated by commas, whichever answers.
    pub fn at(addresses: &str) -> Result<Native, AddressError> {
        let wire = Wire::to(addresses)?;
        let name = Arc::from(format!("switchboard at {}", wire.shown()));
        Ok(Native { wire, name })
    }

    /// What it knows about services.
    pub fn source(&self) -> Shared<Native> {
        Shared::new(self.clone())
    }

    /// The same with options, such as where to keep the last known good.
    pub fn source_with(&self, options: SharedOptions) -> Shared<Native> {
        Shared::with(self.clone(), options)
    }

    /// Everything that is registered under the query's service, and the revision that it is of.
    async fn read(&self, query: &Query) -> Result<(Known, u64), WireError> {
        let mut known = Known::default();
        let mut revision = None;
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let path = page(query, after.as_deref());
            let answer = self.wire.ask(Ask::get(&path)).await?;
            // The first page's: what changes while the others are read is told again by the watch.
            let said =
                answer.number(REVISION).ok_or_else(|| answer.nonsense("the answer has no revision"))?;
            revision.get_or_insert(said);
            let page: Page = answer.json()?;
            for instance in page.instances {
                known.put(instance.read().map_err(|rejection| answer.nonsense(rejection))?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok((known, revision.unwrap_or_default())),
            }
        }
        Err(WireError::Nonsense { address: self.wire.shown(), error: format!("more than {MAX_PAGES} pages") })
    }

    /// Tells what changes after a revision, until everything has to be read anew.
    async fn watch(
        &self,
        query: &Query,
        publisher: &Publisher,
        known: &mut Known,
        since: u64,
    ) -> Result<(), WireError> {
        let path = changes(query, since);
        let mut ask = Ask::get(&path);
        ask.headers.push((http::header::ACCEPT, http::HeaderValue::from_static("text/event-stream")));
        let opened = tokio::time::timeout(ask.limit, self.wire.open(&ask)).await;
        let (address, response) =
            opened.map_err(|_| WireError::Slow { address: self.wire.shown(), limit: ask.limit })??;
        match response.status() {
            StatusCode::OK => {}
            // The history that it would begin in is gone.
            StatusCode::GONE => return Ok(()),
            status => return Err(WireError::Refused { address, status, body: "to a watch".into() }),
        }
        let nonsense = |error: String| WireError::Nonsense { address: address.clone(), error };
        let mut body = response.into_body();
        let mut lines = Lines::default();
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await;
            let frame = match frame {
                Err(_) => return Err(WireError::Slow { address, limit: SILENCE }),
                Ok(None) => return Err(nonsense("the watch ended".to_owned())),
                Ok(Some(Err(error))) => {
                    return Err(WireError::Unreachable { address, error: crate::wire::said(&error) });
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Some(data) = frame.data_ref() else { continue };
            lines.push(data).map_err(|why| nonsense(why.to_owned()))?;
            while let Some(event) = lines.next() {
                match &*event.kind {
                    "change" => {
                        let change: Change =
                            serde_json::from_str(&event.data).map_err(|error| nonsense(error.to_string()))?;
                        if known.apply(change).map_err(nonsense)? == Applied::ReadAnew {
                            return Ok(());
                        }
                    }
                    "progress" => {}
                    "lagged" | "compacted" => return Ok(()),
                    _ => return Err(nonsense(format!("{}: {}", event.kind, event.data))),
                }
                // Only the last change of a revision says so: a revision is published whole.
                if let Event { id: Some(revision), .. } = event {
                    publisher.publish(known.all(), revision);
                }
            }
        }
    }
}

#[async_trait]
impl Feed for Native {
    fn name(&self) -> &str {
        &self.name
    }

    async fn follow(&self, query: &Query, publisher: &Publisher) -> FeedError {
        loop {
            let result = async {
                let (mut known, revision) = self.read(query).await?;
                publisher.publish(known.all(), revision);
                self.watch(query, publisher, &mut known, revision).await
            };
            if let Err(error) = result.await {
                return FeedError::new(error);
            }
            // Being told to read anew again and again must not become a tight loop.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// All instances of one service, by id and then by node.
#[derive(Debug, Default)]
struct Known(BTreeMap<Box<str>, Vec<Instance>>);

#[derive(Debug, PartialEq)]
enum Applied {
    Yes,
    /// It cannot be told which instance is gone.
    ReadAnew,
}

impl Known {
    fn put(&mut self, instance: Instance) {
        let same_id = self.0.entry(instance.key.id.as_str().into()).or_default();
        match same_id.iter_mut().find(|known| known.key == instance.key) {
            Some(known) => *known = instance,
            None => same_id.push(instance),
        }
    }

    fn apply(&mut self, change: Change) -> Result<Applied, String> {
        match change.instance {
            Some(instance) => self.put(instance.read().map_err(|rejection| rejection.to_string())?),
            None => match self.0.get(&*change.id) {
                Some(same_id) if same_id.len() > 1 => return Ok(Applied::ReadAnew),
                _ => {
                    self.0.remove(&*change.id);
                }
            },
        }
        Ok(Applied::Yes)
    }

    fn all(&self) -> Vec<Instance> {
        self.0.values().flatten().cloned().collect()
    }
}

#[async_trait]
impl Registry for Native {
    fn name(&self) -> String {
        self.name.to_string()
    }

    async fn register(&self, registration: &Registration) -> Result<(), RegistryError> {
        let body = words::registration(registration);
        let ask = Ask { method: Method::POST, ..Ask::get("/v1/register") }.json(&body);
        self.wire.ask(ask).await.map(drop).map_err(refusal)
    }

    async fn renew(&self, registration: &Registration) -> Result<(), RegistryError> {
        let path = place(registration, "/renew");
        if registration.check.is_some() {
            let path = place(registration, "");
            return self.wire.ask(Ask::get(&path)).await.map(drop).map_err(refusal);
        }
        self.wire.ask(Ask::put(&path)).await.map(drop).map_err(refusal)
    }

    async fn drain(&self, registration: &Registration) -> Result<(), RegistryError> {
        let path = place(registration, "/lifecycle");
        let ask = Ask::put(&path).json(&serde_json::json!({ "lifecycle": "draining" }));
        self.wire.ask(ask).await.map(drop).map_err(refusal)
    }

    async fn deregister(&self, registration: &Registration) -> Result<(), RegistryError> {
        let path = place(registration, "");
        match self.wire.ask(Ask { method: Method::DELETE, ..Ask::get(&path) }).await.map_err(refusal) {
            Err(RegistryError::Unknown(_)) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn afresh(&self) -> Arc<dyn Registry> {
        Arc::new(Native { wire: self.wire.afresh(), name: self.name.clone() })
    }
}

fn page(query: &Query, after: Option<&str>) -> String {
    let mut asked = form_urlencoded::Serializer::new(String::new());
    asked.append_pair("namespace", query.service.namespace.as_str()).append_pair("status", "any");
    if let Some(after) = after {
        asked.append_pair("after", after);
    }
    format!("/v1/services/{}?{}", segment(query.service.service.as_str()), asked.finish())
}

fn changes(query: &Query, since: u64) -> String {
    let asked = form_urlencoded::Serializer::new(String::new())
        .append_pair("service", query.service.service.as_str())
        .append_pair("namespace", query.service.namespace.as_str())
        .append_pair("since", &since.to_string())
        .finish();
    format!("/v1/watch?{asked}")
}

fn place(registration: &Registration, what: &str) -> String {
    let asked = form_urlencoded::Serializer::new(String::new())
        .append_pair("namespace", registration.service.namespace.as_str())
        .append_pair("service", registration.service.service.as_str())
        .finish();
    format!("/v1/instances/{}{what}?{asked}", segment(&registration.id))
}

fn refusal(error: WireError) -> RegistryError {
    match &error {
        WireError::Refused { status, .. } => match status.as_u16() {
            404 => RegistryError::unknown(error),
            429 | 500..=599 => RegistryError::unavailable(error),
            _ => RegistryError::refused(error),
        },
        WireError::Unreachable { .. } | WireError::Slow { .. } | WireError::Nonsense { .. } => {
            RegistryError::unavailable(error)
        }
    }
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Native").field(&self.name).finish()
    }
}

//! Puts a server together: engine, listeners, registry, health checks, façades, in this order.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use switchboard_facade::{About, Context, Facade, ListenError, Listening, Metrics, NamedSets, Stop};
use switchboard_registry::Registry;
use switchboard_store::{Engine, StoreError, StoreErrorKind};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::gate::ProbeGate;

/// A server that is up.
pub(crate) struct Server {
    pub(crate) registry: Registry,
    /// What listens where, by protocol.
    pub(crate) listening: Vec<(&'static str, Listening)>,
    stop: Stop,
    facades: JoinSet<(&'static str, anyhow::Result<()>)>,
}

/// Why a server did not start.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// Told apart from the rest because the demonstration then takes another port.
    PortTaken {
        protocol: String,
        address: SocketAddr,
        failure: Failure,
    },
    Failed(Failure),
}

impl From<NotStarted> for Failure {
    fn from(why: NotStarted) -> Failure {
        match why {
            NotStarted::PortTaken { failure, .. } | NotStarted::Failed(failure) => failure,
        }
    }
}

/// Starts everything. The registry may still be loading its records, and says so to whoever asks.
pub(crate) async fn start(config: &Config) -> Result<Server, NotStarted> {
    let engine = open_engine(config).await.map_err(NotStarted::Failed)?;
    let facades = open_facades(config).await?;
    for facade in &facades {
        check_pairing(config, facade.as_ref(), engine.as_ref()).map_err(NotStarted::Failed)?;
    }
    let metrics = Metrics::default();
    let gate = Arc::new(ProbeGate::new(&config.health));
    let registry = Registry::open(engine, config.registry, gate);
    metrics.register(|metrics| registry.meters().register(metrics));
    let health = switchboard_health::spawn(registry.clone(), &config.health);
    let health = health.map_err(|error| NotStarted::Failed(Failure::usage(error)))?;
    metrics.register(|metrics| health.meters().register(metrics));

    let stop = Stop::new();
    let about =
        About { version: env!("CARGO_PKG_VERSION"), engine: config.engine.name, started: Instant::now() };
    let named_sets = NamedSets::default();
    let context = Context { registry: registry.clone(), metrics, named_sets, stop: stop.clone(), about };
    let mut listening = Vec::new();
    for facade in &facades {
        listening.extend(facade.listening().into_iter().map(|place| (facade.name(), place)));
    }
    let mut serving = JoinSet::new();
    for facade in facades {
        let context = context.clone();
        serving.spawn(async move { (facade.name(), facade.serve(context).await) });
    }
    Ok(Server { registry, listening, stop, facades: serving })
}

impl Server {
    /// Waits until the records are loaded.
    pub(crate) async fn loaded(&self) -> Result<(), Failure> {
        self.registry.loaded().await.map_err(|waiting_for| {
            Failure::failed(format!("the registry cannot start without {waiting_for}"))
                .next("Another folder: --data-dir DIR. A closer look: `switchboard doctor --verify`.")
        })
    }

    /// Resolves when something ended that must not end.
    pub(crate) async fn broken(&mut self) -> Failure {
        let ended = tokio::select! {
            ended = self.facades.join_next(), if !self.facades.is_empty() => ended,
            () = self.registry.stopping() => {
                let why = self.registry.waiting_for().unwrap_or_default();
                return Failure::failed(format!("the registry stopped without being told to; it waits for {why}"));
            }
        };
        match ended {
            Some(Ok((name, Ok(())))) => Failure::failed(format!("{name} stopped without being told to")),
            Some(Ok((name, Err(error)))) => Failure::failed(format!("{name} failed: {error:#}")),
            Some(Err(error)) => Failure::failed(format!("a protocol crashed: {error}")),
            // Without any protocol there is nothing to break.
            None => std::future::pending().await,
        }
    }

    /// Lets requests end, then writes out what is not written.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.stop.cancel();
        while let Some(ended) = self.facades.join_next().await {
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((name, Err(error))) => tracing::warn!("{name} did not stop cleanly: {error:#}"),
                Err(error) => tracing::warn!(%error, "a protocol crashed while stopping"),
            }
        }
        match self.registry.stop().await {
            Err(error) if error.kind != StoreErrorKind::Closed => Err(store_failure(&error)),
            _ => Ok(()),
        }
    }
}

pub(crate) async fn open_engine(config: &Config) -> Result<Arc<dyn Engine>, Failure> {
    let plug = config.engine;
    let section = crate::config::table(&config.effective, plug.name);
    let folder: PathBuf = config.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || (plug.open)(&section, &folder)).await;
    match opened {
        Ok(opened) => opened.map_err(|error| store_failure(&error)),
        Err(error) => Err(Failure::failed(format!("opening the {} engine crashed: {error}", plug.name))),
    }
}

/// What the store says, and which flag helps.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::failed(error);
    match error.kind {
        StoreErrorKind::Locked => {
            failure.next("Another folder: --data-dir DIR. Who holds it: `switchboard doctor`.")
        }
        StoreErrorKind::Newer => failure.next("Another folder: --data-dir DIR."),
        StoreErrorKind::Damaged => {
            failure.next("Another folder: --data-dir DIR. A closer look: `switchboard doctor --verify`.")
        }
        StoreErrorKind::Io | StoreErrorKind::Full => failure.next("Another folder: --data-dir DIR."),
        StoreErrorKind::Closed => failure,
    }
}

async fn open_facades(config: &Config) -> Result<Vec<Box<dyn Facade>>, NotStarted> {
    let mut facades = Vec::new();
    for (plug, section) in &config.protocols {
        facades.push((plug.open)(section).await.map_err(|error| listen_failure(&error))?);
    }
    Ok(facades)
}

fn listen_failure(error: &anyhow::Error) -> NotStarted {
    let failure = |exit| Failure::new(exit, format!("{error:#}"));
    match error.downcast_ref::<ListenError>() {
        Some(ListenError::InUse { protocol, address }) => NotStarted::PortTaken {
            protocol: protocol.clone(),
            address: *address,
            failure: failure(Exit::Failed),
        },
        Some(
            ListenError::Exposed { .. } | ListenError::ExposedDatagrams { .. } | ListenError::Tls { .. },
        ) => NotStarted::Failed(failure(Exit::Usage)),
        Some(ListenError::Bind { .. }) | None => NotStarted::Failed(failure(Exit::Failed)),
    }
}

/// A protocol's promises to its clients rest on the engine. A pairing that would lie is refused.
fn check_pairing(config: &Config, facade: &dyn Facade, engine: &dyn Engine) -> Result<(), Failure> {
    let unmet = facade.needs().unmet(engine.facts());
    if unmet.is_empty() {
        return Ok(());
    }
    let (name, engine, unmet) = (facade.name(), config.engine.name, unmet.join(" and "));
    Err(Failure::usage(format!(
        "{name} promises its clients {unmet}, and the engine {engine} does not have that"
    ))
    .next(format!("Choose another engine with --engine, or leave the protocol out with --disable {name}.")))
}

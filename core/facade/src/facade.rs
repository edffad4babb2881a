use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Instant;

use async_trait::async_trait;
use switchboard_registry::Registry;
use switchboard_store::Facts;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::named_sets::NamedSets;
use crate::section::{ConfigError, Section};

/// Tells everyone at once that it is time to go.
pub type Stop = CancellationToken;

/// A protocol, bound to its listeners and ready to serve.
#[async_trait]
pub trait Facade: Send {
    fn name(&self) -> &'static str;

    /// What the protocol promises its clients and therefore needs of the engine.
    fn needs(&self) -> Needs;

    /// What listens where, for the start-up panel.
    fn listening(&self) -> Vec<Listening>;

    /// Serves until `context.stop`, then finishes what it has begun.
    async fn serve(self: Box<Self>, context: Context) -> anyhow::Result<()>;
}

/// What every façade is given.
#[derive(Clone, Debug)]
pub struct Context {
    pub registry: Registry,
    pub metrics: Metrics,
    /// What other façades keep under names of their own, such as prepared queries.
    pub named_sets: NamedSets,
    pub stop: Stop,
    pub about: About,
}

/// Facts about this process that answers mention.
#[derive(Clone, Debug)]
pub struct About {
    pub version: &'static str,
    pub engine: &'static str,
    pub started: Instant,
}

/// What a façade needs of the engine behind the registry. The server refuses a pairing that would lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub linearizable: bool,
    pub history: bool,
}

impl Needs {
    /// The needs that the engine does not meet, in words.
    pub fn unmet(self, facts: Facts) -> Vec<&'static str> {
        let needs = [
            (self.linearizable && !facts.linearizable, "linearizable commits"),
            (self.history && !facts.history, "a history of commits"),
        ];
        needs.into_iter().filter_map(|(unmet, what)| unmet.then_some(what)).collect()
    }
}

/// One place where a façade listens.
#[derive(Clone, Debug)]
pub struct Listening {
    /// Such as `http` or `dns/udp`.
    pub what: String,
    pub address: SocketAddr,
    pub tls: bool,
    /// Why this place is open to more than this machine without protection, if it is.
    pub insecure: Option<String>,
}

/// A façade on its way up.
pub type Opening = Pin<Box<dyn Future<Output = anyhow::Result<Box<dyn Facade>>> + Send>>;

/// What a protocol crate offers to the server: the one line that plugs it in.
#[derive(Clone, Copy, Debug)]
pub struct Plug {
    /// Folder, configuration section, metric prefix and log target.
    pub name: &'static str,
    /// One sentence for people.
    pub about: &'static str,
    /// The configuration section with every key, its default and a comment, as TOML without the header line.
    pub example: &'static str,
    /// The section with all defaults filled in, or what is wrong with it.
    pub effective: fn(&Section) -> Result<Section, ConfigError>,
    /// Binds the listeners.
    pub open: fn(&Section) -> Opening,
}

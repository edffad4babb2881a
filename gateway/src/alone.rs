use std::sync::Arc;

use switchboard_discover::Source;
use switchboard_facade::{Facade, Listening, Metrics, Section, Stop, from_section};

use crate::facade::{self, Opened, Origin};

/// A gateway without a registry of its own: it asks a source about each service that somebody names.
pub struct Alone(Opened);

impl std::fmt::Debug for Alone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Alone").field(&self.listening()).finish()
    }
}

impl Alone {
    /// Binds the listeners that the section `[gateway]` names.
    pub fn open(section: &Section) -> anyhow::Result<Alone> {
        Ok(Alone(facade::open(from_section("gateway", section)?)?))
    }

    pub fn listening(&self) -> Vec<Listening> {
        self.0.listening()
    }

    /// Serves until told to stop, then finishes what it has begun.
    pub async fn serve(self, source: Arc<dyn Source>, metrics: &Metrics, stop: Stop) -> anyhow::Result<()> {
        self.0.run(Origin::Source(source), metrics, stop).await
    }
}

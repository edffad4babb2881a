//! Both servers in turns, so that what the machine does meanwhile falls on both.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Setup;
use super::servers::{Running, Side};
use crate::compared::{Turns, in_turns};
use crate::load::{self, Extent, Load, Outcome, Scripts};

pub(super) struct Pair {
    pub(super) registry: Running,
    pub(super) consul: Running,
}

impl Pair {
    /// Both started and prepared alike.
    pub(super) fn start(setup: &Setup, row: &str, prepare: impl Fn(&Running) -> Result<()>) -> Result<Pair> {
        let pair =
            Pair { registry: setup.start(Side::Registry, row)?, consul: setup.start(Side::Consul, row)? };
        prepare(&pair.registry).context("prepare the registry")?;
        prepare(&pair.consul).context("prepare Consul")?;
        Ok(pair)
    }

    pub(super) fn load(&self, setup: &Setup, connections: usize, scripts: &Scripts) -> Result<Turns> {
        self.turns(setup, |running| {
            let load = Load {
                target: running.server.address,
                connections,
                threads: setup.threads.min(connections),
                scripts: scripts.clone(),
                extent: Extent::Window { warm_up: Duration::from_millis(500), length: setup.window() },
            };
            load::run(&load, &running.server.process)
        })
    }

    pub(super) fn turns(
        &self,
        setup: &Setup,
        measure: impl Fn(&Running) -> Result<Outcome>,
    ) -> Result<Turns> {
        in_turns(setup.rounds(), || measure(&self.registry), || measure(&self.consul))
    }

    pub(super) fn stop(self) -> Result<()> {
        self.registry.server.process.stop().context("stop the registry")?;
        // It leaves its cluster first, which nobody has to wait for.
        self.consul.server.process.kill()
    }
}

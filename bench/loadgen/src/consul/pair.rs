//! Both servers in turns, so that what the machine does meanwhile falls on both.

use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::Setup;
use super::servers::{Running, Side};
use super::table::Figures;
use crate::load::{self, Extent, Load, Outcome, Scripts};
use crate::table::Latency;
use crate::versus::median;

pub(super) struct Pair {
    pub(super) registry: Running,
    pub(super) consul: Running,
}

pub(super) struct Turns {
    pub(super) registry: Figures,
    pub(super) consul: Figures,
    /// Median over the rounds of registry / Consul.
    pub(super) ratio: f64,
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
        let (mut registry, mut consul) = (Rounds::new()?, Rounds::new()?);
        for round in 0..setup.rounds() {
            // Who goes first changes, so that neither always has the warmer machine.
            if round % 2 == 0 {
                registry.add(measure(&self.registry).context("the registry")?)?;
                consul.add(measure(&self.consul).context("Consul")?)?;
            } else {
                consul.add(measure(&self.consul).context("Consul")?)?;
                registry.add(measure(&self.registry).context("the registry")?)?;
            }
        }
        let ratios = registry.per_second.iter().zip(&consul.per_second).map(|(ours, theirs)| ours / theirs);
        Ok(Turns { ratio: median(ratios.collect()), registry: registry.figures(), consul: consul.figures() })
    }

    pub(super) fn stop(self) -> Result<()> {
        self.registry.server.process.stop().context("stop the registry")?;
        // It leaves its cluster first, which nobody has to wait for.
        self.consul.server.process.kill()
    }
}

pub(super) struct Rounds {
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
    latency_us: Histogram<u64>,
}

impl Rounds {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { per_second: Vec::new(), cpu_us: Vec::new(), latency_us: load::new_histogram()? })
    }

    pub(super) fn add(&mut self, outcome: Outcome) -> Result<()> {
        self.per_second.push(outcome.per_second());
        self.cpu_us.push(outcome.cpu_us_per_operation());
        self.latency_us.add(outcome.latency_us).context("add histograms")
    }

    pub(super) fn figures(self) -> Figures {
        Figures {
            value: median(self.per_second),
            latency: Some(Latency::of_us(&self.latency_us)),
            cpu_us: Some(median(self.cpu_us)),
        }
    }
}

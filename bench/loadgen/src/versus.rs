//! The registry and the bare server in turns, so that what the machine does meanwhile falls on both.

use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use crate::load::{self, Extent, Load, Scripts};
use crate::rows::Bench;
use crate::server_process::Server;
use crate::table::Latency;

pub(crate) struct Versus {
    pub(crate) registry: Side,
    pub(crate) bare: Side,
    /// Median over the rounds of registry / bare.
    pub(crate) share: f64,
}

pub(crate) struct Side {
    pub(crate) per_second: f64,
    pub(crate) cpu_us: f64,
    pub(crate) latency: Latency,
}

pub(crate) struct Sides<'a> {
    pub(crate) registry: &'a Server,
    pub(crate) bare: &'a Server,
    pub(crate) connections: usize,
    pub(crate) scripts: Scripts,
}

/// `between` runs in every round, for the ceilings that are not a server.
pub(crate) fn alternate(
    bench: &Bench,
    sides: &Sides<'_>,
    mut between: impl FnMut() -> Result<()>,
) -> Result<Versus> {
    let mut registry = Rounds::new()?;
    let mut bare = Rounds::new()?;
    for round in 0..bench.rounds() {
        // Who goes first changes, so that neither always has the warmer machine.
        if round % 2 == 0 {
            registry.measure(bench, sides, sides.registry).context("the registry")?;
            bare.measure(bench, sides, sides.bare).context("the bare server")?;
        } else {
            bare.measure(bench, sides, sides.bare).context("the bare server")?;
            registry.measure(bench, sides, sides.registry).context("the registry")?;
        }
        between()?;
    }
    let shares =
        registry.per_second.iter().zip(&bare.per_second).map(|(ours, theirs)| ours / theirs).collect();
    Ok(Versus { registry: registry.side(), bare: bare.side(), share: median(shares) })
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
    let lower = values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}

struct Rounds {
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
    latency_us: Histogram<u64>,
}

impl Rounds {
    fn new() -> Result<Self> {
        Ok(Self { per_second: Vec::new(), cpu_us: Vec::new(), latency_us: load::new_histogram()? })
    }

    fn measure(&mut self, bench: &Bench, sides: &Sides<'_>, server: &Server) -> Result<()> {
        let load = Load {
            target: server.address,
            connections: sides.connections,
            threads: bench.threads_for(sides.connections),
            scripts: sides.scripts.clone(),
            extent: Extent::Window { warm_up: Duration::from_millis(400), length: bench.window() },
        };
        let outcome = load::run(&load, &server.process)?;
        self.per_second.push(outcome.per_second());
        self.cpu_us.push(outcome.cpu_us_per_operation());
        self.latency_us.add(outcome.latency_us).context("add histograms")
    }

    fn side(self) -> Side {
        Side {
            per_second: median(self.per_second),
            cpu_us: median(self.cpu_us),
            latency: Latency::of_us(&self.latency_us),
        }
    }
}

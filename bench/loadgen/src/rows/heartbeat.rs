//! Heartbeats of 10,000 instances over 64 connections.

use std::sync::Arc;

use anyhow::Result;

use super::{Bench, Fill, measured};
use crate::requests::{self, Repeat};
use crate::server_process::Server;
use crate::table::{Aim, Ceiling, Row, Unit};
use crate::versus::{self, Sides};

const NAME: &str = "heartbeat, 64 connections";
const CONNECTIONS: usize = 64;
const PREFIX: &str = "heart";
const INSTANCES: u64 = 10_000;
const AIM_SHARE: f64 = 0.7;

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    measured(NAME, || Ok(vec![row(bench)?]))
}

fn row(bench: &Bench) -> Result<Row> {
    let registry = bench.fresh_registry("heartbeat")?;
    let count = bench.scaled(INSTANCES);
    bench.fill(&registry, Fill { prefix: PREFIX, count, named: true })?;
    let requests: Arc<Vec<_>> =
        Arc::new((0..count).map(|n| requests::renew(&requests::instance_id(PREFIX, n))).collect());
    let sample = registry.caller()?.call(&requests::renew(&requests::instance_id(PREFIX, 0)))?;
    let bare = Server::bare(&bench.scratch, &sample, None)?;

    let stride = requests.len() / CONNECTIONS;
    let sides = Sides {
        registry: &registry,
        bare: &bare,
        connections: CONNECTIONS,
        scripts: Arc::new(move |index| Box::new(Repeat::starting_at(Arc::clone(&requests), index * stride))),
    };
    let versus = versus::alternate(bench, &sides, || Ok(()))?;
    bare.process.stop()?;
    registry.process.stop()?;

    let mut row = Row::new(NAME, Unit::PerSecond);
    row.value = Some(versus.registry.per_second);
    row.ceilings.push(Ceiling {
        what: "bare hyper",
        value: versus.bare.per_second,
        cpu_us: Some(versus.bare.cpu_us),
    });
    row.share = Some(versus.share);
    row.latency = Some(versus.registry.latency);
    row.server_cpu_us = Some(versus.registry.cpu_us);
    row.aim = Some(Aim { text: "share ≥ 70 %".to_owned(), met: versus.share >= AIM_SHARE });
    Ok(row)
}

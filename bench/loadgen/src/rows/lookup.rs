//! Look-up of a service of ten instances over 64 keep-alive connections.

use std::sync::Arc;

use anyhow::Result;

use super::{Bench, Fill, check_service, measured};
use crate::requests::{self, Repeat};
use crate::server_process::Server;
use crate::table::{Aim, Ceiling, Row, Unit};
use crate::versus::{self, Sides};

const NAME: &str = "look-up, 10 instances, 64 connections";
const CONNECTIONS: usize = 64;
const PREFIX: &str = "lookup";
const AIM_SHARE: f64 = 0.8;

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    measured(NAME, || Ok(vec![row(bench)?]))
}

fn row(bench: &Bench) -> Result<Row> {
    let registry = bench.fresh_registry("lookup")?;
    // A hundred services, so that the one that is asked for has to be found.
    bench.fill(&registry, Fill { prefix: PREFIX, count: 1000, named: false })?;
    let service = requests::service_of(PREFIX, 500);
    check_service(&registry, &service, requests::SERVICE_SIZE)?;
    let request = requests::look_up(&service);
    let sample = registry.caller()?.call(&request)?;
    let bare = Server::bare(&bench.scratch, &sample, None)?;

    let requests = Arc::new(vec![request]);
    let sides = Sides {
        registry: &registry,
        bare: &bare,
        connections: CONNECTIONS,
        scripts: Arc::new(move |index| Box::new(Repeat::starting_at(Arc::clone(&requests), index))),
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
    row.aim = Some(Aim { text: "share ≥ 80 %".to_owned(), met: versus.share >= AIM_SHARE });
    row.notes.push(format!("the reply has a body of {} bytes", sample.body.len()));
    Ok(row)
}

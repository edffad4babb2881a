//! Registration of distinct instances, each acknowledged when it is durable, at 1, 64 and 500 connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use super::{Bench, check_service, measured};
use crate::append::append_and_sync;
use crate::requests::{self, RegisterDistinct};
use crate::server_process::Server;
use crate::table::{Aim, Ceiling, Row, Unit, thousands};
use crate::versus::{self, Sides, median};

const PREFIX: &str = "durable";
const AIM_CONNECTIONS: usize = 500;
const AIM_PER_SECOND: f64 = 20_000.0;

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    [1, 64, AIM_CONNECTIONS]
        .into_iter()
        .flat_map(|connections| {
            let name = format!(
                "register, durable, {connections} connection{}",
                if connections == 1 { "" } else { "s" }
            );
            measured(&name, || Ok(vec![row(bench, &name, connections)?]))
        })
        .collect()
}

fn row(bench: &Bench, name: &str, connections: usize) -> Result<Row> {
    let registry = bench.fresh_registry(&format!("register-{connections}"))?;
    let record = requests::instance_body("sample", 0);
    let sample = registry.caller()?.call(&requests::register(&record))?;
    let bare = Server::bare(&bench.scratch, &sample, None)?;

    // Shared by all rounds on both servers: none of them sees an instance twice.
    let counter = Arc::new(AtomicU64::new(0));
    let scripts_counter = Arc::clone(&counter);
    let sides = Sides {
        registry: &registry,
        bare: &bare,
        connections,
        scripts: Arc::new(move |_| {
            let counter = Arc::clone(&scripts_counter);
            Box::new(RegisterDistinct {
                prefix: PREFIX,
                counter,
                limit: u64::MAX,
                named: false,
                body: Vec::new(),
            })
        }),
    };
    let mut appended = Vec::new();
    let versus = versus::alternate(bench, &sides, || {
        appended.push(append_and_sync(&bench.scratch, &record, connections, bench.window() / 2)?);
        Ok(())
    })?;
    let asked = counter.load(Ordering::Relaxed);
    // The first round was the registry's: its first service must be there with all its instances.
    check_service(&registry, &requests::service_of(PREFIX, 0), requests::SERVICE_SIZE)?;
    bare.process.stop()?;
    registry.process.stop()?;

    let appended = median(appended);
    let mut row = Row::new(name, Unit::PerSecond);
    row.value = Some(versus.registry.per_second);
    row.ceilings.push(Ceiling { what: "append + fsync", value: appended, cpu_us: None });
    row.ceilings.push(Ceiling {
        what: "bare hyper",
        value: versus.bare.per_second,
        cpu_us: Some(versus.bare.cpu_us),
    });
    row.share = Some(versus.registry.per_second / appended.min(versus.bare.per_second));
    row.latency = Some(versus.registry.latency);
    row.server_cpu_us = Some(versus.registry.cpu_us);
    row.aim = (connections == AIM_CONNECTIONS)
        .then(|| Aim { text: "≥ 20,000/s".to_owned(), met: versus.registry.per_second >= AIM_PER_SECOND });
    row.notes.push(format!(
        "the share is of the tighter ceiling; the bare hyper server makes nothing durable; appended records of {} \
         bytes in groups of {connections}; {} instances sent to both servers together",
        record.len(),
        thousands(asked as f64),
    ));
    Ok(row)
}

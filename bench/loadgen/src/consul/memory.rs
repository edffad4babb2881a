//! Resident memory with many instances.

use std::time::Duration;

use anyhow::Result;

use super::Setup;
use super::servers::{Running, Side};
use super::words::{SERVICE_SIZE, catalog_register, service_of};
use crate::common::measured;
use crate::compared::{Compared, Figures};
use crate::table::{Unit, thousands};

pub(super) fn rows(setup: &Setup) -> Vec<Compared> {
    [10_000, 100_000]
        .into_iter()
        .map(|count| {
            let count = setup.scaled(count);
            let name = format!("RSS, {} instances", thousands(count as f64));
            measured(&name, || row(setup, &name, count))
        })
        .collect()
}

struct Full {
    resident: Figures,
    filled_per_second: f64,
}

fn row(setup: &Setup, name: &str, count: u64) -> Result<Compared> {
    let measure = |side| -> Result<Full> {
        let running = setup.start(side, &format!("memory-{count}"))?;
        let filled = running.fill(setup, count, |n| catalog_register("crowd", n))?;
        check_everywhere(&running, count)?;
        // What the last writes left to do in the background is done by then.
        std::thread::sleep(Duration::from_secs(1));
        let value = running.server.process.memory()?.resident_bytes as f64 / 1e6;
        let full = Full {
            resident: Figures { value, latency: None, cpu_us: Some(filled.cpu_us_per_operation()) },
            filled_per_second: filled.per_second(),
        };
        running.server.process.kill()?;
        Ok(full)
    };
    let (registry, consul) = (measure(Side::Registry)?, measure(Side::Consul)?);
    let note = format!(
        "filled by catalog/register over 64 connections at {}/s and {}/s; CPU/op is that of filling",
        thousands(registry.filled_per_second),
        thousands(consul.filled_per_second)
    );
    Ok(Compared::cost(name, Unit::Megabytes, registry.resident, consul.resident).note(note))
}

fn check_everywhere(running: &Running, count: u64) -> Result<()> {
    for n in [0, count / 2, count - 1] {
        let path = format!("/v1/health/service/{}", service_of("crowd", n));
        running.expect(&path, SERVICE_SIZE as usize)?;
    }
    Ok(())
}

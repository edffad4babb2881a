//! Resident memory with many instances.

use std::time::Duration;

use anyhow::Result;

use super::Setup;
use super::servers::{Place, Side};
use super::words::{Fetch, heartbeat, register};
use crate::common::measured;
use crate::compared::{Compared, Figures};
use crate::table::{Unit, thousands};

pub(super) fn row(setup: &Setup) -> Compared {
    let count = setup.scaled(10_000);
    let name = format!("RSS, {} instances", thousands(count as f64));
    measured(&name, || {
        let (registry, registry_start) = full(setup, Side::Registry, count)?;
        let (eureka, eureka_start) = full(setup, Side::Eureka, count)?;
        let note = format!(
            "after filling, a heartbeat of each and a full fetch in each form; {registry_start:.0} MB and {eureka_start:.0} MB when empty; the real one has -Xmx1g"
        );
        Ok(Compared::cost(&name, Unit::Megabytes, registry, eureka).note(note))
    })
}

fn full(setup: &Setup, side: Side, count: u64) -> Result<(Figures, f64)> {
    let running = setup.start(side, "memory", &Place::alone()?)?;
    let megabytes = || -> Result<f64> { Ok(running.server.process.memory()?.resident_bytes as f64 / 1e6) };
    let empty = megabytes()?;
    running.fill(setup, count, |n| register("crowd", n, 0))?;
    running.fill(setup, count, |n| heartbeat("crowd", n))?;
    running.wait_for("/eureka/apps", Fetch::PLAIN, |shown| shown as u64 == count)?;
    for fetch in Fetch::ALL {
        running.send(&fetch.request("/eureka/apps"))?;
    }
    // What the last writes left to do in the background is done by then.
    std::thread::sleep(Duration::from_secs(1));
    let figures = Figures { value: megabytes()?, latency: None, cpu_us: None };
    running.server.process.kill()?;
    Ok((figures, empty))
}

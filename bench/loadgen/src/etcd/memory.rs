//! Resident memory with many keys.

use std::time::Duration;

use anyhow::Result;

use super::Setup;
use super::rows;
use super::servers::Side;
use crate::common::measured;
use crate::compared::{Compared, Figures};
use crate::table::{Unit, thousands};

pub(super) fn rows(setup: &Setup) -> Vec<Compared> {
    let keys = setup.scaled(100_000);
    let name = format!("RSS, {} keys of 1 KiB", thousands(keys as f64));
    vec![measured(&name, || row(setup, &name, keys))]
}

fn row(setup: &Setup, name: &str, keys: u64) -> Result<Compared> {
    let measure = |side| -> Result<(Figures, f64)> {
        let running = setup.start(side, "memory")?;
        let filled = rows::fill(setup, &running, keys)?;
        running.expect(b"fill/", b"fill0", keys)?;
        // What the last writes left to do in the background is done by then.
        std::thread::sleep(Duration::from_secs(2));
        let value = running.server.process.memory()?.resident_bytes as f64 / 1e6;
        running.server.process.kill()?;
        let figures = Figures { value, latency: None, cpu_us: Some(filled.cpu_us_per_operation()) };
        Ok((figures, filled.per_second()))
    };
    let ((registry, ours), (etcd, theirs)) = (measure(Side::Registry)?, measure(Side::Etcd)?);
    let note = format!(
        "filled by 200 clients at {}/s and {}/s; CPU/op is that of filling",
        thousands(ours),
        thousands(theirs)
    );
    Ok(Compared::cost(name, Unit::Megabytes, registry, etcd).note(note))
}

//! Two servers that tell each other everything: how long until both know ten thousand instances, and what it costs both.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Setup;
use super::servers::{Place, Running, Side};
use super::words::{Fetch, heartbeat, instance, register};
use crate::common::measured;
use crate::compared::{Compared, Figures};
use crate::table::{Latency, Unit, thousands};

const PATIENCE: Duration = Duration::from_secs(180);
/// Rounds of registering everything before it counts.
const WARM_UPS: u64 = 3;
const HEARTBEATS: u64 = 4;

pub(super) fn rows(setup: &Setup) -> Vec<Compared> {
    let count = setup.scaled(10_000);
    let told = format!("two peers, {} registered at one, known to both", thousands(count as f64));
    let beats = format!("two peers, heartbeats of {}", thousands(count as f64));
    let both = || -> Result<[(Figures, Figures); 2]> {
        Ok([
            pair(setup, Side::Registry, count).context("the registry")?,
            pair(setup, Side::Eureka, count).context("Eureka")?,
        ])
    };
    let mut second = None;
    let first = measured(&told, || {
        let [registry, eureka] = both()?;
        let note = "CPU of both servers together, to the end of the telling".to_owned();
        second = Some(Compared::times(&beats, registry.1, eureka.1).note(note.clone()));
        Ok(Compared::cost(&told, Unit::Seconds, registry.0, eureka.0).note(note))
    });
    std::iter::once(first).chain(second).collect()
}

fn pair(setup: &Setup, side: Side, count: u64) -> Result<(Figures, Figures)> {
    let [one, two] = Place::two()?;
    let one = setup.start(side, "peers-one", &one)?;
    let two = setup.start(side, "peers-two", &two)?;
    let cpu =
        || -> Result<f64> { Ok((one.server.process.cpu()? + two.server.process.cpu()?).as_secs_f64() * 1e6) };
    if !setup.quick {
        // Again and again the same, and never cancelled: of that a busy real one loses half, since it gives a cancellation
        // half a minute to get through, and never finds out.
        for version in 0..WARM_UPS {
            one.fill(setup, count, move |n| register("warm", n, version))?;
            until_all(&two, "warm", count)?;
            settled(&cpu)?;
        }
    }
    let (cpu_before, begin) = (cpu()?, Instant::now());
    one.fill(setup, count, |n| register("crowd", n, 0))?;
    until_known(&two, "crowd", count)?;
    let value = begin.elapsed().as_secs_f64();
    let cpu_us = Some((settled(&cpu)? - cpu_before) / count as f64);
    until_all(&two, "crowd", count)?;
    let told = Figures { value, latency: None, cpu_us };

    let cpu_before = cpu()?;
    let beats = count * HEARTBEATS;
    let outcome = one.fill(setup, beats, move |n| heartbeat("crowd", n % count))?;
    let cpu_us = Some((settled(&cpu)? - cpu_before) / beats as f64);
    let latency = Some(Latency::of_us(&outcome.latency_us));
    let beating = Figures { value: outcome.per_second(), latency, cpu_us };
    one.server.process.kill()?;
    two.server.process.kill()?;
    Ok((told, beating))
}

/// The last of them reach a peer last, though not in any order.
fn until_known(server: &Running, prefix: &str, count: u64) -> Result<()> {
    let mut caller = server.server.caller()?;
    let begin = Instant::now();
    for n in count.saturating_sub(200)..count {
        while caller.call(&instance(prefix, n)).is_err() {
            ensure!(begin.elapsed() < PATIENCE, "instance {n} is never told");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

/// Until it shows all whose applications begin so.
fn until_all(server: &Running, prefix: &str, count: u64) -> Result<()> {
    let fetch = Fetch::PLAIN.request("/eureka/apps");
    let sign = format!("\"app\":\"{}-", prefix.to_ascii_uppercase());
    let begin = Instant::now();
    loop {
        let body = server.send(&fetch)?.body;
        let shown = body.windows(sign.len()).filter(|window| *window == sign.as_bytes()).count();
        if shown as u64 == count {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "it shows {shown} instances of {prefix}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The processor time when nothing is being told any more.
fn settled(cpu: &impl Fn() -> Result<f64>) -> Result<f64> {
    const QUIET_US: f64 = 30_000.0;
    let begin = Instant::now();
    let mut before = cpu()?;
    loop {
        std::thread::sleep(Duration::from_millis(700));
        let now = cpu()?;
        if now - before <= QUIET_US || begin.elapsed() > Duration::from_secs(20) {
            return Ok(now);
        }
        before = now;
    }
}

//! From sending a registration to the first delta that shows it: when a client that asks all the time would know.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Setup;
use super::rows::Warm;
use super::servers::Running;
use super::words::{Fetch, cancel, id_of, register};
use crate::client::Caller;
use crate::common::measured;
use crate::compared::{Compared, Figures};
use crate::load::new_histogram;
use crate::table::{Latency, Unit};
use crate::versus::median;

/// For so long the real one shows the same answer.
const KEPT: Duration = Duration::from_secs(30);
const NAME: &str = "from register to the first delta that has it";

pub(super) fn row(setup: &Setup, warm: &Warm) -> Compared {
    measured(NAME, || {
        let registry = times(&warm.registry, setup.scaled(200), Duration::from_millis(50))?;
        let eureka = times(&warm.eureka, setup.scaled(60).min(6), KEPT)?;
        let note = "the real one keeps its answers for 30 s by default".to_owned();
        Ok(Compared::cost(NAME, Unit::Milliseconds, registry, eureka).note(note))
    })
}

fn times(server: &Running, count: u64, period: Duration) -> Result<Figures> {
    let fetch = Fetch::PLAIN.request("/eureka/apps/delta");
    let (mut writer, mut reader) = (server.server.caller()?, server.server.caller()?);
    let mut latency_us = new_histogram()?;
    let mut all = Vec::new();
    for n in 0..count {
        // Spread over the time after which whatever comes round is there again.
        std::thread::sleep(period.mul_f64((n as f64 * 0.618).fract()));
        let begin = Instant::now();
        writer.call(&register("seen", n, 0))?;
        until_seen(&mut reader, &fetch, &id_of("seen", n))?;
        let took = begin.elapsed();
        latency_us.record(u64::try_from(took.as_micros())?)?;
        all.push(took.as_secs_f64() * 1e3);
    }
    for n in 0..count {
        writer.call(&cancel("seen", n))?;
    }
    Ok(Figures { value: median(all), latency: Some(Latency::of_us(&latency_us)), cpu_us: None })
}

fn until_seen(reader: &mut Caller, fetch: &[u8], id: &str) -> Result<()> {
    let sign = format!("\"instanceId\":\"{id}\"");
    let begin = Instant::now();
    loop {
        let reply = reader.call(fetch)?;
        if reply.body.windows(sign.len()).any(|window| window == sign.as_bytes()) {
            return Ok(());
        }
        ensure!(begin.elapsed() < Duration::from_secs(90), "{id} is never seen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

//! Ten thousand blocking queries on one service, and one change: when the last of them was answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use futures_util::StreamExt;

use super::Setup;
use super::servers::{Running, Side};
use super::words::{SERVICE_SIZE, agent_register, service_of};
use crate::client::Connection;
use crate::common::measured;
use crate::compared::{Compared, Figures};
use crate::load::{new_histogram, share_of};
use crate::requests;
use crate::table::{Latency, Unit, thousands};
use crate::versus::median;

/// Opened at a time by each thread, so that the accept queue does not overflow.
const OPENING: usize = 64;
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) fn rows(setup: &Setup) -> Vec<Compared> {
    let waiting = setup.scaled(10_000) as usize;
    let name = format!("{} blocking queries, last answered", thousands(waiting as f64));
    vec![measured(&name, || row(setup, &name, waiting))]
}

fn row(setup: &Setup, name: &str, waiting: usize) -> Result<Compared> {
    ensure!(
        setup.descriptors as usize > waiting + 300,
        "{waiting} queries need more than the {} descriptors that are allowed",
        setup.descriptors
    );
    let measure = |side| -> Result<Woken> {
        let running = setup.start(side, "blocking")?;
        running.fill(setup, SERVICE_SIZE, |n| agent_register("woken", n, 0))?;
        let mut rounds = Vec::new();
        for round in 0..setup.rounds() {
            rounds.push(wake(setup, &running, waiting, round as u64 + 1)?);
        }
        running.server.process.kill()?;
        let last_ms = median(rounds.iter().map(|round| round.last_ms).collect());
        let cpu_us = median(rounds.iter().map(|round| round.cpu_us).collect());
        let latest = rounds.pop().context("no round")?;
        Ok(Woken { last_ms, cpu_us, ..latest })
    };
    let registry = measure(Side::Registry).context("the registry")?;
    let consul = measure(Side::Consul).context("Consul")?;
    let note = format!(
        "{} changes, each a registration; bodies of {} and {} bytes; RSS with all waiting {:.0} MB and {:.0} MB",
        setup.rounds(),
        thousands(registry.body_bytes as f64),
        thousands(consul.body_bytes as f64),
        registry.resident_mb,
        consul.resident_mb
    );
    Ok(Compared::cost(name, Unit::Milliseconds, registry.figures(), consul.figures()).note(note))
}

struct Woken {
    last_ms: f64,
    latency: Latency,
    cpu_us: f64,
    body_bytes: usize,
    resident_mb: f64,
}

impl Woken {
    fn figures(&self) -> Figures {
        Figures { value: self.last_ms, latency: Some(self.latency), cpu_us: Some(self.cpu_us) }
    }
}

/// An answer, and how large it was.
struct Answered {
    at: Instant,
    bytes: usize,
}

fn wake(setup: &Setup, running: &Running, waiting: usize, version: u64) -> Result<Woken> {
    let path = format!("/v1/health/service/{}", service_of("woken", 0));
    let index = running.get(&path)?.index.context("an answer without an index")?;
    let request = requests::get(&format!("{path}?index={index}&wait=5m"));
    let asked = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let crowds: Vec<_> = (0..setup.threads)
            .map(|thread| {
                let count = share_of(waiting, setup.threads, thread).len();
                let (request, asked) = (request.clone(), Arc::clone(&asked));
                scope.spawn(move || crowd(running.server.address, count, &request, &asked))
            })
            .collect();
        let begin = Instant::now();
        while asked.load(Ordering::Acquire) < waiting && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        // The last of them has been read and waits by then.
        std::thread::sleep(Duration::from_secs(if setup.quick { 1 } else { 3 }));
        let resident_mb = running.server.process.memory()?.resident_bytes as f64 / 1e6;
        let cpu_before = running.server.process.cpu()?;
        let changed = Instant::now();
        let change = running.send(&agent_register("woken", 0, version)).context("make the change");
        let mut latency_us = new_histogram()?;
        let (mut last, mut answered, mut body_bytes) = (Duration::ZERO, 0, 0);
        for crowd in crowds {
            for one in crowd.join().map_err(|_| anyhow!("a thread of the crowd panicked"))?? {
                ensure!(one.at >= changed, "a query was answered before anything had changed");
                let took = one.at.saturating_duration_since(changed);
                latency_us.record(u64::try_from(took.as_micros())?)?;
                last = last.max(took);
                answered += 1;
                body_bytes = one.bytes;
            }
        }
        change?;
        ensure!(answered == waiting, "{answered} of {waiting} queries were answered");
        let cpu = running.server.process.cpu()?.saturating_sub(cpu_before);
        Ok(Woken {
            last_ms: last.as_secs_f64() * 1e3,
            latency: Latency::of_us(&latency_us),
            cpu_us: cpu.as_secs_f64() * 1e6 / waiting as f64,
            body_bytes,
            resident_mb,
        })
    })
}

/// One thread's queries.
fn crowd(
    target: SocketAddr,
    count: usize,
    request: &[u8],
    asked: &Arc<AtomicUsize>,
) -> Result<Vec<Answered>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opening = (0..count).map(|_| Connection::open(target));
        let mut opening = futures_util::stream::iter(opening).buffer_unordered(OPENING);
        let mut queries = tokio::task::JoinSet::new();
        while let Some(connection) = opening.next().await {
            let mut connection = connection?;
            let (request, asked) = (request.to_vec(), Arc::clone(asked));
            queries.spawn(async move {
                asked.fetch_add(1, Ordering::AcqRel);
                let reply = connection.exchange(&request).await?;
                ensure!(reply.status == 200, "{}", crate::client::refusal(&reply));
                Ok(Answered { at: Instant::now(), bytes: reply.body.len() })
            });
        }
        let mut answered = Vec::with_capacity(count);
        tokio::time::timeout(PATIENCE, async {
            while let Some(one) = queries.join_next().await {
                answered.push(one??);
            }
            anyhow::Ok(())
        })
        .await
        .context("not all queries were answered in time")??;
        Ok(answered)
    })
}

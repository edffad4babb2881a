//! Ten thousand watchers of one service, one change: when the last of them was told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{Bench, measured};
use crate::client::OwnedReply;
use crate::load::{new_histogram, share_of};
use crate::process::Memory;
use crate::requests;
use crate::server_process::Server;
use crate::sse;
use crate::table::{Aim, Ceiling, Latency, Row, Unit};
use crate::versus::median;

const PREFIX: &str = "watched";
const AIM_P99_MS: f64 = 100.0;
/// Opened at a time by each thread, so that the accept queue does not overflow.
const OPENING: usize = 64;

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    let name = format!("watch fan-out, {} watchers, last told", bench.watchers);
    measured(&name, || Ok(vec![row(bench, &name)?]))
}

fn row(bench: &Bench, name: &str) -> Result<Row> {
    ensure!(
        bench.descriptors as usize > bench.watchers + 200,
        "{} watchers need more than the {} descriptors that are allowed",
        bench.watchers,
        bench.descriptors
    );
    let changes = if bench.quick { 5 } else { 20 };
    let registry = bench.fresh_registry("watch")?;
    let first = requests::register(&requests::instance_body(PREFIX, 0));
    registry.caller()?.call(&first)?;
    let ours = fan_out(bench, &registry, changes).context("the registry")?;
    registry.process.stop()?;

    let nothing =
        OwnedReply { content_type: "application/json".to_owned(), index: None, body: b"{}".to_vec() };
    let bare = Server::bare(&bench.scratch, &nothing, Some(ours.event_bytes))?;
    let theirs = fan_out(bench, &bare, changes).context("the bare server")?;
    bare.process.stop()?;

    let mut row = Row::new(name, Unit::Milliseconds);
    row.value = Some(ours.last_ms);
    row.ceilings.push(Ceiling { what: "bare hyper", value: theirs.last_ms, cpu_us: Some(theirs.cpu_us) });
    row.share = Some(theirs.last_ms / ours.last_ms);
    row.latency = Some(ours.latency);
    row.server_cpu_us = Some(ours.cpu_us);
    row.aim = Some(Aim { text: "p99 ≤ 100 ms".to_owned(), met: ours.latency.p99_ms <= AIM_P99_MS });
    row.notes.push(format!(
        "{changes} single changes, event of {} bytes; 'last told' is the median over the changes, the percentiles are over all events ({:.1} ms p99 from the bare server), CPU is per event told; RSS with all watchers {:.0} MB (peak {:.0} MB)",
        ours.event_bytes,
        theirs.latency.p99_ms,
        ours.memory.resident_bytes as f64 / 1e6,
        ours.memory.peak_bytes as f64 / 1e6
    ));
    Ok(row)
}

struct FanOut {
    /// Median over the changes of the time until the last watcher was told.
    last_ms: f64,
    /// Over all events at all watchers.
    latency: Latency,
    cpu_us: f64,
    event_bytes: usize,
    memory: Memory,
}

/// An event at one watcher.
struct Told {
    revision: u64,
    at: Instant,
}

#[derive(Default)]
struct Crowd {
    opened: AtomicUsize,
    told: AtomicUsize,
    event_bytes: AtomicUsize,
    /// A watcher lost its stream; the row cannot succeed any more.
    broken: AtomicBool,
    over: AtomicBool,
}

impl Crowd {
    fn wait_for(&self, counter: &AtomicUsize, count: usize, patience: Duration) -> Result<()> {
        let begin = Instant::now();
        while counter.load(Ordering::Acquire) < count {
            ensure!(!self.broken.load(Ordering::Acquire), "a watcher lost its stream");
            if begin.elapsed() > patience {
                bail!("{} of {count} after {patience:?}", counter.load(Ordering::Acquire));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

fn fan_out(bench: &Bench, server: &Server, changes: u64) -> Result<FanOut> {
    let crowd = Arc::new(Crowd::default());
    std::thread::scope(|scope| {
        let audiences: Vec<_> = (0..bench.threads)
            .map(|thread| {
                let share = share_of(bench.watchers, bench.threads, thread);
                let crowd = Arc::clone(&crowd);
                scope.spawn(move || audience(server.address, share, &crowd))
            })
            .collect();
        let performed = perform(bench, server, changes, &crowd);
        crowd.over.store(true, Ordering::Release);
        let mut told = Vec::new();
        for audience in audiences {
            // What a watcher saw explains a failed performance better than the performance does.
            told.extend(audience.join().map_err(|_| anyhow!("a watch thread panicked"))??);
        }
        performed?.sum_up(&told, bench.watchers, crowd.event_bytes.load(Ordering::Relaxed))
    })
}

struct Performance {
    /// By revision: when the request for the change was sent.
    sent: HashMap<u64, Instant>,
    cpu: Duration,
    memory: Memory,
}

/// Waits for the crowd, then makes the changes, each after everybody was told of the one before.
fn perform(bench: &Bench, server: &Server, changes: u64, crowd: &Crowd) -> Result<Performance> {
    const OPEN_PATIENCE: Duration = Duration::from_secs(60);
    const TELL_PATIENCE: Duration = Duration::from_secs(20);
    crowd.wait_for(&crowd.opened, bench.watchers, OPEN_PATIENCE).context("open the watches")?;
    // Whatever a server tells a new watcher at once is not a part of the measurement.
    std::thread::sleep(Duration::from_millis(1000));
    let told_before = crowd.told.load(Ordering::Acquire);
    let mut caller = server.caller()?;
    let mut sent = HashMap::new();
    let cpu_before = server.process.cpu()?;
    for change in 1..=changes {
        let request = requests::register(&requests::instance_body_of_version(PREFIX, 0, change));
        let at = Instant::now();
        let reply = caller.call(&request).context("make a change")?;
        let answer: serde_json::Value = serde_json::from_slice(&reply.body)?;
        let revision = answer.get("revision").and_then(serde_json::Value::as_u64).context("no revision")?;
        sent.insert(revision, at);
        let expected = told_before + bench.watchers * usize::try_from(change)?;
        crowd.wait_for(&crowd.told, expected, TELL_PATIENCE).context("tell the watchers")?;
        std::thread::sleep(Duration::from_millis(50));
    }
    ensure!(sent.len() as u64 == changes, "{changes} changes gave {} revisions", sent.len());
    let cpu = server.process.cpu()?.saturating_sub(cpu_before);
    Ok(Performance { sent, cpu, memory: server.process.memory()? })
}

impl Performance {
    fn sum_up(&self, told: &[Told], watchers: usize, event_bytes: usize) -> Result<FanOut> {
        let mut latency_us = new_histogram()?;
        let mut by_change: HashMap<u64, (usize, Duration)> = HashMap::new();
        for event in told {
            // Events of before the first change have no entry.
            let Some(sent) = self.sent.get(&event.revision) else { continue };
            let took = event.at.saturating_duration_since(*sent);
            latency_us.record(u64::try_from(took.as_micros())?)?;
            let (count, last) = by_change.entry(event.revision).or_default();
            *count += 1;
            *last = took.max(*last);
        }
        ensure!(by_change.len() == self.sent.len(), "events of {} changes", by_change.len());
        for (revision, (count, _)) in &by_change {
            ensure!(*count == watchers, "revision {revision} reached {count} of {watchers} watchers");
        }
        let events = (watchers * self.sent.len()) as f64;
        Ok(FanOut {
            last_ms: median(by_change.values().map(|(_, last)| last.as_secs_f64() * 1e3).collect()),
            latency: Latency::of_us(&latency_us),
            cpu_us: self.cpu.as_secs_f64() * 1e6 / events,
            event_bytes,
            memory: self.memory,
        })
    }
}

/// One thread's watchers.
fn audience(target: SocketAddr, share: Range<usize>, crowd: &Arc<Crowd>) -> Result<Vec<Told>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listened = runtime.block_on(async {
        // Everything told goes to one list; tasks share it through a channel because they have to be `Send`.
        let (notes, mut list) = mpsc::unbounded_channel();
        let opening = share.map(|_| open(target, crowd));
        let mut opening = futures_util::stream::iter(opening).buffer_unordered(OPENING);
        while let Some(watcher) = opening.next().await {
            tokio::spawn(watcher?.listen(Arc::clone(crowd), notes.clone()));
        }
        while !crowd.over.load(Ordering::Acquire) && !crowd.broken.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut told = Vec::new();
        while let Ok(note) = list.try_recv() {
            told.push(note?);
        }
        Ok(told)
    });
    if listened.is_err() {
        crowd.broken.store(true, Ordering::Release);
    }
    listened
}

struct Watcher {
    stream: TcpStream,
    reader: sse::Reader,
}

/// Done when the server has accepted the watch: from then on it owes the changes.
async fn open(target: SocketAddr, crowd: &Crowd) -> Result<Watcher> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let request = requests::watch(&requests::service_of(PREFIX, 0));
    let accepted = async {
        let mut stream = TcpStream::connect(target).await.context("connect")?;
        stream.write_all(&request).await?;
        let mut head = Vec::with_capacity(1024);
        loop {
            ensure!(stream.read_buf(&mut head).await? > 0, "the server closed a new watch");
            if let Some((length, mut reader)) = sse::parse_head(&head)? {
                reader.feed(head.get(length..).unwrap_or_default(), |_| {})?;
                return Ok(Watcher { stream, reader });
            }
        }
    };
    let watcher =
        tokio::time::timeout(PATIENCE, accepted).await.context("a watch was not accepted in time")??;
    crowd.opened.fetch_add(1, Ordering::AcqRel);
    Ok(watcher)
}

impl Watcher {
    async fn listen(mut self, crowd: Arc<Crowd>, notes: mpsc::UnboundedSender<Result<Told>>) {
        if let Err(error) = self.hear(&crowd, &notes).await {
            let _ = notes.send(Err(error.context("a watcher")));
            crowd.broken.store(true, Ordering::Release);
        }
    }

    async fn hear(&mut self, crowd: &Crowd, notes: &mpsc::UnboundedSender<Result<Told>>) -> Result<()> {
        let mut last_revision = 0;
        loop {
            std::future::poll_fn(|context| {
                // On the stack of the poll: ten thousand waiting buffers would be memory for nothing.
                let mut inbox = [0; 2048];
                let mut inbox = ReadBuf::new(&mut inbox);
                ready!(Pin::new(&mut self.stream).poll_read(context, &mut inbox))?;
                let at = Instant::now();
                if inbox.filled().is_empty() {
                    return Poll::Ready(Err(anyhow!("the server closed the stream")));
                }
                self.reader.feed(inbox.filled(), |event| {
                    if event.revision > last_revision {
                        last_revision = event.revision;
                        crowd.event_bytes.store(event.bytes, Ordering::Relaxed);
                        let _ = notes.send(Ok(Told { revision: event.revision, at }));
                        crowd.told.fetch_add(1, Ordering::AcqRel);
                    }
                })?;
                Poll::Ready(anyhow::Ok(()))
            })
            .await?;
        }
    }
}

//! Many connections, each asking again as soon as it was answered, for a while or until the requests run out.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::client::{self, Connection};
use crate::process::Process;

/// What one connection asks.
pub(crate) trait Script: Send {
    /// Replaces the request by the next one; false when there is none left.
    fn next(&mut self, request: &mut Vec<u8>) -> bool;
}

pub(crate) type Scripts = Arc<dyn Fn(usize) -> Box<dyn Script> + Send + Sync>;

pub(crate) struct Load {
    pub(crate) target: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) scripts: Scripts,
    pub(crate) extent: Extent,
}

#[derive(Clone, Copy)]
pub(crate) enum Extent {
    /// Count only what was answered within the length, after the warm-up.
    Window { warm_up: Duration, length: Duration },
    /// Every connection to the end of its script.
    UntilDone { patience: Duration, total: u64 },
}

/// Only made of runs without a single failure.
pub(crate) struct Outcome {
    pub(crate) operations: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latency_us: Histogram<u64>,
    pub(crate) server_cpu: Duration,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    pub(crate) fn cpu_us_per_operation(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / (self.operations.max(1)) as f64
    }
}

/// Who loads: so many tasks, on so many threads.
pub(crate) struct Crowd {
    pub(crate) size: usize,
    pub(crate) threads: usize,
    pub(crate) extent: Extent,
}

pub(crate) fn run(load: &Load, server: &Process) -> Result<Outcome> {
    let crowd = Crowd { size: load.connections, threads: load.threads, extent: load.extent };
    crowd.run(server, |index, turn| converse(load.target, (load.scripts)(index), turn))
}

impl Crowd {
    /// Threads with a runtime of one thread each: no work is stolen and no task is woken across cores, which costs
    /// the cores it shares with the server less than one runtime over all of them.
    pub(crate) fn run<F, Fut>(&self, server: &Process, one: F) -> Result<Outcome>
    where
        F: Fn(usize, Turn) -> Fut + Sync,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let stage = Arc::new(Stage::default());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let (stage, one) = (Arc::clone(&stage), &one);
                    let share = share_of(self.size, self.threads, thread);
                    scope.spawn(move || self.work(share, stage, one))
                })
                .collect();
            let window = self.conduct(&stage, server);
            stage.phase.store(Stage::OVER, Ordering::Release);
            let mut total = Tally::new()?;
            for worker in workers {
                total.add(worker.join().map_err(|_| anyhow!("a load thread panicked"))??)?;
            }
            // A refusal explains a window that did not open better than the window does.
            if total.failures > 0 {
                bail!(
                    "{} of {} requests failed; first: {}",
                    total.failures,
                    total.asked,
                    total.first_failure
                );
            }
            let (elapsed, server_cpu) = window?;
            if total.operations == 0 {
                bail!("nothing was answered");
            }
            Ok(Outcome { operations: total.operations, elapsed, latency_us: total.latency_us, server_cpu })
        })
    }
}

pub(crate) fn share_of(count: usize, threads: usize, thread: usize) -> Range<usize> {
    count * thread / threads..count * (thread + 1) / threads
}

pub(crate) fn new_histogram() -> Result<Histogram<u64>> {
    Histogram::new(3).context("make a histogram")
}

#[derive(Default)]
struct Stage {
    phase: AtomicU8,
    connected: AtomicUsize,
    finished: AtomicUsize,
    answered: AtomicU64,
    /// A connection could not be opened: waiting for it would be in vain.
    broken: AtomicBool,
}

impl Stage {
    /// Before it, 0: warming up.
    const MEASURE: u8 = 1;
    const OVER: u8 = 2;

    fn is(&self, phase: u8) -> bool {
        self.phase.load(Ordering::Acquire) == phase
    }

    fn wait_until(&self, patience: Duration, done: impl Fn() -> bool) -> Result<()> {
        let begin = Instant::now();
        while !done() {
            if self.broken.load(Ordering::Acquire) {
                bail!("the load could not be set up");
            }
            if begin.elapsed() > patience {
                bail!("not done after {patience:?}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Crowd {
    /// Leads the load through its phases and reads the clocks at their edges.
    fn conduct(&self, stage: &Stage, server: &Process) -> Result<(Duration, Duration)> {
        const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
        let all_connected = || stage.connected.load(Ordering::Acquire) == self.size;
        match self.extent {
            Extent::Window { warm_up, length } => {
                stage.wait_until(CONNECT_PATIENCE, all_connected).context("open the connections")?;
                std::thread::sleep(warm_up);
                let cpu_before = server.cpu()?;
                stage.phase.store(Stage::MEASURE, Ordering::Release);
                let begin = Instant::now();
                std::thread::sleep(length);
                stage.phase.store(Stage::OVER, Ordering::Release);
                Ok((begin.elapsed(), server.cpu()?.saturating_sub(cpu_before)))
            }
            Extent::UntilDone { patience, total } => {
                let cpu_before = server.cpu()?;
                stage.phase.store(Stage::MEASURE, Ordering::Release);
                let begin = Instant::now();
                let said = RefCell::new(begin);
                stage.wait_until(patience, || {
                    if said.borrow().elapsed() > Duration::from_secs(5) {
                        *said.borrow_mut() = Instant::now();
                        eprintln!("    {} of {total}", stage.answered.load(Ordering::Relaxed));
                    }
                    stage.finished.load(Ordering::Acquire) == self.size
                })?;
                Ok((begin.elapsed(), server.cpu()?.saturating_sub(cpu_before)))
            }
        }
    }

    fn work<F, Fut>(&self, share: Range<usize>, stage: Arc<Stage>, one: &F) -> Result<Tally>
    where
        F: Fn(usize, Turn) -> Fut + Sync,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ledger = Arc::new(Ledger(Mutex::new(Tally::new()?)));
        let patience = match self.extent {
            Extent::Window { warm_up, length } => warm_up + length + Duration::from_secs(50),
            Extent::UntilDone { patience, .. } => patience + Duration::from_secs(5),
        };
        let in_time = runtime.block_on(async {
            let mut conversations = JoinSet::new();
            for index in share {
                let turn = Turn { stage: Arc::clone(&stage), ledger: Arc::clone(&ledger) };
                let (conversation, stage) = (one(index, turn), Arc::clone(&stage));
                conversations.spawn(async move {
                    conversation.await;
                    stage.finished.fetch_add(1, Ordering::AcqRel);
                });
            }
            tokio::time::timeout(patience, conversations.join_all()).await
        });
        if in_time.is_err() {
            ledger.open().fail("a request was never answered".to_owned());
        }
        Ok(std::mem::replace(&mut *ledger.open(), Tally::new()?))
    }
}

/// What one of the crowd says of how it goes.
pub(crate) struct Turn {
    stage: Arc<Stage>,
    ledger: Arc<Ledger>,
}

impl Turn {
    pub(crate) fn connected(&self) {
        self.stage.connected.fetch_add(1, Ordering::AcqRel);
    }

    /// It could not even connect: nobody has to wait for it.
    pub(crate) fn broken(&self, why: String) {
        self.stage.broken.store(true, Ordering::Release);
        self.failed(why);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stage.is(Stage::OVER)
    }

    pub(crate) fn answered(&self, latency: Duration) {
        if self.stage.is(Stage::MEASURE) {
            self.ledger.open().answered(latency);
            self.stage.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn failed(&self, why: String) {
        self.ledger.open().fail(why);
    }
}

async fn converse(target: SocketAddr, script: Box<dyn Script>, turn: Turn) {
    match Connection::open(target).await {
        Ok(connection) => {
            turn.connected();
            ask(connection, script, &turn).await;
        }
        Err(error) => turn.broken(format!("{error:#}")),
    }
}

async fn ask(mut connection: Connection, mut script: Box<dyn Script>, turn: &Turn) {
    /// A connection that is refused this often has told what there is to tell.
    const MOST_REFUSALS: usize = 100;
    let mut request = Vec::new();
    let mut refusals = 0;
    while !turn.is_over() && refusals < MOST_REFUSALS && script.next(&mut request) {
        let sent = Instant::now();
        match connection.exchange(&request).await {
            Ok(reply) if reply.is_fine() => turn.answered(sent.elapsed()),
            Ok(reply) => {
                refusals += 1;
                turn.failed(client::refusal(&reply));
            }
            Err(error) => return turn.failed(format!("{error:#}")),
        }
    }
}

/// One per thread, so its lock is never contended; it is there because tasks have to be `Send`.
struct Ledger(Mutex<Tally>);

impl Ledger {
    fn open(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Tally {
    operations: u64,
    asked: u64,
    failures: u64,
    first_failure: String,
    latency_us: Histogram<u64>,
}

impl Tally {
    fn new() -> Result<Self> {
        let latency_us = new_histogram()?;
        Ok(Self { operations: 0, asked: 0, failures: 0, first_failure: String::new(), latency_us })
    }

    fn answered(&mut self, latency: Duration) {
        self.asked += 1;
        self.operations += 1;
        // The histogram grows by itself, so no value is out of its range.
        let _ = self.latency_us.record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    fn fail(&mut self, why: String) {
        self.asked += 1;
        self.failures += 1;
        if self.first_failure.is_empty() {
            self.first_failure = why;
        }
    }

    fn add(&mut self, other: Self) -> Result<()> {
        self.operations += other.operations;
        self.asked += other.asked;
        self.failures += other.failures;
        if self.first_failure.is_empty() {
            self.first_failure = other.first_failure;
        }
        self.latency_us.add(other.latency_us).context("add histograms")
    }
}

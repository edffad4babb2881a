//! A thousand watchers of one key: one put at a time, and when the last of them was told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::sync::{mpsc, oneshot};

use super::Setup;
use super::grpc::{Channel, Stream};
use super::servers::Running;
use super::wire;
use crate::common::measured;
use crate::compared::{Compared, in_turns};
use crate::load::{Outcome, new_histogram};
use crate::table::thousands;

const CONNECTIONS: usize = 10;
const KEY: &[u8] = b"watched";
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn rows(setup: &Setup) -> Vec<Compared> {
    let watchers = setup.scaled(1000) as usize;
    let name = format!("watch, {} watchers of one key, events", thousands(watchers as f64));
    vec![measured(&name, || {
        let pair = setup.pair("watch", |_| Ok(()))?;
        let turns = in_turns(
            setup.rounds(),
            || told(setup, &pair.registry, watchers),
            || told(setup, &pair.etcd, watchers),
        )?;
        pair.stop()?;
        Ok(Compared::rate(&name, turns).note(format!(
            "a stream for each over {CONNECTIONS} connections; one put of 256 B at a time; the latency is from sending it to the last watcher having it"
        )))
    })]
}

/// A client that has everybody's streams on one thread: what it costs is the same for both.
fn told(setup: &Setup, running: &Running, watchers: usize) -> Result<Outcome> {
    let (ready, opened) = std::sync::mpsc::channel();
    let (tell, mut events) = mpsc::unbounded_channel::<()>();
    let (end, ended) = oneshot::channel::<()>();
    let target = running.server.address;
    std::thread::scope(|scope| {
        let crowd = scope.spawn(move || listen(target, watchers, ready, tell, ended));
        let outcome = opened.recv_timeout(PATIENCE).map_err(|_| anyhow!("the watchers could not be opened"));
        let outcome = outcome.and_then(|()| change(setup, running, watchers, &mut events));
        let _ = end.send(());
        crowd.join().map_err(|_| anyhow!("a thread of watchers panicked"))??;
        outcome
    })
}

fn change(
    setup: &Setup,
    running: &Running,
    watchers: usize,
    events: &mut mpsc::UnboundedReceiver<()>,
) -> Result<Outcome> {
    super::servers::block_on(async {
        let mut channel = Channel::open(running.server.address).await?;
        let mut latency_us = new_histogram()?;
        let mut operations = 0;
        let cpu_before = running.server.process.cpu()?;
        let begin = Instant::now();
        while begin.elapsed() < setup.window() {
            let sent = Instant::now();
            channel.call(wire::PUT, wire::put(KEY, &[b'v'; 256])).await?;
            for _ in 0..watchers {
                let event = tokio::time::timeout(PATIENCE, events.recv()).await;
                event.context("a watcher was not told")?.context("the watchers are gone")?;
            }
            latency_us.record(u64::try_from(sent.elapsed().as_micros())?)?;
            operations += watchers as u64;
        }
        let elapsed = begin.elapsed();
        let server_cpu = running.server.process.cpu()?.saturating_sub(cpu_before);
        Ok(Outcome { operations, elapsed, latency_us, server_cpu })
    })
}

fn listen(
    target: SocketAddr,
    watchers: usize,
    ready: std::sync::mpsc::Sender<()>,
    tell: mpsc::UnboundedSender<()>,
    ended: oneshot::Receiver<()>,
) -> Result<()> {
    super::servers::block_on(async {
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(Channel::open(target).await?);
        }
        let tell = Arc::new(tell);
        let mut listening = tokio::task::JoinSet::new();
        for index in 0..watchers {
            let channel = channels.get_mut(index % CONNECTIONS).context("no such connection")?;
            let mut stream = channel.stream(wire::WATCH, wire::watch(KEY)).await?;
            ensure!(wire::number_of(&stream.next().await?, 3) == 1, "a watch was not created");
            listening.spawn(follow(stream, Arc::clone(&tell)));
        }
        ready.send(())?;
        tokio::select! {
            _ = ended => Ok(()),
            Some(failed) = listening.join_next() => failed?,
        }
    })
}

async fn follow(mut stream: Stream, tell: Arc<mpsc::UnboundedSender<()>>) -> Result<()> {
    loop {
        for _ in 0..wire::repeated(&stream.next().await?, 11) {
            tell.send(())?;
        }
    }
}

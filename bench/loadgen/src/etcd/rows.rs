//! The rows that are made of single calls, and keep-alives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Setup;
use super::grpc::{Channel, Stream};
use super::servers::{Ask, Clients, Running};
use super::wire;
use crate::common::measured;
use crate::compared::Compared;
use crate::load::{Crowd, Extent, Outcome};

const HUNDRED: Clients = Clients { clients: 100, connections: 20 };
/// Keys that are written round and round.
const KEYS: u64 = 100_000;
const VALUE: [u8; 256] = [b'v'; 256];

fn key(n: u64) -> Vec<u8> {
    // Not one after the other: what is written next lies elsewhere.
    format!("k{:07}", n.wrapping_mul(61_813) % KEYS).into_bytes()
}

fn nothing(_: &Running) -> Result<()> {
    Ok(())
}

pub(super) fn put(setup: &Setup) -> Vec<Compared> {
    let ask: Ask = Arc::new(|n| (wire::PUT, wire::put(&key(n), &VALUE)));
    [(1, 1), (100, 20), (500, 100)]
        .map(|(clients, connections)| {
            let name = format!("put 256 B, durable, {clients} clients");
            measured(&name, || {
                let pair = setup.pair(&format!("put-{clients}"), nothing)?;
                let from = Clients { clients, connections };
                let turns = setup.in_turns(&pair, |it| setup.calls(it, from, setup.extent(), &ask))?;
                pair.stop()?;
                Ok(Compared::rate(&name, turns))
            })
        })
        .into()
}

pub(super) fn txn(setup: &Setup) -> Vec<Compared> {
    const NAME: &str = "txn with a put of 256 B, durable, 100 clients";
    let ask: Ask = Arc::new(|n| (wire::TXN, wire::txn_put(&key(n), &VALUE)));
    vec![measured(NAME, || {
        let pair = setup.pair("txn", nothing)?;
        let turns = setup.in_turns(&pair, |it| setup.calls(it, HUNDRED, setup.extent(), &ask))?;
        pair.stop()?;
        Ok(Compared::rate(NAME, turns))
    })]
}

pub(super) fn range(setup: &Setup) -> Vec<Compared> {
    // Ten keys of which one is asked, or all, among others before and after.
    let fill = |running: &Running| -> Result<()> {
        for n in 0..10 {
            for prefix in ["a", "pfx/", "z"] {
                running.call(wire::PUT, wire::put(format!("{prefix}{n}").as_bytes(), &VALUE))?;
            }
        }
        running.expect(b"pfx/", b"pfx0", 10)
    };
    let one =
        |serializable| -> Ask { Arc::new(move |_| (wire::RANGE, wire::range(b"pfx/5", b"", serializable))) };
    let ten = |serializable| -> Ask {
        Arc::new(move |_| (wire::RANGE, wire::range(b"pfx/", b"pfx0", serializable)))
    };
    [
        ("range one key, linearizable, 100 clients", one(false)),
        ("range one key, serializable, 100 clients", one(true)),
        ("range a prefix of 10, linearizable, 100 clients", ten(false)),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (name, ask))| {
        measured(name, || {
            let pair = setup.pair(&format!("range-{i}"), fill)?;
            let turns = setup.in_turns(&pair, |it| setup.calls(it, HUNDRED, setup.extent(), &ask))?;
            pair.stop()?;
            Ok(Compared::rate(name, turns))
        })
    })
    .collect()
}

pub(super) fn lease(setup: &Setup) -> Vec<Compared> {
    const GRANT: &str = "lease grant, 100 clients";
    const BEAT: &str = "lease keep-alive, 100 streams";
    let ask: Ask = Arc::new(|_| (wire::GRANT, wire::grant(600)));
    vec![
        measured(GRANT, || {
            let pair = setup.pair("grant", nothing)?;
            let turns = setup.in_turns(&pair, |it| setup.calls(it, HUNDRED, setup.extent(), &ask))?;
            pair.stop()?;
            Ok(Compared::rate(GRANT, turns))
        }),
        measured(BEAT, || {
            let pair = setup.pair("beat", nothing)?;
            let turns = setup.in_turns(&pair, |it| beats(setup, it))?;
            pair.stop()?;
            Ok(Compared::rate(BEAT, turns).note("a lease for each stream, and 20 connections".to_owned()))
        }),
    ]
}

fn beats(setup: &Setup, running: &Running) -> Result<Outcome> {
    const STREAMS: usize = 100;
    const CONNECTIONS: usize = 20;
    let target = running.server.address;
    let channels: Arc<Vec<tokio::sync::OnceCell<Channel>>> =
        Arc::new((0..CONNECTIONS).map(|_| tokio::sync::OnceCell::new()).collect());
    let crowd = Crowd { size: STREAMS, threads: setup.threads.min(CONNECTIONS), extent: setup.extent() };
    crowd.run(&running.server.process, move |index, turn| {
        let channels = Arc::clone(&channels);
        async move {
            let opened = async {
                let cell = channels.get(index * CONNECTIONS / STREAMS);
                let cell = cell.ok_or_else(|| anyhow::anyhow!("no such connection"))?;
                let mut channel = cell.get_or_try_init(|| Channel::open(target)).await?.clone();
                let granted = channel.call(wire::GRANT, wire::grant(600)).await?;
                let id = wire::number_of(&granted, 2);
                let mut stream = channel.stream(wire::KEEP_ALIVE, wire::keep_alive(id)).await?;
                beaten(&mut stream).await?;
                anyhow::Ok((id, stream))
            };
            match opened.await {
                Ok((id, mut stream)) => {
                    turn.connected();
                    while !turn.is_over() {
                        let sent = Instant::now();
                        let beat = async {
                            stream.send(wire::keep_alive(id)).await?;
                            beaten(&mut stream).await
                        };
                        match beat.await {
                            Ok(()) => turn.answered(sent.elapsed()),
                            Err(error) => return turn.failed(format!("{error:#}")),
                        }
                    }
                }
                Err(error) => turn.broken(format!("{error:#}")),
            }
        }
    })
}

async fn beaten(stream: &mut Stream) -> Result<()> {
    let answer = stream.next().await?;
    ensure!(wire::number_of(&answer, 3) == 600, "a lease has ended");
    Ok(())
}

/// 100,000 keys of 1 KiB, each once.
pub(super) fn fill(setup: &Setup, running: &Running, keys: u64) -> Result<Outcome> {
    let ask: Ask = Arc::new(|n| (wire::PUT, wire::put(format!("fill/{n:011}").as_bytes(), &[b'v'; 1024])));
    let extent = Extent::UntilDone { patience: Duration::from_secs(600), total: keys };
    setup.calls(running, Clients { clients: 200, connections: 20 }, extent, &ask)
}

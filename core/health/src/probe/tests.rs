//! Every kind of probe against real servers on this machine.

mod corpus;
mod grpc;
mod http;
mod rebinding;
mod tls;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use switchboard_model::{
    Annex, Check, CheckKey, HttpProbe, Id, Name, NodeKey, Owner, Probe, Status, Target, Thresholds,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::Config;
use crate::policy::Aim;

/// A prober whose resolver is ours.
struct Lab {
    prober: Prober,
    /// What the resolver answers, call by call; the last answer stands.
    names: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    lookups: Arc<AtomicUsize>,
}

impl Lab {
    fn new(config: Config) -> Lab {
        let names: Arc<Mutex<VecDeque<Vec<IpAddr>>>> = Arc::default();
        let lookups: Arc<AtomicUsize> = Arc::default();
        let (answers, count) = (names.clone(), lookups.clone());
        let resolver: Resolver = Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let mut answers = answers.lock();
            let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
            std::future::ready(Ok(answer.unwrap_or_default())).boxed()
        });
        let trust = Trust::load(config.ca_file.as_deref()).unwrap();
        let prober = Prober::new(Arc::new(Policy::new(&config)), trust, resolver, config.show_bodies);
        Lab { prober, names, lookups }
    }

    fn resolves(self, answers: &[&[&str]]) -> Lab {
        let parsed = |all: &&[&str]| all.iter().map(|ip| ip.parse().unwrap()).collect();
        *self.names.lock() = answers.iter().map(parsed).collect();
        self
    }

    async fn ask(&self, host: &str, port: u16, probe: Probe) -> Outcome {
        let aimed = Aimed { host: Host::parse(host).unwrap(), port, aim: Aim::Own };
        self.prober.run(&aimed, &check(probe)).await
    }
}

/// Long enough for a busy machine: what ends before it must end for another reason.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a peer hangs that is to be given up.
const FOREVER: Duration = Duration::from_secs(60);

fn check(probe: Probe) -> Check {
    let node = Name::parse("node", "n").unwrap();
    let owner = Owner::Node(NodeKey { namespace: Name::default_namespace(), node });
    Check {
        key: CheckKey { owner, id: Id::parse("id", "c").unwrap() },
        name: "".into(),
        notes: "".into(),
        probe,
        interval: Duration::from_secs(5),
        timeout: TIMEOUT,
        thresholds: Thresholds::default(),
        status: Status::Critical,
        output: "".into(),
        since_ms: 0,
        suspect: false,
        deregister_after: None,
        annex: Annex::default(),
    }
}

fn get(path: &str) -> HttpProbe {
    HttpProbe {
        target: Target::default(),
        method: "GET".into(),
        path: path.into(),
        headers: [].into(),
        body: "".into(),
        expect: [].into(),
        tls: None,
        tls_skip_verify: false,
    }
}

fn http(spec: HttpProbe) -> Probe {
    Probe::Http(Box::new(spec))
}

fn tcp() -> Probe {
    Probe::Tcp { target: Target::default() }
}

/// Listens and counts who connects.
struct Canary {
    address: SocketAddr,
    seen: Arc<AtomicUsize>,
}

impl Canary {
    async fn at(address: &str) -> Canary {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Canary { address, seen }
    }

    /// A connection is there before it is accepted, so a look at once would see too few.
    async fn seen(&self) -> usize {
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.seen.load(Ordering::SeqCst)
    }
}

/// Reads requests, keeps the newest, and answers each with `answer`, which may end in the middle; then `hold`s the
/// connection open.
async fn canned(answer: &str, hold: Duration) -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let newest: Arc<Mutex<String>> = Arc::default();
    let (kept, answer) = (newest.clone(), answer.to_owned());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 65_536];
            let read = stream.read(&mut request).await.unwrap_or(0);
            *kept.lock() = String::from_utf8_lossy(&request[..read]).into_owned();
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = stream.write_all(answer.as_bytes()).await;
                tokio::time::sleep(hold).await;
            });
        }
    });
    (address, newest)
}

#[tokio::test]
async fn tcp_connects_or_does_not() {
    let open = Canary::at("127.0.0.1:0").await;
    let lab = Lab::new(Config::default());
    let outcome = lab.ask("127.0.0.1", open.address.port(), tcp()).await;
    assert_eq!(outcome, Outcome::new(Answer::Pass, format!("TCP connect {}: Success", open.address)));
    assert_eq!(open.seen().await, 1);

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = lab.ask("127.0.0.1", closed.port(), tcp()).await;
    assert_eq!(outcome.answer, Answer::Fail);
    assert_eq!(outcome.output, format!("dial tcp {closed}: connect: connection refused"));
}

#[tokio::test]
async fn of_several_addresses_one_that_answers_is_enough() {
    let open = Canary::at("127.0.0.1:0").await;
    let lab = Lab::new(Config::default()).resolves(&[&["127.0.0.9", "127.0.0.1"]]);
    let outcome = lab.ask("both.example", open.address.port(), tcp()).await;
    assert_eq!(outcome.answer, Answer::Pass, "{outcome:?}");
}

#[tokio::test]
async fn a_name_without_an_address_fails() {
    let outcome = Lab::new(Config::default()).ask("none.example", 80, tcp()).await;
    assert_eq!(outcome, Outcome::new(Answer::Fail, "none.example has no address"));
}

#[tokio::test]
async fn udp_takes_silence_for_life_and_a_refusal_for_death() {
    let lab = Lab::new(Config::default());
    let probe = || Probe::Udp { target: Target::default() };

    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let started = Instant::now();
    let outcome = lab.ask("127.0.0.1", silent.local_addr().unwrap().port(), probe()).await;
    assert_eq!(outcome.answer, Answer::Pass, "{outcome:?}");
    assert!(started.elapsed() >= TIMEOUT);

    let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = echo.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 64];
        let (read, from) = echo.recv_from(&mut bytes).await.unwrap();
        echo.send_to(&bytes[..read], from).await.unwrap();
    });
    let outcome = lab.ask("127.0.0.1", address.port(), probe()).await;
    assert_eq!(outcome, Outcome::new(Answer::Pass, format!("UDP connect {address}: Success")));

    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = lab.ask("127.0.0.1", closed.port(), probe()).await;
    assert_eq!(outcome, Outcome::new(Answer::Fail, format!("udp {closed}: connection refused")));
}

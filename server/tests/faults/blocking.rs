//! Very many blocking queries at once, and a registry that dies under them: everyone is back and knows what is true.
//!
//! `SWITCHBOARD_FAULT_WATCHERS=20000` opens as many as that; the machine has to allow twice as many open files.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::process::{PATIENCE, Place, Server};
use crate::rounds::number;

const SERVICE: &str = "web";

/// What a waiting query may cost, with everything that the kernel does not keep: far above what it does cost.
const BYTES_PER_WATCHER: u64 = 64 << 10;
const BYTES_ALTOGETHER: u64 = 64 << 20;

#[test]
fn everyone_who_waits_is_back_after_a_kill_and_knows_what_is_true() {
    let watchers = number("SWITCHBOARD_FAULT_WATCHERS").unwrap_or(500) as usize;
    let mut place = Place::new();
    place.set("SWITCHBOARD_CONSUL_LIMITS_CONNECTIONS", (watchers + 100).to_string());
    let mut server = place.start_on(&[("native", "127.0.0.1:0"), ("consul", "127.0.0.1:0")]);
    let (native, consul) = (server.address.clone(), server.address_of("consul").to_owned());
    register(&server, 1000);
    let before = resident(&server);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (crowd, mut ports) = (Crowd::new(&consul), 1001..);
    for _ in 0..watchers {
        runtime.spawn(Arc::clone(&crowd).watch());
    }
    crowd.wait_for(watchers, 1000);

    let mut next = || ports.next().unwrap();
    let port = next();
    register(&server, port);
    crowd.wait_for(watchers, port);
    let grown = resident(&server).saturating_sub(before);
    let most = BYTES_ALTOGETHER + watchers as u64 * BYTES_PER_WATCHER;
    assert!(grown < most, "{watchers} waiting queries took {grown} bytes; {most} are allowed");

    // Killed, and back at the same address with the truth of before; then the truth changes.
    server.process.kill_nine();
    server = place.start_on(&[("native", &native), ("consul", &consul)]);
    let port = next();
    register(&server, port);
    crowd.wait_for(watchers, port);

    // Told to stop, which answers everyone who waits.
    server.stop();
    let server = place.start_on(&[("native", &native), ("consul", &consul)]);
    let port = next();
    register(&server, port);
    crowd.wait_for(watchers, port);
    crowd.end.send_replace(true);
    server.stop();
}

/// Whoever asks and asks and never reads an answer is left alone, costs little, and is in nobody's way.
#[test]
fn who_never_reads_is_in_nobodys_way() {
    let place = Place::new();
    let server = place.start_on(&[("native", "127.0.0.1:0"), ("consul", "127.0.0.1:0")]);
    for id in 0..200 {
        let body = json!({"service": SERVICE, "id": format!("web-{id}"), "host": "10.0.0.1", "port": 80});
        server.client().post("/v1/register", &body);
    }
    let before = resident(&server);
    let request = format!("GET /v1/health/service/{SERVICE} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(1000);
    let mut deaf = Vec::new();
    for _ in 0..20 {
        let stream = std::net::TcpStream::connect(server.address_of("consul")).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut sent = 0;
        let begin = Instant::now();
        // As much as it takes: it stops reading requests when nobody takes its answers.
        while sent < request.len() && begin.elapsed() < Duration::from_millis(300) {
            match std::io::Write::write(&mut &stream, &request.as_bytes()[sent..]) {
                Ok(more) => sent += more,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        deaf.push(stream);
    }
    let mut client = server.client();
    for _ in 0..50 {
        client.get("/v1/services/web");
    }
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < BYTES_ALTOGETHER, "20 who never read took {grown} bytes");
    drop(deaf);
    server.stop();
}

fn register(server: &Server, port: u64) {
    let body = json!({"service": SERVICE, "id": "web-1", "host": "10.0.0.1", "port": port});
    server.client().post("/v1/register", &body);
}

fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Clients that wait for news of one service, as Consul's clients do.
struct Crowd {
    address: String,
    /// How many know of a port, and which one that is.
    known: AtomicUsize,
    latest: watch::Sender<u64>,
    end: watch::Sender<bool>,
}

impl Crowd {
    fn new(address: &str) -> Arc<Crowd> {
        let (latest, end) = (watch::Sender::new(0), watch::Sender::new(false));
        Arc::new(Crowd { address: address.to_owned(), known: AtomicUsize::new(0), latest, end })
    }

    /// Waits until all of them have heard of `port`.
    #[track_caller]
    fn wait_for(&self, watchers: usize, port: u64) {
        let begin = Instant::now();
        loop {
            // The first who knows resets the count.
            let known = if *self.latest.borrow() == port { self.known.load(Relaxed) } else { 0 };
            if known == watchers {
                return;
            }
            assert!(begin.elapsed() < PATIENCE * 2, "{known} of {watchers} know of {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    async fn watch(self: Arc<Crowd>) {
        let mut end = self.end.subscribe();
        tokio::select! {
            _ = end.wait_for(|end| *end) => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&self) {
        let (mut index, mut seen) = (0, 0);
        loop {
            // Away for a while: asked again, from where it was.
            let Ok(stream) = TcpStream::connect(&self.address).await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let mut stream = BufReader::new(stream);
            while let Some((newest, port)) = self.ask(&mut stream, index).await {
                // An index that goes back starts anew.
                index = if newest < index { 0 } else { newest };
                if port != seen {
                    seen = port;
                    self.heard(port);
                }
            }
        }
    }

    fn heard(&self, port: u64) {
        self.latest.send_modify(|latest| match port.cmp(latest) {
            std::cmp::Ordering::Greater => {
                *latest = port;
                self.known.store(1, Relaxed);
            }
            std::cmp::Ordering::Equal => _ = self.known.fetch_add(1, Relaxed),
            std::cmp::Ordering::Less => {}
        });
    }

    /// The index and the port that the service is at. None: the connection or the answer is not to be used.
    async fn ask(&self, stream: &mut BufReader<TcpStream>, index: u64) -> Option<(u64, u64)> {
        let request = format!(
            "GET /v1/health/service/{SERVICE}?index={index}&wait=10m HTTP/1.1\r\nhost: {}\r\n\r\n",
            self.address
        );
        stream.get_mut().write_all(request.as_bytes()).await.ok()?;
        let (mut status, mut newest, mut length) = (String::new(), 0, 0);
        stream.read_line(&mut status).await.ok()?;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "x-consul-index" => newest = value.parse().ok()?,
                "content-length" => length = value.parse().ok()?,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        if status.split(' ').nth(1) != Some("200") {
            tokio::time::sleep(Duration::from_millis(100)).await;
            return None;
        }
        let answer: serde_json::Value = serde_json::from_slice(&body).ok()?;
        Some((newest, answer[0]["Service"]["Port"].as_u64()?))
    }
}

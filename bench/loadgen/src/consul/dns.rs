//! DNS: how many questions a second, each answered in full, by the registry, by Consul, and by `CoreDNS` from a file.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use hdrhistogram::Histogram;

use super::Setup;
use super::pair::Pair;
use super::servers::Running;
use super::words::put;
use crate::common::measured;
use crate::compared::{Compared, Rounds};
use crate::load::{Outcome, new_histogram};
use crate::process::Process;
use crate::server_process::{free_address, last_words, new_data_dir};
use crate::table::thousands;

const NAME: &str = "web.service.consul";
const INSTANCES: u16 = 3;
/// Clients, each with a port of its own, and the questions that each has under way.
const SOCKETS: usize = 8;
const UNDER_WAY: u16 = 12;

#[derive(Clone, Copy)]
struct Question {
    name: &'static str,
    kind: u16,
}

const A: Question = Question { name: "A", kind: 1 };
const SRV: Question = Question { name: "SRV", kind: 33 };

pub(super) fn rows(setup: &Setup) -> Vec<Compared> {
    [A, SRV]
        .into_iter()
        .map(|question| {
            let name = format!("DNS {}, {INSTANCES} instances, UDP", question.name);
            measured(&name, || row(setup, &name, question))
        })
        .collect()
}

fn row(setup: &Setup, name: &str, question: Question) -> Result<Compared> {
    let pair = Pair::start(setup, &format!("dns-{}", question.name), register)?;
    let turns = pair
        .turns(setup, |running| ask(setup, running.dns, question, &running.server.process, setup.window()))?;
    pair.stop()?;
    let mut compared = Compared::rate(name, turns);
    if let Some(binary) = &setup.coredns_binary {
        let core = CoreDns::start(setup, binary, question).context("CoreDNS")?;
        let mut rounds = Rounds::new()?;
        for _ in 0..setup.rounds() {
            rounds.add(ask(setup, core.address, question, &core.process, setup.window())?)?;
        }
        core.process.stop()?;
        let figures = rounds.figures();
        compared = compared.note(format!(
            "CoreDNS, the same records from a file: {}/s, {:.1} µs CPU a question",
            thousands(figures.value),
            figures.cpu_us.unwrap_or_default()
        ));
    }
    Ok(compared)
}

fn register(running: &Running) -> Result<()> {
    for n in 1..=INSTANCES {
        let body = format!(
            r#"{{"Node":"dns-{n}","Address":"10.9.0.{n}","Service":{{"ID":"web-{n}","Service":"web","Port":80{n}}}}}"#
        );
        running.send(&put("/v1/catalog/register", &body))?;
    }
    Ok(())
}

struct CoreDns {
    process: Process,
    address: SocketAddr,
}

impl CoreDns {
    fn start(setup: &Setup, binary: &std::path::Path, question: Question) -> Result<Self> {
        use std::fmt::Write as _;

        let dir = new_data_dir(&setup.scratch, &format!("coredns-{}", question.name))?;
        let address = free_address()?;
        let mut zone = "$ORIGIN consul.\n@ 0 IN SOA ns hostmaster 1 3600 600 86400 0\n@ 0 IN NS ns\nns 0 IN A 127.0.0.1\n".to_owned();
        for n in 1..=INSTANCES {
            let _ = write!(
                zone,
                "web.service 0 IN A 10.9.0.{n}\nweb.service 0 IN SRV 1 1 80{n} dns-{n}.node.dc1\ndns-{n}.node.dc1 0 IN A 10.9.0.{n}\n"
            );
        }
        std::fs::write(dir.join("zone"), zone)?;
        let corefile = format!(
            "consul:{} {{\n  bind 127.0.0.1\n  file {}\n}}\n",
            address.port(),
            dir.join("zone").display()
        );
        std::fs::write(dir.join("Corefile"), corefile)?;
        let log = dir.join("log");
        let mut command = Command::new(binary);
        command.arg("-conf").arg(dir.join("Corefile")).stdin(Stdio::null());
        command.stdout(File::create(&log)?).stderr(Stdio::null());
        let process = Process::start(&mut command)?;
        wait_for(address, question).with_context(|| last_words(&log))?;
        Ok(Self { process, address })
    }
}

/// Until it is answered in full.
fn wait_for(server: SocketAddr, question: Question) -> Result<()> {
    let begin = Instant::now();
    let socket = client(server)?;
    loop {
        let (request, mut inbox) = (encode(0, question), [0; 2048]);
        let _ = socket.send(&request);
        let answered = socket
            .recv(&mut inbox)
            .is_ok_and(|length| check(inbox.get(..length).unwrap_or_default()).is_ok());
        if answered {
            return Ok(());
        }
        ensure!(begin.elapsed() < Duration::from_secs(20), "no answer");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn client(server: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(socket)
}

/// Many clients that ask again as soon as they were answered.
fn ask(
    setup: &Setup,
    server: SocketAddr,
    question: Question,
    process: &Process,
    length: Duration,
) -> Result<Outcome> {
    wait_for(server, question)?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let cpu_before = process.cpu()?;
        let begin = Instant::now();
        let sockets = SOCKETS.max(setup.threads);
        let clients: Vec<_> =
            (0..sockets).map(|_| scope.spawn(|| converse(server, question, &over))).collect();
        std::thread::sleep(length);
        over.store(true, Ordering::Release);
        let (elapsed, server_cpu) = (begin.elapsed(), process.cpu()?.saturating_sub(cpu_before));
        let mut latency_us = new_histogram()?;
        for client in clients {
            latency_us.add(client.join().map_err(|_| anyhow!("a client panicked"))??)?;
        }
        Ok(Outcome { operations: latency_us.len(), elapsed, latency_us, server_cpu })
    })
}

fn converse(server: SocketAddr, question: Question, over: &AtomicBool) -> Result<Histogram<u64>> {
    let socket = client(server)?;
    let mut latency_us = new_histogram()?;
    let mut request = encode(0, question);
    let mut sent = [Instant::now(); UNDER_WAY as usize];
    let mut send = |id: u16, sent: &mut [Instant]| -> Result<()> {
        if let Some(place) = request.first_chunk_mut::<2>() {
            *place = id.to_be_bytes();
        }
        if let Some(at) = sent.get_mut(usize::from(id)) {
            *at = Instant::now();
        }
        socket.send(&request).context("ask").map(drop)
    };
    for id in 0..UNDER_WAY {
        send(id, &mut sent)?;
    }
    let mut inbox = [0; 2048];
    while !over.load(Ordering::Acquire) {
        let Ok(length) = socket.recv(&mut inbox) else {
            // Lost on the way: everybody is asked again.
            for id in 0..UNDER_WAY {
                send(id, &mut sent)?;
            }
            continue;
        };
        let id = check(inbox.get(..length).unwrap_or_default())?;
        let at = sent.get(usize::from(id)).context("an answer to nobody")?;
        latency_us.record(u64::try_from(at.elapsed().as_micros())?)?;
        send(id, &mut sent)?;
    }
    Ok(latency_us)
}

fn encode(id: u16, question: Question) -> Vec<u8> {
    // One question, recursion desired.
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in NAME.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(question.kind.to_be_bytes());
    message.extend(1_u16.to_be_bytes());
    message
}

/// The number of the question, if the answer says everything.
fn check(answer: &[u8]) -> Result<u16> {
    let [id_high, id_low, _, flags, _, _, count_high, count_low, ..] = *answer else {
        return Err(anyhow!("an answer of {} bytes", answer.len()));
    };
    let count = u16::from_be_bytes([count_high, count_low]);
    ensure!(
        flags & 0x0f == 0 && count == INSTANCES,
        "an answer with code {} and {count} records",
        flags & 0x0f
    );
    Ok(u16::from_be_bytes([id_high, id_low]))
}

//! Memory with many instances, and how soon the registry is back after `kill -9`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Bench, Fill, check_service, measured};
use crate::process::Memory;
use crate::requests::{self, SERVICE_SIZE};
use crate::server_process::{Server, new_data_dir};
use crate::table::{Aim, Ceiling, Row, Unit, thousands};

const PREFIX: &str = "crowd";
const MILLION: u64 = 1_000_000;

struct Aims {
    resident_mb: f64,
    ready_seconds: Option<f64>,
}

/// The aims of the sizes that have one.
fn aims_of(count: u64) -> Option<Aims> {
    match count {
        100_000 => Some(Aims { resident_mb: 150.0, ready_seconds: None }),
        MILLION => Some(Aims { resident_mb: 1500.0, ready_seconds: Some(10.0) }),
        _ => None,
    }
}

pub(super) fn rows(bench: &Bench) -> Vec<Row> {
    let mut counts = vec![bench.scaled(100_000)];
    counts.extend(bench.million.then_some(MILLION));
    counts
        .into_iter()
        .flat_map(|count| {
            let size = thousands(count as f64);
            measured(&format!("memory and cold start, {size} instances"), || measure(bench, count, &size))
        })
        .collect()
}

fn measure(bench: &Bench, count: u64, size: &str) -> Result<Vec<Row>> {
    let data_dir = new_data_dir(&bench.scratch, &format!("memory-{count}"))?;
    let server = Server::registry(&bench.server_binary, &data_dir, Duration::from_secs(20))?;
    let filled = bench.fill(&server, Fill { prefix: PREFIX, count, named: false })?;
    check_everywhere(&server, count)?;
    // What the last commits left to do in the background is done by then.
    std::thread::sleep(Duration::from_secs(1));
    let full = server.process.memory()?;
    server.process.kill()?;

    let disk = read_whole(&data_dir)?;
    let begin = Instant::now();
    let server =
        Server::registry(&bench.server_binary, &data_dir, Duration::from_secs(120)).context("restart")?;
    check_service(&server, &requests::service_of(PREFIX, 0), SERVICE_SIZE)?;
    let answered_after = begin.elapsed();
    check_everywhere(&server, count)?;
    let restarted = server.process.memory()?;
    let ready_after = server.ready_after;
    server.process.stop()?;
    std::fs::remove_dir_all(&data_dir).context("remove the data")?;

    let aims = aims_of(count);
    let json_bytes = count * requests::instance_body(PREFIX, count).len() as u64;
    let mut after_fill =
        memory_row(&format!("RSS, {size} instances, after filling"), full, json_bytes, &aims);
    after_fill.notes.push(format!(
        "filled durably at {}/s over 256 connections, {:.1} µs CPU/op; the data takes {:.0} MB on disk",
        thousands(filled.per_second()),
        filled.cpu_us_per_operation(),
        disk.bytes as f64 / 1e6
    ));
    let after_restart =
        memory_row(&format!("RSS, {size} instances, after restart"), restarted, json_bytes, &aims);

    let mut ready = Row::new(format!("first look-up after kill -9, {size} instances"), Unit::Seconds);
    let seconds = answered_after.as_secs_f64();
    ready.value = Some(seconds);
    ready.ceilings.push(Ceiling { what: "reading the files", value: disk.took.as_secs_f64(), cpu_us: None });
    ready.share = Some(disk.took.as_secs_f64() / seconds);
    ready.aim = aims
        .and_then(|aims| aims.ready_seconds)
        .map(|most| Aim { text: format!("≤ {most:.0} s"), met: seconds <= most });
    ready.notes.push(format!(
        "/readyz said 200 after {:.2} s; the files were in the page cache, as they are after a killed process",
        ready_after.as_secs_f64()
    ));
    Ok(vec![after_fill, after_restart, ready])
}

fn memory_row(name: &str, memory: Memory, json_bytes: u64, aims: &Option<Aims>) -> Row {
    let mut row = Row::new(name, Unit::Megabytes);
    let resident_mb = memory.resident_bytes as f64 / 1e6;
    row.value = Some(resident_mb);
    row.ceilings.push(Ceiling { what: "the bodies alone", value: json_bytes as f64 / 1e6, cpu_us: None });
    row.share = Some(json_bytes as f64 / memory.resident_bytes as f64);
    row.aim = aims.as_ref().map(|aims| Aim {
        text: format!("≤ {} MB", thousands(aims.resident_mb)),
        met: resident_mb <= aims.resident_mb,
    });
    row.notes.push(format!("peak (VmHWM) {:.0} MB", memory.peak_bytes as f64 / 1e6));
    row
}

/// The first, the middle and the last service have all their instances.
fn check_everywhere(server: &Server, count: u64) -> Result<()> {
    for n in [0, count / 2, count - 1] {
        check_service(server, &requests::service_of(PREFIX, n), SERVICE_SIZE)?;
    }
    Ok(())
}

struct Disk {
    bytes: u64,
    took: Duration,
}

/// No start that reads its data can be faster than reading it.
fn read_whole(dir: &Path) -> Result<Disk> {
    let begin = Instant::now();
    let mut bytes = 0;
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            } else {
                bytes += std::io::copy(&mut std::fs::File::open(entry.path())?, &mut std::io::sink())?;
            }
        }
    }
    Ok(Disk { bytes, took: begin.elapsed() })
}

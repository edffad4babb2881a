//! A real Eureka server of Spring's and the registry, asked the same in turns, and the ratios of what came of it.
//!
//! The real one gets faster for minutes, so it is warmed up first with all that is measured later. Whether the answers
//! are the same is not asked here: that is what `conformance/eureka/oracle` holds.

mod memory;
mod peers;
mod rows;
mod servers;
mod visible;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::compared::{self, Compared};
use crate::machine::Machine;
use crate::{process, rows as scratch_rows};
use rows::Warm;

#[derive(Args)]
pub(crate) struct EurekaOptions {
    /// The registry to measure, a release build.
    #[arg(long, value_name = "PATH")]
    server_binary: PathBuf,
    /// The real server, a jar that `java -jar` starts.
    #[arg(long, value_name = "PATH", env = "EUREKA_JAR")]
    eureka_jar: PathBuf,
    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    rows: Vec<Group>,
    /// Seconds for which the real server is warmed up, before another 215 in which nothing is written.
    #[arg(long, default_value_t = 120)]
    warm_up: u64,
    /// A tenth of everything, to see that it works. Its numbers are not for publishing.
    #[arg(long)]
    quick: bool,
    /// Also write the numbers to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the data directories are made; it has to be a real disk. Default: the directory for temporary files.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Threads of the load generator. Default: as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
}

/// In the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    Visible,
    Delta,
    Full,
    App,
    Heartbeat,
    Register,
    Memory,
    Peers,
}

/// What all rows share.
struct Setup {
    registry_binary: PathBuf,
    eureka_jar: PathBuf,
    scratch: PathBuf,
    quick: bool,
    warm_up: Duration,
    threads: usize,
    only: Vec<Group>,
}

impl Setup {
    fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    fn window(&self) -> Duration {
        Duration::from_millis(if self.quick { 700 } else { 3000 })
    }

    fn scaled(&self, count: u64) -> u64 {
        if self.quick { count / 10 } else { count }
    }

    fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }
}

pub(crate) fn run(options: &EurekaOptions) -> Result<ExitCode> {
    for file in [&options.server_binary, &options.eureka_jar] {
        ensure!(file.is_file(), "there is no {}", file.display());
    }
    let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new()
        .prefix("switchboard-bench-")
        .tempdir_in(&parent)
        .context("make a directory")?;
    scratch_rows::remember_scratch(scratch.path());
    let machine = Machine::look(scratch.path())?;
    process::raise_descriptor_limit()?;
    let setup = Setup {
        registry_binary: std::path::absolute(&options.server_binary)?,
        eureka_jar: std::path::absolute(&options.eureka_jar)?,
        scratch: scratch.path().to_owned(),
        quick: options.quick,
        warm_up: Duration::from_secs(if options.quick { 5 } else { options.warm_up }),
        threads: options.threads.unwrap_or(std::thread::available_parallelism()?.get()).max(1),
        only: options.rows.clone(),
    };
    let compared = measure(&setup);
    compared::print(&machine, "Eureka", &compared);
    if let Some(file) = &options.json {
        compared::save(file, &machine, &compared)?;
    }
    let failed = compared.iter().any(|row| row.failure.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(setup: &Setup) -> Vec<Compared> {
    let mut compared = Vec::new();
    let warm = [Group::Visible, Group::Delta, Group::Full, Group::App, Group::Heartbeat, Group::Register];
    if warm.into_iter().any(|group| setup.wants(group)) {
        eprintln!("warming up for {} s", setup.warm_up.as_secs());
        match Warm::start(setup) {
            Ok(warm) => compared.extend(warm.rows(setup)),
            Err(error) => compared.push(Compared::failed("to warm up", &error)),
        }
    }
    if setup.wants(Group::Memory) {
        compared.push(memory::row(setup));
    }
    if setup.wants(Group::Peers) {
        compared.extend(peers::rows(setup));
    }
    compared
}

/// A row under a name, also if it says only why there is no number.
fn measured(name: &str, measure: impl FnOnce() -> Result<Compared>) -> Compared {
    let begin = Instant::now();
    eprintln!("{name} ...");
    let row = measure().unwrap_or_else(|error| Compared::failed(name, &error));
    eprintln!("    {:.1} s", begin.elapsed().as_secs_f64());
    row
}

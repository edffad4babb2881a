//! The rows of the table, each on a registry of its own that starts empty.

mod heartbeat;
mod lookup;
mod memory;
mod register;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::load::{self, Extent, Load, Outcome};
use crate::machine::Machine;
use crate::process;
use crate::requests::{self, RegisterDistinct};
use crate::server_process::{Server, new_data_dir};
use crate::table::{self, Row};

#[derive(Args)]
pub(crate) struct TableOptions {
    /// The registry to measure, a release build.
    #[arg(long, value_name = "PATH")]
    server_binary: PathBuf,
    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    rows: Vec<Group>,
    /// A tenth of everything, to see that it works. Its numbers are not for publishing.
    #[arg(long)]
    quick: bool,
    /// Memory and cold start with 1,000,000 instances as well.
    #[arg(long)]
    million: bool,
    /// Also write the numbers to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the data directories are made; it has to be a real disk. Default: the directory for temporary files.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Threads of the load generator. Default: as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
    #[arg(long, default_value_t = 10_000)]
    watchers: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    Lookup,
    Register,
    Heartbeat,
    Watch,
    Memory,
}

impl Group {
    /// The order of the table; the rows that leave most dirty pages behind come last.
    const ALL: [Self; 5] = [Self::Lookup, Self::Heartbeat, Self::Register, Self::Watch, Self::Memory];

    fn measure(self, bench: &Bench) -> Vec<Row> {
        match self {
            Self::Lookup => lookup::rows(bench),
            Self::Register => register::rows(bench),
            Self::Heartbeat => heartbeat::rows(bench),
            Self::Watch => watch::rows(bench),
            Self::Memory => memory::rows(bench),
        }
    }
}

pub(crate) fn run(options: &TableOptions) -> Result<ExitCode> {
    ensure!(options.server_binary.is_file(), "there is no {}", options.server_binary.display());
    let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new()
        .prefix("switchboard-bench-")
        .tempdir_in(&parent)
        .context("make a directory")?;
    remember_scratch(scratch.path());
    let machine = Machine::look(scratch.path())?;
    let cores = std::thread::available_parallelism()?.get();
    let bench = Bench {
        server_binary: std::path::absolute(&options.server_binary)?,
        scratch: scratch.path().to_owned(),
        quick: options.quick,
        million: options.million,
        threads: options.threads.unwrap_or(cores).max(1),
        watchers: if options.quick { options.watchers / 10 } else { options.watchers },
        descriptors: process::raise_descriptor_limit()?,
    };
    let mut rows = Vec::new();
    for group in Group::ALL {
        if options.rows.is_empty() || options.rows.contains(&group) {
            rows.extend(group.measure(&bench));
        }
    }
    table::print(&machine, &rows);
    if let Some(file) = &options.json {
        table::save(file, &machine, &rows)?;
    }
    // A missed aim is a result; a failure is none.
    let failed = rows.iter().any(|row| row.failure.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What all rows share.
pub(crate) struct Bench {
    pub(crate) server_binary: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) quick: bool,
    pub(crate) million: bool,
    pub(crate) threads: usize,
    pub(crate) watchers: usize,
    pub(crate) descriptors: u64,
}

impl Bench {
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(if self.quick { 700 } else { 2000 })
    }

    pub(crate) fn threads_for(&self, connections: usize) -> usize {
        self.threads.min(connections)
    }

    fn scaled(&self, count: u64) -> u64 {
        if self.quick { count / 10 } else { count }
    }

    /// An empty registry in a directory named after the row.
    fn fresh_registry(&self, row: &str) -> Result<Server> {
        let data_dir = new_data_dir(&self.scratch, row)?;
        Server::registry(&self.server_binary, &data_dir, Duration::from_secs(20))
    }

    /// Registers the first `count` instances of the prefix over many connections.
    fn fill(&self, server: &Server, fill: Fill) -> Result<Outcome> {
        const CONNECTIONS: usize = 256;
        let counter = Arc::new(AtomicU64::new(0));
        let load = Load {
            target: server.address,
            connections: CONNECTIONS,
            threads: self.threads,
            scripts: Arc::new(move |_| {
                let counter = Arc::clone(&counter);
                let Fill { prefix, count: limit, named } = fill;
                Box::new(RegisterDistinct { prefix, counter, limit, named, body: Vec::new() })
            }),
            extent: Extent::UntilDone { patience: Duration::from_secs(900), total: fill.count },
        };
        load::run(&load, &server.process).context("fill the registry")
    }
}

#[derive(Clone, Copy)]
struct Fill {
    prefix: &'static str,
    count: u64,
    /// Whether the instances choose their ids.
    named: bool,
}

/// Rows under one name: either what was measured or one row that says why not.
fn measured(name: &str, measure: impl FnOnce() -> Result<Vec<Row>>) -> Vec<Row> {
    let begin = Instant::now();
    eprintln!("{name} ...");
    let rows = measure().unwrap_or_else(|error| vec![Row::failed(name, &error)]);
    eprintln!("    {:.1} s", begin.elapsed().as_secs_f64());
    rows
}

/// A fast answer with nothing in it would be a fine number and a wrong one.
fn check_service(server: &Server, service: &str, instances: u64) -> Result<()> {
    let reply = server.caller()?.call(&requests::look_up(service))?;
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).context("read a look-up")?;
    let found = answer.get("instances").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
    ensure!(found as u64 == instances, "{service} has {found} instances, not {instances}");
    Ok(())
}

static SCRATCH: Mutex<Option<PathBuf>> = Mutex::new(None);

pub(crate) fn remember_scratch(path: &Path) {
    *SCRATCH.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.to_owned());
}

/// For the end by a signal, where nothing is dropped.
pub(crate) fn remove_scratch() {
    if let Some(path) = SCRATCH.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = std::fs::remove_dir_all(path);
    }
}

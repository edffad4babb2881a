//! A real Consul and the registry, asked the same in turns on the same machine, and the ratios of what came of it.
//!
//! Whether their answers are the same is not asked here: that is what `conformance/consul/oracle` holds.

mod blocking;
mod dns;
mod http;
mod memory;
mod pair;
mod servers;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::compared::{self, Compared};
use crate::machine::Machine;
use crate::{process, rows};

#[derive(Args)]
pub(crate) struct ConsulOptions {
    /// The registry to measure, a release build.
    #[arg(long, value_name = "PATH")]
    server_binary: PathBuf,
    /// The real Consul.
    #[arg(long, value_name = "PATH", env = "CONSUL_BIN")]
    consul_binary: PathBuf,
    /// `CoreDNS`, for its own column in the rows of DNS.
    #[arg(long, value_name = "PATH", env = "COREDNS_BIN")]
    coredns_binary: Option<PathBuf>,
    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    rows: Vec<Group>,
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    Health,
    Services,
    Register,
    Kv,
    Ttl,
    Blocking,
    Memory,
    Dns,
}

impl Group {
    /// The order of the table.
    const ALL: [Self; 8] = [
        Self::Health,
        Self::Services,
        Self::Register,
        Self::Kv,
        Self::Ttl,
        Self::Blocking,
        Self::Dns,
        Self::Memory,
    ];

    fn measure(self, setup: &Setup) -> Vec<Compared> {
        match self {
            Self::Health => http::health(setup),
            Self::Services => http::services(setup),
            Self::Register => http::register(setup),
            Self::Kv => http::kv(setup),
            Self::Ttl => http::ttl(setup),
            Self::Blocking => blocking::rows(setup),
            Self::Memory => memory::rows(setup),
            Self::Dns => dns::rows(setup),
        }
    }
}

/// What all rows share.
struct Setup {
    registry_binary: PathBuf,
    consul_binary: PathBuf,
    coredns_binary: Option<PathBuf>,
    scratch: PathBuf,
    quick: bool,
    threads: usize,
    descriptors: u64,
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
}

pub(crate) fn run(options: &ConsulOptions) -> Result<ExitCode> {
    for binary in [&options.server_binary, &options.consul_binary].into_iter().chain(&options.coredns_binary)
    {
        ensure!(binary.is_file(), "there is no {}", binary.display());
    }
    let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = tempfile::Builder::new()
        .prefix("switchboard-bench-")
        .tempdir_in(&parent)
        .context("make a directory")?;
    rows::remember_scratch(scratch.path());
    let machine = Machine::look(scratch.path())?;
    let setup = Setup {
        registry_binary: std::path::absolute(&options.server_binary)?,
        consul_binary: std::path::absolute(&options.consul_binary)?,
        coredns_binary: options.coredns_binary.as_ref().map(std::path::absolute).transpose()?,
        scratch: scratch.path().to_owned(),
        quick: options.quick,
        threads: options.threads.unwrap_or(std::thread::available_parallelism()?.get()).max(1),
        descriptors: process::raise_descriptor_limit()?,
    };
    let mut compared = Vec::new();
    for group in Group::ALL {
        if options.rows.is_empty() || options.rows.contains(&group) {
            compared.extend(group.measure(&setup));
        }
    }
    compared::print(&machine, "Consul", &compared);
    if let Some(file) = &options.json {
        compared::save(file, &machine, &compared)?;
    }
    let failed = compared.iter().any(|row| row.failure.is_some());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Rows under one name: either what was measured or one row that says why not.
fn measured(name: &str, measure: impl FnOnce() -> Result<Compared>) -> Compared {
    let begin = Instant::now();
    eprintln!("{name} ...");
    let row = measure().unwrap_or_else(|error| Compared::failed(name, &error));
    eprintln!("    {:.1} s", begin.elapsed().as_secs_f64());
    row
}

//! What every run has: its options, its scratch directory, its machine, its rounds. And what every run has that puts
//! another server beside the registry: rows that are measured or say why not, and the requests of its scripts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use tempfile::TempDir;

use crate::compared::{self, Compared};
use crate::load::{Script, Scripts};
use crate::machine::Machine;
use crate::process;
use crate::requests::Repeat;

#[derive(Args)]
pub(crate) struct CommonOptions {
    /// The registry to measure, a release build.
    #[arg(long, value_name = "PATH")]
    server_binary: PathBuf,
    /// A tenth of everything, to see that it works. Its numbers are not for publishing.
    #[arg(long)]
    quick: bool,
    /// Also write the numbers to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Where the data directories are made; it has to be a real disk. Default: the directory for temporary files.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Threads of the load generator. Default: as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
}

/// What all rows share.
pub(crate) struct Common {
    pub(crate) server_binary: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) quick: bool,
    pub(crate) threads: usize,
    pub(crate) descriptors: u64,
    pub(crate) machine: Machine,
    /// Removed when everything has been measured.
    _scratch: TempDir,
}

impl CommonOptions {
    pub(crate) fn prepare(&self) -> Result<Common> {
        let parent = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let scratch = tempfile::Builder::new()
            .prefix("switchboard-bench-")
            .tempdir_in(&parent)
            .context("make a directory")?;
        remember_scratch(scratch.path());
        Ok(Common {
            server_binary: program(&self.server_binary)?,
            scratch: scratch.path().to_owned(),
            quick: self.quick,
            threads: self.threads.unwrap_or(std::thread::available_parallelism()?.get()).max(1),
            descriptors: process::raise_descriptor_limit()?,
            machine: Machine::look(scratch.path())?,
            _scratch: scratch,
        })
    }

    /// Prints and saves what was measured beside another server.
    pub(crate) fn publish(&self, common: &Common, other: &str, rows: &[Compared]) -> Result<ExitCode> {
        compared::print(&common.machine, other, rows);
        if let Some(file) = &self.json {
            compared::save(file, &common.machine, rows)?;
        }
        Ok(exit_code(rows.iter().any(|row| row.failure.is_some())))
    }
}

impl Common {
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// For so long each side is measured in each round of a comparison.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(if self.quick { 700 } else { 3000 })
    }

    pub(crate) fn scaled(&self, count: u64) -> u64 {
        if self.quick { count / 10 } else { count }
    }
}

/// Its absolute path, if it is there.
pub(crate) fn program(file: &Path) -> Result<PathBuf> {
    ensure!(file.is_file(), "there is no {}", file.display());
    Ok(std::path::absolute(file)?)
}

/// A missed aim is a result; a failure is none.
pub(crate) fn exit_code(failed: bool) -> ExitCode {
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A row under a name, also if it says only why there is no number.
pub(crate) fn measured(name: &str, measure: impl FnOnce() -> Result<Compared>) -> Compared {
    timed(name, measure).unwrap_or_else(|error| Compared::failed(name, &error))
}

pub(crate) fn timed<T>(name: &str, measure: impl FnOnce() -> Result<T>) -> Result<T> {
    let begin = Instant::now();
    eprintln!("{name} ...");
    let done = measure();
    eprintln!("    {:.1} s", begin.elapsed().as_secs_f64());
    done
}

/// Goes round the same requests, each connection from another place.
pub(crate) fn around(requests: Vec<Vec<u8>>) -> Scripts {
    let requests = Arc::new(requests);
    Arc::new(move |index| Box::new(Repeat::starting_at(Arc::clone(&requests), index * 7)))
}

/// Each request of a numbered sequence once, over all connections together.
pub(crate) struct Each<F> {
    pub(crate) counter: Arc<AtomicU64>,
    pub(crate) limit: u64,
    pub(crate) request: F,
}

impl<F: Fn(u64) -> Vec<u8> + Send> Script for Each<F> {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        if n < self.limit {
            *request = (self.request)(n);
        }
        n < self.limit
    }
}

static SCRATCH: Mutex<Option<PathBuf>> = Mutex::new(None);

fn remember_scratch(path: &Path) {
    *SCRATCH.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.to_owned());
}

/// For the end by a signal, where nothing is dropped.
pub(crate) fn remove_scratch() {
    if let Some(path) = SCRATCH.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = std::fs::remove_dir_all(path);
    }
}

//! The rows of the table, each on a registry of its own that starts empty.

mod heartbeat;
mod lookup;
mod memory;
mod register;
mod watch;

use std::ops::Deref;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::common::{Common, CommonOptions, exit_code, timed};
use crate::load::{self, Extent, Load, Outcome};
use crate::requests::{self, RegisterDistinct};
use crate::server_process::{Server, new_data_dir};
use crate::table::{self, Row};

#[derive(Args)]
pub(crate) struct TableOptions {
    #[command(flatten)]
    common: CommonOptions,
    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    rows: Vec<Group>,
    /// Memory and cold start with 1,000,000 instances as well.
    #[arg(long)]
    million: bool,
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
    let common = options.common.prepare()?;
    let bench = Bench {
        million: options.million,
        watchers: if common.quick { options.watchers / 10 } else { options.watchers },
        common,
    };
    let wanted = |group: &Group| options.rows.is_empty() || options.rows.contains(group);
    let rows: Vec<Row> =
        Group::ALL.into_iter().filter(wanted).flat_map(|group| group.measure(&bench)).collect();
    table::print(&bench.machine, &rows);
    if let Some(file) = &options.common.json {
        table::save(file, &bench.machine, &rows)?;
    }
    Ok(exit_code(rows.iter().any(|row| row.failure.is_some())))
}

/// What all rows share.
pub(crate) struct Bench {
    common: Common,
    pub(crate) million: bool,
    pub(crate) watchers: usize,
}

impl Deref for Bench {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl Bench {
    /// Shorter than in a comparison: nothing here has to be warmed up for long.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(if self.quick { 700 } else { 2000 })
    }

    pub(crate) fn threads_for(&self, connections: usize) -> usize {
        self.threads.min(connections)
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
    timed(name, measure).unwrap_or_else(|error| vec![Row::failed(name, &error)])
}

/// A fast answer with nothing in it would be a fine number and a wrong one.
fn check_service(server: &Server, service: &str, instances: u64) -> Result<()> {
    let reply = server.caller()?.call(&requests::look_up(service))?;
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).context("read a look-up")?;
    let found = answer.get("instances").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
    ensure!(found as u64 == instances, "{service} has {found} instances, not {instances}");
    Ok(())
}

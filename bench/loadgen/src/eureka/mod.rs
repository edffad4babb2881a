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

use std::ops::Deref;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::common::{Common, CommonOptions, program};
use crate::compared::Compared;
use rows::Warm;

#[derive(Args)]
pub(crate) struct EurekaOptions {
    #[command(flatten)]
    common: CommonOptions,
    /// The real server, a jar that `java -jar` starts.
    #[arg(long, value_name = "PATH", env = "EUREKA_JAR")]
    eureka_jar: PathBuf,
    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    rows: Vec<Group>,
    /// Seconds for which the real server is warmed up, before another 215 in which nothing is written.
    #[arg(long, default_value_t = 120)]
    warm_up: u64,
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
    common: Common,
    eureka_jar: PathBuf,
    warm_up: Duration,
    only: Vec<Group>,
}

impl Deref for Setup {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl Setup {
    fn wants(&self, group: Group) -> bool {
        self.only.is_empty() || self.only.contains(&group)
    }
}

pub(crate) fn run(options: &EurekaOptions) -> Result<ExitCode> {
    let common = options.common.prepare()?;
    let setup = Setup {
        eureka_jar: program(&options.eureka_jar)?,
        warm_up: Duration::from_secs(if common.quick { 5 } else { options.warm_up }),
        only: options.rows.clone(),
        common,
    };
    let compared = measure(&setup);
    options.common.publish(&setup.common, "Eureka", &compared)
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

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

use std::ops::Deref;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::common::{Common, CommonOptions, program};
use crate::compared::Compared;

#[derive(Args)]
pub(crate) struct ConsulOptions {
    #[command(flatten)]
    common: CommonOptions,
    /// The real Consul.
    #[arg(long, value_name = "PATH", env = "CONSUL_BIN")]
    consul_binary: PathBuf,
    /// `CoreDNS`, for its own column in the rows of DNS.
    #[arg(long, value_name = "PATH", env = "COREDNS_BIN")]
    coredns_binary: Option<PathBuf>,
    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    rows: Vec<Group>,
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
    common: Common,
    consul_binary: PathBuf,
    coredns_binary: Option<PathBuf>,
}

impl Deref for Setup {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

pub(crate) fn run(options: &ConsulOptions) -> Result<ExitCode> {
    let setup = Setup {
        common: options.common.prepare()?,
        consul_binary: program(&options.consul_binary)?,
        coredns_binary: options.coredns_binary.as_deref().map(program).transpose()?,
    };
    let wanted = |group: &Group| options.rows.is_empty() || options.rows.contains(group);
    let compared: Vec<_> =
        Group::ALL.into_iter().filter(wanted).flat_map(|group| group.measure(&setup)).collect();
    options.common.publish(&setup.common, "Consul", &compared)
}

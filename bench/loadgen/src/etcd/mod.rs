//! A real etcd and the registry, asked the same in turns on the same machine, and the ratios of what came of it.
//!
//! Whether their answers are the same is not asked here: that is what `conformance/etcd` holds.

mod grpc;
mod memory;
mod rows;
mod servers;
mod watch;
mod wire;

use std::ops::Deref;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::common::{Common, CommonOptions, program};
use crate::compared::Compared;

#[derive(Args)]
pub(crate) struct EtcdOptions {
    #[command(flatten)]
    common: CommonOptions,
    /// The real etcd.
    #[arg(long, value_name = "PATH", env = "ETCD_BIN")]
    etcd_binary: PathBuf,
    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "ROW,ROW")]
    rows: Vec<Group>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    Put,
    Range,
    Txn,
    Watch,
    Lease,
    Memory,
}

impl Group {
    /// The order of the table.
    const ALL: [Self; 6] = [Self::Put, Self::Range, Self::Txn, Self::Watch, Self::Lease, Self::Memory];

    fn measure(self, setup: &Setup) -> Vec<Compared> {
        match self {
            Self::Put => rows::put(setup),
            Self::Range => rows::range(setup),
            Self::Txn => rows::txn(setup),
            Self::Watch => watch::rows(setup),
            Self::Lease => rows::lease(setup),
            Self::Memory => memory::rows(setup),
        }
    }
}

/// What all rows share.
struct Setup {
    common: Common,
    etcd_binary: PathBuf,
}

impl Deref for Setup {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

pub(crate) fn run(options: &EtcdOptions) -> Result<ExitCode> {
    let setup = Setup { common: options.common.prepare()?, etcd_binary: program(&options.etcd_binary)? };
    let wanted = |group: &Group| options.rows.is_empty() || options.rows.contains(group);
    let compared: Vec<_> =
        Group::ALL.into_iter().filter(wanted).flat_map(|group| group.measure(&setup)).collect();
    options.common.publish(&setup.common, "etcd", &compared)
}

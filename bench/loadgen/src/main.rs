//! The load generator: starts a registry, loads it, and prints every number beside its ceiling, measured in the
//! same run. It knows the native HTTP API by its bytes only and links no crate of the registry, so it can measure
//! any build of it.
//!
//! What it does not do: use more than one machine, or leave the loopback.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table and the progress are what it is for"
)]

mod append;
mod ceiling;
mod client;
mod common;
mod compared;
mod consul;
mod etcd;
mod eureka;
mod load;
mod machine;
mod process;
mod requests;
mod rows;
mod server_process;
mod sse;
mod table;
mod versus;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The same allocator as the registry, so that the bare server is not slowed down by another one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about = "Measures a service registry beside the ceilings of the machine it runs on")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server, measure every row, print the table.
    Table(rows::TableOptions),
    /// The same requests to a real Consul and to the registry, side by side.
    Consul(consul::ConsulOptions),
    /// The same requests to a real etcd and to the registry, side by side.
    Etcd(etcd::EtcdOptions),
    /// The same requests to a real Eureka server of Spring's and to the registry, side by side.
    Eureka(eureka::EurekaOptions),
    /// The bare server that rows are compared with; `table` starts it by itself.
    CeilingHttp(ceiling::CeilingOptions),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Table(options) => rows::run(&options),
        Command::Consul(options) => consul::run(&options),
        Command::Etcd(options) => etcd::run(&options),
        Command::Eureka(options) => eureka::run(&options),
        Command::CeilingHttp(options) => ceiling::serve(&options).map(|()| ExitCode::SUCCESS),
    }
}

//! The project's own commands, run as `cargo xtask ...`.
//!
//! It knows cargo, the folder layout and the rules that a machine can hold. It does not know what the registry
//! does: it runs what the other crates bring and adds up what came of it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod arrows;
mod bench;
mod codegen;
mod conformance;
mod files;
mod launch;
mod licences;
mod links;
mod process;
mod pure;
mod recipe;
mod spdx;
mod tally;
mod test;
mod text;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::test::Layer;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test there is, layer by layer; the last line is the totals.
    Test {
        /// Count what this machine cannot run as failed instead of skipped.
        #[arg(long, env = "SWITCHBOARD_REQUIRE_ALL", value_parser = clap::builder::FalseyValueParser::new())]
        require_all: bool,
        /// Run one layer only.
        #[arg(long, value_name = "LAYER")]
        only: Option<Layer>,
    },
    /// Follow docs/recipes/add-a-protocol.md word for word in a copy of the project.
    Recipe,
    /// Check that crates depend on each other only downwards.
    Arrows,
    /// Run clients written by others, unmodified, against the real binary.
    Conformance {
        /// A suite (`native`), one of its drivers (`native/go`), or `all`.
        #[arg(default_value = "all")]
        name: String,
        /// Count what this machine cannot run as failed instead of skipped.
        #[arg(long, env = "SWITCHBOARD_REQUIRE_ALL", value_parser = clap::builder::FalseyValueParser::new())]
        require_all: bool,
        /// Try many more generated examples; takes minutes.
        #[arg(long, alias = "all")]
        full: bool,
    },
    /// Stand in for another server's program, for suites that start it by name.
    #[command(hide = true)]
    Launch {
        program: launch::Program,
        /// The server that is started in its place.
        binary: std::path::PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Make Rust of the `.proto` files of protocols; what it writes is committed.
    Codegen {
        /// Write nothing; fail if what is committed is not what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Build server and load generator for release and print the table of measurements.
    Bench {
        /// Passed on to `switchboard-loadgen table`, or after the word `consul` to `switchboard-loadgen consul`; after
        /// the word `balance`, to what measures a pick; after the word `gateway`, to the comparison of proxies
        /// (`rounds=5 seconds=5 connections=64 routes=1`).
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything that was asked for went well.
fn run(command: Command) -> anyhow::Result<bool> {
    if let Command::Launch { program, binary, args } = &command {
        return launch::run(*program, binary, args).map(|()| true);
    }
    let workspace = Workspace::load()?;
    match command {
        Command::Test { require_all, only } => test::run(&workspace, only, require_all),
        Command::Recipe => {
            let totals = recipe::run(&workspace)?.totals(true);
            println!("{totals}");
            Ok(totals.failed == 0)
        }
        Command::Arrows => {
            let violations = arrows::check(&workspace);
            violations.iter().for_each(|violation| println!("{violation}"));
            println!("{} crates, {} violations", workspace.crates.len(), violations.len());
            Ok(violations.is_empty())
        }
        Command::Conformance { name, require_all, full } => {
            let tally = conformance::run(&workspace, &name, full)?;
            tally.print_not_run(require_all);
            let totals = tally.totals(require_all);
            println!("{totals}");
            Ok(totals.failed == 0)
        }
        // Dealt with above: it needs no workspace.
        Command::Launch { .. } => Ok(true),
        Command::Codegen { check } => codegen::run(&workspace, check),
        Command::Bench { args } => bench::run(&workspace, &args),
    }
}

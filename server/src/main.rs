//! The registry in one binary: the server, a demonstration, and a command line that speaks the native API.
//!
//! `arguments` says what can be asked for, `config` what is in force, `plugs` what is built in, `run` puts a server
//! together, and `command` has a file per client command.
//!
//! What this crate does not know: any protocol's words but the native API's, and that only as a client.

mod arguments;
mod client;
mod command;
mod config;
mod demo;
mod engines;
mod failure;
mod gate;
mod logs;
mod open_files;
mod out;
mod panel;
mod plugs;
mod run;
mod serve;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;
use failure::{Exit, Failure};
use out::Out;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            out::note(format!("error: cannot start threads: {error}"));
            return Failure::failed(error).code();
        }
    };
    let mut out = Out::stdout();
    let ended = runtime.block_on(perform(arguments.command, &mut out));
    // What is left in the background has nothing to lose: whatever had was waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.exit != Exit::Unread {
                out::note(format!("error: {failure}"));
            }
            failure.code()
        }
    }
}

async fn perform(command: Command, out: &mut Out) -> Result<(), Failure> {
    match command {
        Command::Serve(what) => serve::serve(what, out).await,
        Command::Demo(what) => demo::demo(what, out).await,
        Command::Gateway(what) => command::gateway(*what, out).await,
        Command::Register(what) => command::register(*what, out).await,
        Command::Deregister(what) => command::deregister(what, out).await,
        Command::Services(what) => command::services(what, out).await,
        Command::Instances(what) => command::instances(what, out).await,
        Command::Watch(what) => command::watch(what, out).await,
        Command::Health(what) => command::health(what, out).await,
        Command::Config(what) => command::config(what.what, out),
        Command::Import(what) => command::import(what, out).await,
        Command::Doctor(what) => command::doctor(what, out).await,
        Command::Completions { shell } => command::completions(shell, out),
        Command::Version { json } => command::version(json, out),
    }
}

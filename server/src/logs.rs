use std::io::{self, IsTerminal};

use switchboard_facade::LogTap;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Format, Log};
use crate::failure::Failure;

/// Logs go to stderr from here on: stdout is for answers. Whoever listens to the log over the wire hears it, too, at a level
/// of their own.
pub(crate) fn start(log: &Log) -> Result<(), Failure> {
    let filter =
        EnvFilter::try_new(&log.level).map_err(|error| Failure::usage(format!("log.level: {error}")))?;
    let subscriber = tracing_subscriber::registry().with(LogTap::of_process().layer());
    let lines = fmt::layer().with_writer(io::stderr);
    let started = match log.format {
        Format::Text => {
            subscriber.with(lines.with_ansi(io::stderr().is_terminal()).with_filter(filter)).try_init()
        }
        Format::Json => {
            subscriber.with(lines.json().flatten_event(true).with_ansi(false).with_filter(filter)).try_init()
        }
    };
    started.map_err(|error| Failure::failed(format!("cannot start logging: {error}")))
}

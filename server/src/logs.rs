use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Format, Log};
use crate::failure::Failure;

/// Logs go to stderr from here on: stdout is for answers.
pub(crate) fn start(log: &Log) -> Result<(), Failure> {
    let filter =
        EnvFilter::try_new(&log.level).map_err(|error| Failure::usage(format!("log.level: {error}")))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match log.format {
        Format::Text => subscriber.with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => subscriber.json().flatten_event(true).with_ansi(false).try_init(),
    };
    started.map_err(|error| Failure::failed(format!("cannot start logging: {error}")))
}

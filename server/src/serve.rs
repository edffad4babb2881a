use std::fmt::Write;
use std::io;
use std::path::Path;
use std::time::Duration;

use switchboard_facade::Listening;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::Serve;
use crate::config::{Config, Layers};
use crate::failure::Failure;
use crate::logs;
use crate::open_files::raise_open_files;
use crate::out::{Out, note};
use crate::panel::panel;
use crate::run::{Server, start};

/// A registry that is up within this time shows what it holds in its panel.
const SOON: Duration = Duration::from_millis(800);

pub(crate) async fn serve(arguments: Serve, out: &mut Out) -> Result<(), Failure> {
    let layers = Layers::gather(&arguments.config, std::env::vars_os())?;
    let config = Config::read(&layers)?;
    logs::start(&config.log)?;
    raise_open_files();
    let mut signals = Signals::listen()?;
    let mut server = tokio::select! {
        started = start(&config) => started?,
        // Opening a large store takes a while, and nothing is lost by not waiting for it.
        signal = signals.next() => {
            note(format!("{signal}: stopped before it was up."));
            return Ok(());
        }
    };
    let soon = tokio::time::timeout(SOON, server.loaded()).await;
    if let Ok(Err(failure)) = soon {
        return Err(failure);
    }
    panel(&config, &server, out)?;
    let ended = match wait_for_the_end(&mut server, &mut signals, arguments.port_file.as_deref()).await {
        Ok(signal) => {
            note(format!("{signal}: stopping. A second signal stops at once."));
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    tokio::select! {
        stopped = server.stop() => ended.and(stopped),
        signal = signals.next() => Err(Failure::failed(format!("{signal} again: stopped before everyone was served"))),
    }
}

/// Says that it is ready, once it is, and waits for a signal; Err: something broke.
async fn wait_for_the_end(
    server: &mut Server,
    signals: &mut Signals,
    port_file: Option<&Path>,
) -> Result<&'static str, Failure> {
    tokio::select! {
        loaded = server.loaded() => loaded?,
        signal = signals.next() => return Ok(signal),
    }
    tracing::info!(revision = server.registry.head().0, "ready");
    if let Some(file) = port_file {
        let places = server.listening.iter().map(|(protocol, place)| (*protocol, place));
        write_places(file, places).map_err(|error| Failure::failed(format!("--port-file: {error}")))?;
    }
    tokio::select! {
        failure = server.broken() => Err(failure),
        signal = signals.next() => Ok(signal),
    }
}

/// Appears as a whole, so that whoever waits for it never reads half of it.
pub(crate) fn write_places<'a>(
    file: &Path,
    places: impl Iterator<Item = (&'a str, &'a Listening)>,
) -> io::Result<()> {
    let mut text = String::new();
    for (protocol, listening) in places {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{protocol}={}", listening.address);
    }
    let unfinished = file.with_extension("unfinished");
    std::fs::write(&unfinished, text)?;
    std::fs::rename(&unfinished, file)
}

/// The signals that mean it is time to go.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(crate) fn listen() -> Result<Signals, Failure> {
        let on = |kind| {
            signal(kind).map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")))
        };
        Ok(Signals { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

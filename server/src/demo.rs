//! `switchboard demo`: the real server on a temporary folder, real services on real ports, and a tour of it.

mod json;
mod services;
mod stage;
mod tour;

use switchboard_facade::Section;
use tempfile::TempDir;

use crate::arguments::Demo;
use crate::client::Client;
use crate::config::{Config, Format, Layers, Log};
use crate::failure::Failure;
use crate::out::{Out, Style, note};
use crate::panel::url;
use crate::run::{NotStarted, Server, start};
use crate::serve::Signals;
use crate::{logs, open_files};
use stage::Stage;
use tour::Cast;

/// The protocol that the tour speaks.
const NATIVE: &str = "native";

pub(crate) async fn demo(what: Demo, out: &mut Out) -> Result<(), Failure> {
    logs::start(&Log { level: "warn".to_owned(), format: Format::Text })?;
    open_files::raise_open_files();
    let mut signals = Signals::listen()?;
    let folder = tempfile::Builder::new().prefix("switchboard-demo-").tempdir();
    let folder =
        folder.map_err(|error| Failure::failed(format!("cannot make a temporary folder: {error}")))?;
    let title = out.paint(Style::Bold, "Switchboard, a tour.");
    out.line(title)?;
    out.wrapped(
        "",
        0,
        "Every command below can be typed while this runs. Answers are laid out for reading.",
    )?;

    let server = start_registry(&folder, out).await?;
    let ended = tokio::select! {
        ended = play(&server, &what, out) => ended,
        _ = signals.next() => Ok(()),
    };
    if what.exit || ended.is_err() {
        server.stop().await?;
        return ended;
    }
    note("Stopping.");
    server.stop().await
}

/// Where a port is taken, a free one will do: this is for looking at.
async fn start_registry(folder: &TempDir, out: &mut Out) -> Result<Server, Failure> {
    let mut config = Config::read(&Layers::default())?;
    config.data_dir = folder.path().to_owned();
    let mut moved = Vec::new();
    loop {
        match start(&config).await {
            Ok(server) => {
                server.loaded().await?;
                return Ok(server);
            }
            Err(NotStarted::PortTaken { protocol, address, failure }) => {
                let section: Option<&mut Section> = config.protocol_mut(&protocol);
                let Some(section) = section.filter(|_| !moved.contains(&protocol)) else {
                    return Err(failure);
                };
                section.insert("listen".to_owned(), format!("{}:0", address.ip()).into());
                out.line(format!(
                    "Port {} is taken by another process, so {protocol} takes a free one.",
                    address.port()
                ))?;
                moved.push(protocol);
            }
            Err(NotStarted::Failed(failure)) => return Err(failure),
        }
    }
}

async fn play(server: &Server, what: &Demo, out: &mut Out) -> Result<(), Failure> {
    let native = server.listening.iter().find(|(name, _)| *name == NATIVE);
    let (_, native) = native.ok_or_else(|| Failure::failed("the tour needs the native API"))?;
    let client = Client::new(&url(native), None)?;
    let mut stage = Stage::new(out, client);
    let cast = match tour::tour(&mut stage).await {
        Ok(cast) => cast,
        Err(failure) => {
            return Err(Failure::failed(format!("the tour ended at step {}: {failure}", stage.step)));
        }
    };
    if what.exit {
        return Ok(());
    }
    encore(&mut stage, &cast)?;
    std::future::pending().await
}

/// What to play with.
fn encore(stage: &mut Stage<'_>, cast: &Cast) -> Result<(), Failure> {
    let url = stage.registry.url.clone();
    let server = if url.ends_with(":7700") { String::new() } else { format!(" --server {url}") };
    let crash = cast.users.first().map(|user| user.url()).unwrap_or_default();
    stage.out.line("")?;
    let title = stage.out.paint(Style::Bold, "Everything stays up. In another terminal:");
    stage.out.line(title)?;
    for line in [
        format!("switchboard watch{server}"),
        format!("switchboard health user-service{server}"),
        format!("curl -X POST {crash}/crash          # it drops dead, and is back after 10 s"),
        format!("curl {}/orders/7", cast.orders.url()),
        format!("curl {url}/metrics"),
    ] {
        stage.out.line(format!("   {line}"))?;
    }
    Ok(stage.out.line("Ctrl-C ends it and removes the temporary folder.")?)
}

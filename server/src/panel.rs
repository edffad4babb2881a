use std::io;
use std::path::Path;

use switchboard_facade::Listening;
use switchboard_registry::Caller;

use crate::config::Config;
use crate::out::{Out, Style};
use crate::run::Server;

/// What listens where, what keeps the records, and what is open to whom.
pub(crate) fn panel(config: &Config, server: &Server, out: &mut Out) -> io::Result<()> {
    let version = out.paint(Style::Bold, format!("Switchboard {}", env!("CARGO_PKG_VERSION")));
    out.line(version)?;
    out.line("")?;
    for (protocol, listening) in &server.listening {
        row(out, protocol, &place(listening))?;
    }
    for (plug, _) in config.protocols.iter().filter(|(plug, _)| !listens(server, plug.name)) {
        row(out, plug.name, "listens nowhere")?;
    }
    row(out, "engine", &format!("{}: {}", config.engine.name, config.engine.about))?;
    if server.registry.facts().durable {
        row(out, "data", &config.data_dir.display().to_string())?;
    }
    row(out, "records", &records(server))?;
    let file = config.file.as_ref().map(|file| file.display().to_string());
    row(out, "config", &file.unwrap_or_else(|| "defaults; no switchboard.toml here".to_owned()))?;
    row(out, "open to", &open_to(server))?;
    out.line("")?;
    warnings(config, server, out)?;
    if let Some((_, native)) = server.listening.iter().find(|(protocol, _)| *protocol == "native") {
        row(out, "try", &format!("curl {}/v1/services", url(native)))?;
    }
    row(out, "stop", "Ctrl-C")
}

/// The same for a gateway on its own.
pub(crate) fn alone(
    listening: &[Listening],
    registry: &str,
    file: Option<&Path>,
    out: &mut Out,
) -> io::Result<()> {
    let version = out.paint(Style::Bold, format!("Switchboard gateway {}", env!("CARGO_PKG_VERSION")));
    out.line(version)?;
    out.line("")?;
    for place in listening {
        row(out, "gateway", &self::place(place))?;
    }
    row(out, "over", registry)?;
    let file = file.map(|file| file.display().to_string());
    row(out, "config", &file.unwrap_or_else(|| "defaults; no switchboard.toml here".to_owned()))?;
    out.line("")?;
    for place in listening {
        if let Some(why) = &place.insecure {
            let label = out.paint(Style::Warn, "warning");
            let warning = format!("{} is {why}, because gateway.insecure = true", place.address);
            out.wrapped(&format!("  {label}   "), INDENT, &warning)?;
        }
    }
    if let Some(front) = listening.first() {
        row(out, "try", &format!("curl {}/SERVICE/", url(front)))?;
    }
    row(out, "stop", "Ctrl-C")
}

/// Where HTTP answers.
pub(crate) fn url(listening: &Listening) -> String {
    format!("{}://{}", if listening.tls { "https" } else { "http" }, listening.address)
}

fn place(listening: &Listening) -> String {
    match listening.what.as_str() {
        "http" => url(listening),
        what => format!("{} ({what}{})", listening.address, if listening.tls { ", TLS" } else { "" }),
    }
}

fn listens(server: &Server, protocol: &str) -> bool {
    server.listening.iter().any(|(name, _)| *name == protocol)
}

fn records(server: &Server) -> String {
    match server.registry.view(&Caller::internal("panel")) {
        Ok(view) => {
            let (services, instances) = (view.service_count(), view.tally().instances);
            format!("{instances} instances of {services} services, at revision {}", view.revision())
        }
        Err(_) => "still being read; `switchboard health` says when it is ready".to_owned(),
    }
}

fn open_to(server: &Server) -> String {
    if server.listening.iter().all(|(_, listening)| listening.address.ip().is_loopback()) {
        "this machine only; whoever is on it may read and write".to_owned()
    } else {
        "other machines, too; whoever reaches a port may read and write".to_owned()
    }
}

fn warnings(config: &Config, server: &Server, out: &mut Out) -> io::Result<()> {
    let insecure = server.listening.iter().filter_map(|(name, listening)| {
        let why = listening.insecure.as_ref()?;
        Some(format!("{name} on {} is {why}, because {name}.insecure = true", listening.address))
    });
    let mut warnings: Vec<String> = insecure.collect();
    if !server.registry.facts().durable {
        let name = config.engine.name;
        warnings.push(format!("the engine {name} forgets everything when this process ends"));
    }
    if server.listening.is_empty() {
        warnings.push("every protocol is disabled: nobody can ask anything".to_owned());
    }
    for warning in &warnings {
        let label = out.paint(Style::Warn, "warning");
        out.wrapped(&format!("  {label}   "), INDENT, warning)?;
    }
    if warnings.is_empty() { Ok(()) } else { out.line("") }
}

const INDENT: usize = 12;

fn row(out: &mut Out, name: &str, text: &str) -> io::Result<()> {
    let label = out.paint(Style::Dim, format!("{name:<8}"));
    out.wrapped(&format!("  {label}  "), INDENT, text)
}

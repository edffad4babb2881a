//! A gateway on its own, over a registry that runs elsewhere.

use std::sync::Arc;

use switchboard::{Consul, Dns, Etcd, Eureka, File, LastKnownGood, Native, SharedOptions, Source};
use switchboard_facade::{Metrics, Stop};
use switchboard_gateway::Alone;

use crate::arguments::{ConfigFlags, Gateway, Over};
use crate::config::{Config, Layers, table};
use crate::failure::{Exit, Failure};
use crate::logs;
use crate::open_files::raise_open_files;
use crate::out::{Out, note};
use crate::panel;
use crate::serve::{Signals, write_places};

const NAME: &str = "gateway";

pub(crate) async fn gateway(arguments: Gateway, out: &mut Out) -> Result<(), Failure> {
    let source = source(&arguments.over, options(&arguments.over))?;
    let flags = ConfigFlags {
        config: arguments.config,
        listen: arguments.listen.iter().map(|address| format!("{NAME}={address}")).collect(),
        set: arguments.set,
        log: arguments.log,
        log_format: arguments.log_format,
        ..ConfigFlags::default()
    };
    let config = Config::read(&Layers::gather(&flags, std::env::vars_os())?)?;
    logs::start(&config.log)?;
    raise_open_files();
    let mut section = table(&config.effective, NAME);
    // Whoever starts it wants it, whatever is said for a registry that shares the file.
    section.remove(crate::config::ENABLED);
    let mut signals = Signals::listen()?;
    let alone = Alone::open(&section).map_err(|error| Failure::new(Exit::Failed, format!("{error:#}")))?;
    let listening = alone.listening();
    panel::alone(&listening, source.name(), config.file.as_deref(), out)?;
    if let Some(file) = &arguments.port_file {
        let places = listening.iter().map(|place| (NAME, place));
        write_places(file, places).map_err(|error| Failure::failed(format!("--port-file: {error}")))?;
    }
    let (metrics, stop) = (Metrics::default(), Stop::new());
    let mut serving = tokio::spawn({
        let stop = stop.clone();
        async move { alone.serve(source, &metrics, stop).await }
    });
    let signal = tokio::select! {
        ended = &mut serving => return Err(said(ended, "it stopped without being told to")),
        signal = signals.next() => signal,
    };
    note(format!("{signal}: stopping. A second signal stops at once."));
    stop.cancel();
    tokio::select! {
        ended = serving => match ended {
            Ok(Ok(())) => Ok(()),
            ended => Err(said(ended, "it ended badly")),
        },
        signal = signals.next() => Err(Failure::failed(format!("{signal} again: stopped before everyone was served"))),
    }
}

fn said(ended: Result<anyhow::Result<()>, tokio::task::JoinError>, otherwise: &str) -> Failure {
    Failure::failed(match ended {
        Ok(Ok(())) => otherwise.to_owned(),
        Ok(Err(error)) => format!("{error:#}"),
        Err(error) => format!("it crashed: {error}"),
    })
}

fn options(over: &Over) -> SharedOptions {
    let last_known_good = over.keep.as_ref().map(LastKnownGood::in_folder);
    SharedOptions { last_known_good, ..SharedOptions::default() }
}

/// The one registry that was named.
fn source(over: &Over, options: SharedOptions) -> Result<Arc<dyn Source>, Failure> {
    let wrong = |flag: &str, error: &dyn std::fmt::Display| Failure::usage(format!("{flag}: {error}"));
    // clap does not ask for the one flag where another excludes it.
    let asks_dns = over.dns_srv.is_some() || over.dns_hosts.is_some();
    for (flag, is_given, of, is_there) in [
        ("--etcd-prefix", over.etcd_prefix.is_some(), "--etcd", over.etcd.is_some()),
        ("--eureka-every", over.eureka_every.is_some(), "--eureka", over.eureka.is_some()),
        ("--dns-server", over.dns_server.is_some(), "--dns-srv or --dns-hosts", asks_dns),
    ] {
        if is_given && !is_there {
            return Err(wrong(flag, &format!("goes with {of}")));
        }
    }
    if let Some(addresses) = &over.registry {
        let native = Native::at(addresses).map_err(|error| wrong("--registry", &error))?;
        return Ok(Arc::new(native.source_with(options)));
    }
    if let Some(addresses) = &over.consul {
        let mut consul = Consul::at(addresses).map_err(|error| wrong("--consul", &error))?;
        if let Some(token) = &over.consul_token {
            consul = consul.token(token).map_err(|error| wrong("--consul-token", &error))?;
        }
        return Ok(Arc::new(consul.source_with(options)));
    }
    if let Some(address) = &over.etcd {
        let etcd = Etcd::at(address).map_err(|error| wrong("--etcd", &error))?;
        let etcd = over.etcd_prefix.iter().fold(etcd, |etcd, prefix| etcd.prefix(prefix));
        return Ok(Arc::new(etcd.source_with(options)));
    }
    if let Some(addresses) = &over.eureka {
        let eureka = Eureka::at(addresses).map_err(|error| wrong("--eureka", &error))?;
        let eureka = over.eureka_every.iter().fold(eureka, |eureka, every| eureka.every(every.0));
        return Ok(Arc::new(eureka.source_with(options)));
    }
    if let Some(name) = &over.dns_srv {
        let dns = match over.dns_server {
            Some(server) => Dns::srv_at(server, name),
            None => Dns::srv(name),
        };
        return Ok(Arc::new(dns.map_err(|error| wrong("--dns-srv", &error))?.source_with(options)));
    }
    if let Some(name) = &over.dns_hosts {
        let (name, port) =
            name.rsplit_once(':').ok_or_else(|| wrong("--dns-hosts", &"expected NAME:PORT"))?;
        let port = port.parse().map_err(|_| wrong("--dns-hosts", &"expected NAME:PORT"))?;
        let dns = match over.dns_server {
            Some(server) => Dns::hosts_at(server, name, port),
            None => Dns::hosts(name, port),
        };
        return Ok(Arc::new(dns.map_err(|error| wrong("--dns-hosts", &error))?.source_with(options)));
    }
    match &over.file {
        Some(path) if path.is_file() => Ok(Arc::new(File::open(path))),
        Some(path) => Err(wrong("--file", &format!("there is no file {}", path.display()))),
        None => Err(Failure::usage(
            "say which registry: --registry, --consul, --etcd, --eureka, --dns-srv, --dns-hosts or --file",
        )),
    }
}

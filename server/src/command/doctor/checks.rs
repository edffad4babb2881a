use std::path::Path;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use switchboard_facade::{ListenError, Plug, Section};
use switchboard_store::StoreErrorKind;

use super::super::{number, text};
use super::{Finding, holders};
use crate::client::{Answer, Client};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::open_files::open_files;

/// Below this nothing more can be promised.
const TIGHT_BYTES: u64 = 64 << 20;
/// Below this someone should know.
const SCARCE_BYTES: u64 = 1 << 30;
/// Leases are counted by this machine alone, so a clock only matters to people who read times.
const SKEW_SECONDS: i64 = 5;
const FEW_FILES: u64 = 65_536;

pub(super) fn configuration(config: &Config) -> Finding {
    match &config.file {
        Some(file) => Finding::ok("config", format!("{} is valid", file.display())),
        None => Finding::ok("config", "the defaults; there is no ./switchboard.toml"),
    }
}

pub(super) async fn data(config: &Config, verify: bool, is_running: bool) -> Finding {
    let (folder, inspect, engine) = (config.data_dir.clone(), config.engine.inspect, config.engine.name);
    let shown = folder.display().to_string();
    let looked = tokio::task::spawn_blocking(move || inspect(&folder, verify)).await;
    match looked {
        Ok(Ok(Some(says))) => {
            let read = if verify { "; all of it was read and makes sense" } else { "" };
            Finding::ok("data", format!("{shown}: {says}{read}"))
        }
        Ok(Ok(None)) if engine == "memory" => {
            Finding::warn("data", "the engine memory forgets everything", "Use --engine redb to keep it.")
        }
        Ok(Ok(None)) => match writable(&config.data_dir) {
            Ok(()) => {
                Finding::ok("data", format!("{shown} holds nothing yet; it is made when the registry starts"))
            }
            Err(error) => Finding::fail(
                "data",
                format!("{shown} cannot be written: {error}"),
                Some("Give its owner the right to, or choose another folder with --data-dir DIR.".to_owned()),
            ),
        },
        Ok(Err(error)) if error.kind == StoreErrorKind::Locked && is_running => {
            Finding::ok("data", format!("{shown} is in use by the registry that runs"))
        }
        Ok(Err(error)) if error.kind == StoreErrorKind::Locked => {
            let next = who_holds_data(&config.data_dir).map(|who| format!("{who} holds it."));
            Finding::fail("data", error.to_string(), next)
        }
        Ok(Err(error)) => Finding::fail("data", error.to_string(), None),
        Err(error) => Finding::fail("data", format!("looking at {shown} crashed: {error}"), None),
    }
}

fn who_holds_data(folder: &Path) -> Option<String> {
    let files = std::fs::read_dir(folder).ok()?.flatten().filter_map(|file| file.path().canonicalize().ok());
    holders::who_holds(&files.collect::<Vec<_>>())
}

/// Whether the folder, or what it would be made in, can be written.
fn writable(folder: &Path) -> std::io::Result<()> {
    let there = folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    Ok(rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?)
}

pub(super) fn space(config: &Config) -> Option<Finding> {
    let folder = config.data_dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(folder).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let says = format!("{:.1} GB free for {}", free as f64 / 1e9, config.data_dir.display());
    let next = "Free some, or choose another disk with --data-dir DIR.";
    Some(match free {
        0..TIGHT_BYTES => Finding::fail("space", says, Some(next.to_owned())),
        TIGHT_BYTES..SCARCE_BYTES => Finding::warn("space", says, next),
        _ => Finding::ok("space", says),
    })
}

/// Each protocol binds its places for a moment, just as it would to serve.
pub(super) async fn ports(config: &Config, is_running: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (plug, section) in &config.protocols {
        findings.push(port(plug, section, is_running).await);
    }
    findings
}

async fn port(plug: &Plug, section: &Section, is_running: bool) -> Finding {
    let error = match (plug.open)(section).await {
        Ok(facade) => {
            let places: Vec<_> = facade.listening().iter().map(|place| place.address.to_string()).collect();
            return Finding::ok("port", format!("{}: {} is free", plug.name, places.join(", ")));
        }
        Err(error) => error,
    };
    let Some(ListenError::InUse { protocol, address }) = error.downcast_ref() else {
        return Finding::fail("port", format!("{error:#}"), None);
    };
    let who = holders::who_listens(address.port());
    let says = format!("{protocol}: {address} is taken by {}", who.as_deref().unwrap_or("another process"));
    match who {
        Some(who) if is_running && who.starts_with("switchboard ") => Finding::ok("port", says),
        _ => Finding::fail(
            "port",
            says,
            Some(format!("Stop that, or move with --listen {protocol}=HOST:PORT, or --disable {protocol}.")),
        ),
    }
}

pub(super) fn server(client: &Client, asked: &Result<Answer, Failure>) -> Finding {
    let url = &client.url;
    match asked {
        Err(failure) if failure.exit == Exit::Unreachable => {
            Finding::warn("server", format!("nothing answers at {url}"), "Start it with `switchboard serve`.")
        }
        Err(failure) => Finding::fail("server", failure.to_string(), None),
        Ok(answer) if answer.body.get("revision").is_none() => Finding::fail(
            "server",
            format!("{url} answers {}, and not as a registry does", answer.status),
            Some("Name another with --server URL (SWITCHBOARD_SERVER).".to_owned()),
        ),
        Ok(answer) => state(url, answer),
    }
}

fn state(url: &str, answer: &Answer) -> Finding {
    let status = &answer.body;
    let (version, engine) = (text(status, "version"), text(status, "engine"));
    let says =
        format!("{url} is Switchboard {version} on {engine}, at revision {}", number(status, "revision"));
    let waiting = text(status, "waiting_for");
    let suspect = status.get("brake").map(|brake| number(brake, "suspect")).unwrap_or_default();
    let ours = env!("CARGO_PKG_VERSION");
    if !waiting.is_empty() {
        Finding::fail("server", format!("{says}; it waits for {waiting}"), None)
    } else if suspect > 0 {
        let next =
            "Look at the network between the registry and them: `switchboard instances --status suspect`.";
        Finding::warn("server", format!("{says}; {suspect} instances are suspect and kept in service"), next)
    } else if version != ours {
        Finding::warn("server", format!("{says}; this is {ours}"), "Use the same version on both sides.")
    } else {
        Finding::ok("server", says)
    }
}

pub(super) fn clock(running: Option<&Answer>) -> Finding {
    let here = Timestamp::now();
    let there = running
        .and_then(Answer::date)
        .and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
    let skew = there.map(|there| here.as_second() - there.as_second());
    match skew {
        Some(skew) if skew.abs() > SKEW_SECONDS => {
            let way = if skew > 0 { "ahead of" } else { "behind" };
            let says = format!("this machine is {} s {way} the registry", skew.abs());
            Finding::warn("clock", says, "Keep both on NTP. Leases are not affected, but shown times are.")
        }
        Some(_) => Finding::ok("clock", "this machine and the registry agree"),
        None => Finding::ok("clock", format!("it is {}", here.strftime("%Y-%m-%d %H:%M:%S UTC"))),
    }
}

pub(super) fn files() -> Finding {
    let limit = open_files();
    let word = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let says = format!("{} open files, raised to {} by `serve`", word(limit.now), word(limit.at_most));
    match limit.at_most {
        Some(at_most) if at_most < FEW_FILES => Finding::warn(
            "files",
            says,
            "Each watcher is one. Raise the hard limit: `ulimit -Hn`, or LimitNOFILE= in systemd.",
        ),
        _ => Finding::ok("files", says),
    }
}

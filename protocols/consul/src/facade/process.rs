//! `agent/…`, as far as it is about the process and its place among others: its host, its log, what it is told to do.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use switchboard_facade::{LogLine, LogLines, LogTap, MetricsFormat};
use switchboard_model::{Id, Owner, Status};
use switchboard_registry::plan::DeleteNode;
use tracing::Level;

use super::{Shared, State, gauges};
use crate::answer::{Answer, encode};
use crate::ask::Ask;
use crate::identity::SERF;
use crate::refusal::Refusal;

/// A listener that is so many lines behind misses what comes then.
const LINES: usize = 512;
/// How often a stream of metrics says them anew.
const METRICS_EVERY: Duration = Duration::from_secs(10);

pub(crate) async fn host(_: Shared, _: Ask) -> Result<Answer, Refusal> {
    let told = tokio::task::spawn_blocking(about_host).await;
    told.map(|told| Answer::json(&told)).map_err(|error| Refusal::failed(error.to_string()))
}

/// In the shape that Consul has it from its library.
fn about_host() -> Value {
    let name = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let info = rustix::system::sysinfo();
    let unit = u64::from(info.mem_unit.max(1));
    let memory = |what: &str| {
        let file = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line =
            file.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':').map(str::to_owned));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map(|kib| kib * 1024)
    };
    let (total, free) = (info.totalram.saturating_mul(unit), info.freeram.saturating_mul(unit));
    let available = memory("MemAvailable").unwrap_or(free);
    let uptime = u64::try_from(info.uptime).unwrap_or(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let disk = rustix::fs::statvfs(".").ok().map(|disk| {
        let (size, free) = (disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize);
        let used = size.saturating_sub(disk.f_bfree * disk.f_frsize);
        json!({ "path": ".", "total": size, "free": free, "used": used, "usedPercent": percent(used, size) })
    });
    let used = total.saturating_sub(available);
    json!({
        "Memory": {
            "total": total, "available": available, "free": free, "used": used,
            "usedPercent": percent(used, total),
        },
        "CPU": (0..cores).map(|core| json!({ "cpu": core, "cores": 1 })).collect::<Vec<_>>(),
        "Host": {
            "hostname": text(name.nodename()),
            "uptime": uptime,
            "bootTime": now.as_secs().saturating_sub(uptime),
            "procs": info.procs,
            "os": text(name.sysname()).to_lowercase(),
            "kernelVersion": text(name.release()),
            "kernelArch": text(name.machine()),
        },
        "Disk": disk,
        "CollectionTime": u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        "Errors": null,
    })
}

#[allow(clippy::cast_precision_loss, reason = "a percentage for people")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

pub(crate) async fn metrics(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    state.context.registry.meters();
    if ask.get("format") == Some("prometheus") {
        let accept = ask.headers.get(http::header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let format = MetricsFormat::accepted(accept);
        return Ok(Answer::bytes(state.context.metrics.render(format)).of_type(format.content_type()));
    }
    Ok(Answer::json(&state.told_metrics()))
}

/// The same again and again, each as one line of JSON.
pub(crate) async fn metrics_stream(state: Shared, _: Ask) -> Result<Answer, Refusal> {
    let pieces = stream::unfold((state, false), |(state, begun)| async move {
        if begun {
            tokio::select! {
                () = tokio::time::sleep(METRICS_EVERY) => {}
                () = state.context.stop.cancelled() => return None,
            }
        }
        state.context.registry.meters();
        let line = [&encode(&state.told_metrics())[..], b"\n"].concat();
        Some((Bytes::from(line), (state, true)))
    });
    Ok(Answer::stream("application/json", pieces).made_smaller())
}

impl State {
    fn told_metrics(&self) -> Value {
        let now_ms = self.context.registry.now().wall_ms;
        gauges::summary(&self.context.metrics.render(MetricsFormat::Classic), now_ms)
    }
}

pub(crate) async fn monitor(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let word = ask.get("loglevel").unwrap_or("INFO");
    let level = match word.to_ascii_uppercase().as_str() {
        "TRACE" => Level::TRACE,
        "DEBUG" => Level::DEBUG,
        "INFO" => Level::INFO,
        "WARN" => Level::WARN,
        "ERR" | "ERROR" => Level::ERROR,
        _ => return Err(Refusal::bad(format!("Unknown log level: {word}"))),
    };
    let as_json = ask.has("logjson");
    let lines = LogTap::of_process().listen(level, LINES);
    let pieces = stream::unfold((state, lines), move |(state, lines)| tell(state, lines, as_json));
    Ok(Answer::stream("text/plain; charset=utf-8", pieces).made_smaller())
}

type Listening = (Shared, LogLines);

async fn tell(state: Shared, mut lines: LogLines, as_json: bool) -> Option<(Bytes, Listening)> {
    let (line, missed) = tokio::select! {
        next = lines.next() => next?,
        () = state.context.stop.cancelled() => return None,
    };
    let mut text = written(&line, as_json);
    if missed > 0 {
        let message = format!("{missed} lines were not told: they came faster than they were read");
        let gap = LogLine { message, level: Level::WARN, fields: BTreeMap::new(), ..line };
        text = written(&gap, as_json) + &text;
    }
    Some((Bytes::from(text), (state, lines)))
}

/// As Consul's logger writes a line.
fn written(line: &LogLine, as_json: bool) -> String {
    let at = timestamp(line.at_ms);
    let word = line.level.as_str();
    if as_json {
        let mut fields: BTreeMap<&str, String> =
            line.fields.iter().map(|(key, value)| (*key, value.clone())).collect();
        fields.extend([
            ("@timestamp", at),
            ("@level", word.to_lowercase()),
            ("@module", line.target.to_owned()),
            ("@message", line.message.clone()),
        ]);
        return serde_json::to_string(&fields).unwrap_or_default() + "\n";
    }
    let pairs: String = line.fields.iter().map(|(key, value)| format!(" {key}={value}")).collect();
    let colon = if pairs.is_empty() { "" } else { ":" };
    let bracketed = format!("[{word}]");
    let text = format!("{at} {bracketed:<7} {}: {}{colon}{pairs}", line.target, line.message);
    // A line stays one line.
    text.replace('\n', "\\n") + "\n"
}

/// RFC 3339 with milliseconds, in UTC.
pub(super) fn timestamp(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", at.unwrap_or_default())
}

pub(crate) async fn reload(state: Shared, _: Ask) -> Result<Answer, Refusal> {
    state.load_files().await?;
    Ok(Answer::empty())
}

/// There is nobody to join but this registry, of which everyone who can ask is a member already.
pub(crate) async fn join(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let address = ask.rest.as_str();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let own = [state.here.address.as_str(), "localhost", state.here.node.as_str()];
    if own.iter().any(|own| own.eq_ignore_ascii_case(host) || own.eq_ignore_ascii_case(address)) {
        return Ok(Answer::empty());
    }
    Err(Refusal::failed(format!(
        "1 error occurred:\n\t* Failed to join {address}: this registry joins no others\n\n"
    )))
}

/// The client's agent leaves: its node goes, with all that is on it.
pub(crate) async fn leave(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let agent = state.here.agent_of(&ask)?;
    if agent.is_own {
        return Err(Refusal::failed(
            "this registry does not leave itself: stop its process, or deregister the node with catalog/deregister",
        ));
    }
    let registry = &state.context.registry;
    if registry.view(&ask.caller)?.node(&agent.key()).is_some() {
        registry.submit(&ask.caller, DeleteNode { key: agent.key(), with_instances: true }).await?;
    }
    Ok(Answer::empty())
}

/// A node whose agent does not answer is taken out.
pub(crate) async fn force_leave(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest.as_str();
    let registry = &state.context.registry;
    let view = registry.view(&ask.caller)?;
    let Some(node) = State::node_key(name).ok().and_then(|key| view.node(&key)) else {
        return Err(Refusal::failed(format!("agent: No node found with name '{name}'")));
    };
    let key = node.facts.key.clone();
    let owner = Owner::Node(node.facts.key.clone());
    let serf = switchboard_model::CheckKey { owner, id: Id::parse("check", SERF)? };
    if view.check(&serf).is_some_and(|check| check.status != Status::Critical) {
        return Err(Refusal::failed(format!(
            "node '{name}' is alive: only failed nodes are made to leave; catalog/deregister takes any"
        )));
    }
    registry.submit(&ask.caller, DeleteNode { key, with_instances: true }).await?;
    Ok(Answer::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_as_consul_writes_them() {
        let line = LogLine {
            at_ms: 1_709_208_000_123,
            level: Level::INFO,
            target: "agent",
            message: "two\nlines".into(),
            fields: BTreeMap::from([("k", "v".into())]),
        };
        assert_eq!(written(&line, false), "2024-02-29T12:00:00.123Z [INFO]  agent: two\\nlines: k=v\n");
        let read: Value = serde_json::from_str(&written(&line, true)).unwrap();
        assert_eq!(
            (&read["@level"], &read["@message"], &read["k"]),
            (&json!("info"), &json!("two\nlines"), &json!("v"))
        );
    }
}

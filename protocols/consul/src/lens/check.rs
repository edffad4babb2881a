use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_model::{Check, CheckKey, Id, Owner, Probe, Status, Tags, Thresholds};

use super::alias::Alias;
use super::node::annex_of;
use super::probe::probe;
use super::{GoDuration, default_only};
use crate::refusal::Refusal;
use crate::wire::{self, CatalogCheck, CheckBody};

const LEAST_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What Consul says about a check and the model has no noun for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct Words {
    /// The type, where the probe does not say it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    /// Registered by itself: durations that were not given are `0s` instead of nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) alone: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) has_timeout: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) definition: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<(String, String)>,
    /// Said of it in the catalogue, and said back.
    #[serde(skip_serializing_if = "wire::is_default")]
    pub(super) exposed_port: u16,
    /// Of a node's check: which service it tells of, whoever that is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) service_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) service_tags: Vec<String>,
    /// Whose checks it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alias: Option<Alias>,
    /// What a provider says beyond this is cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) most_output: Option<usize>,
}

impl Words {
    pub(super) fn of(check: &Check) -> Words {
        check.annex.get("consul").and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }
}

/// Whose checks a check repeats. None: it has an answer of its own.
pub(crate) fn alias_of(check: &Check) -> Option<Alias> {
    let words = check.annex.get("consul").filter(|_| matches!(check.probe, Probe::Manual))?;
    // Most checks that are reported are no aliases, and all of them are asked.
    let is_likely = words.windows(ALIAS.len()).any(|part| part == ALIAS);
    if is_likely { Words::of(check).alias } else { None }
}

/// Whether a node's check tells of this service, without belonging to one of its instances.
pub(crate) fn tells_of(check: &Check, service: &str) -> bool {
    check.annex.get("consul").is_some_and(|words| words.windows(TELLS.len()).any(|part| part == TELLS))
        && Words::of(check).service_name.eq_ignore_ascii_case(service)
}

const TELLS: &[u8] = br#""service_name":"#;

const ALIAS: &[u8] = br#""alias":{"#;

/// What a provider says of a check, as far as the check wants it.
pub(crate) fn cut(check: &Check, output: &str) -> String {
    let most = Words::of(check).most_output.unwrap_or(Check::MAX_OUTPUT);
    if output.len() <= most {
        return output.to_owned();
    }
    // What is cut off is said within what there is room for.
    let most = most.min(Check::MAX_OUTPUT - 64);
    let end = (0..=most).rev().find(|&at| output.is_char_boundary(at)).unwrap_or(0);
    let said = output.get(..end).unwrap_or_default();
    format!("{said} ... (captured {most} of {} bytes)", output.len())
}

/// Where a check stands, and what it is called when it does not say.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) owner: Owner,
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    /// Registered by itself, not with its service.
    pub(crate) alone: bool,
    /// Loopback in a target is the client's own machine, which is not this one.
    pub(crate) is_elsewhere: bool,
}

pub(crate) fn as_status(word: &str) -> Option<Status> {
    match word {
        "passing" => Some(Status::Passing),
        "warning" => Some(Status::Warning),
        "critical" => Some(Status::Critical),
        _ => None,
    }
}

pub(crate) fn check_from_body(place: &Place<'_>, body: &CheckBody) -> Result<Check, Refusal> {
    let invalid = |why: &str| Refusal::bad(format!("Invalid check: {why}"));
    let status = match body.status.as_str() {
        "" => Status::Critical,
        word => as_status(word).ok_or_else(|| {
            Refusal::bad(if place.alone {
                "Bad check status"
            } else {
                "Status for checks must 'passing', 'warning', 'critical'"
            })
        })?,
    };
    let alias = Alias::of(body);
    let probe = probe(place, body)?;
    let (interval, ttl) = (body.interval.0, body.ttl.0);
    if !interval.is_zero() && !ttl.is_zero() {
        return Err(invalid("Interval and TTL cannot both be specified"));
    }
    let probe = match probe {
        Some(_) if interval.is_zero() => {
            return Err(invalid(
                "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
            ));
        }
        Some(_) if alias.is_some() => return Err(invalid("Interval cannot be set for Alias checks")),
        Some(probe) => probe,
        None if alias.is_some() && !ttl.is_zero() => {
            return Err(invalid("TTL must be not be set for Alias checks"));
        }
        None if alias.is_some() => Probe::Manual,
        None if ttl.is_zero() => return Err(invalid("TTL must be > 0 for TTL checks")),
        None => Probe::Ttl { ttl },
    };
    let (warning, critical) = (body.failures_before_warning, body.failures_before_critical);
    if warning > critical || critical < 0 {
        return Err(invalid("FailuresBeforeWarning can't be higher than FailuresBeforeCritical"));
    }
    if warning != 0 && warning != critical {
        return Err(invalid("FailuresBeforeWarning other than FailuresBeforeCritical is not supported"));
    }
    let name = if body.name.is_empty() { place.name } else { &body.name };
    let words = Words {
        kind: if alias.is_some() { "alias".to_owned() } else { String::new() },
        alone: place.alone,
        has_timeout: !body.timeout.0.is_zero(),
        // An alias is asked when what it repeats changes; an interval is only said back.
        times: alias.as_ref().filter(|_| !interval.is_zero()).map(|_| {
            let none = if place.alone { "0s" } else { "" };
            let timeout = Some(body.timeout).filter(|timeout| !timeout.0.is_zero());
            (body.interval.to_string(), timeout.map_or(none.to_owned(), |timeout| timeout.to_string()))
        }),
        alias,
        most_output: most_output(body.output_max_size)?,
        ..Words::default()
    };
    let active = probe.is_active();
    let is_node = matches!(place.owner, Owner::Node(_));
    let check = Check {
        key: CheckKey { owner: place.owner.clone(), id: Id::parse("CheckID", place.id)? },
        name: name.into(),
        notes: body.notes.as_str().into(),
        probe,
        interval: if active { interval.max(LEAST_INTERVAL) } else { Duration::ZERO },
        timeout: match body.timeout.0 {
            _ if !active => Duration::ZERO,
            given if given.is_zero() => DEFAULT_TIMEOUT,
            given => given,
        },
        thresholds: Thresholds {
            unhealthy: threshold(critical)?,
            healthy: threshold(body.success_before_passing)?,
        },
        status,
        output: "".into(),
        since_ms: 0,
        suspect: false,
        // A node outlives its checks.
        deregister_after: Some(body.deregister_after.0).filter(|after| !after.is_zero() && !is_node),
        annex: annex_of(&words, words == Words::default())?,
    };
    check.validate().map_err(|why| Refusal::bad(format!("Invalid check: {why}")))?;
    Ok(check)
}

/// None: as much as there is room for.
fn most_output(given: i64) -> Result<Option<usize>, Refusal> {
    match usize::try_from(given) {
        Err(_) => Err(Refusal::bad("Invalid check: MaxOutputMaxSize must be positive")),
        Ok(0 | Check::MAX_OUTPUT) => Ok(None),
        Ok(most) if most < Check::MAX_OUTPUT => Ok(Some(most)),
        Ok(_) => {
            Err(Refusal::bad(format!("Invalid check: OutputMaxSize must be at most {}", Check::MAX_OUTPUT)))
        }
    }
}

/// None of them, and fewer than none, is one.
fn threshold(times: i64) -> Result<u32, Refusal> {
    u32::try_from(times.max(1))
        .map_err(|_| Refusal::bad(format!("Invalid check: {times} times are too many")))
}

/// The same with the type that its definition gives it, if it says none.
pub(crate) fn check_typed_by_definition(owner: Owner, body: &CatalogCheck) -> Result<Check, Refusal> {
    if !body.kind.is_empty() {
        return check_from_catalog(owner, body);
    }
    let kind = defined(&body.definition).0.to_owned();
    check_from_catalog(owner, &CatalogCheck { kind, ..body.clone() })
}

/// A check that somebody else runs and reports by writing it again.
pub(crate) fn check_from_catalog(owner: Owner, body: &CatalogCheck) -> Result<Check, Refusal> {
    let status = match body.status.as_str() {
        "" => Status::Critical,
        word => as_status(word).ok_or_else(|| Refusal::failed(format!("Invalid check status: '{word}'")))?,
    };
    let id = if body.check_id.is_empty() { &body.name } else { &body.check_id };
    default_only("Namespace", &body.namespace)?;
    default_only("Partition", &body.partition)?;
    if !body.peer_name.is_empty() {
        return Err(Refusal::bad("Invalid check: PeerName belongs to cluster peering, which is not here"));
    }
    let exposed_port = u16::try_from(body.exposed_port)
        .map_err(|_| Refusal::bad("Invalid check: ExposedPort is not between 0 and 65535"))?;
    let says_nothing = body.definition.as_object().is_some_and(serde_json::Map::is_empty);
    for time in defined(&body.definition).1 {
        if GoDuration::parse(time).is_none() {
            return Err(Refusal::bad(format!("Request decode failed: time: invalid duration {time:?}")));
        }
    }
    // Of a service that it belongs to, name and tags are known.
    let (claims, tags) = match body.service_id.is_empty() {
        true => (body.service_name.clone(), &*body.service_tags),
        false => (String::new(), &[][..]),
    };
    Tags::new(tags.iter().map(|tag| tag.as_str().into()))?;
    let words = Words {
        kind: body.kind.clone(),
        exposed_port,
        service_name: claims,
        service_tags: tags.to_vec(),
        definition: if says_nothing { Value::Null } else { with_words(body.definition.clone()) },
        times: Some((body.interval.clone(), body.timeout.clone()))
            .filter(|(interval, timeout)| !interval.is_empty() || !timeout.is_empty()),
        ..Words::default()
    };
    let check = Check {
        key: CheckKey { owner, id: Id::parse("CheckID", id)? },
        name: body.name.as_str().into(),
        notes: body.notes.as_str().into(),
        probe: Probe::Manual,
        interval: Duration::ZERO,
        timeout: Duration::ZERO,
        thresholds: Thresholds { unhealthy: 1, healthy: 1 },
        status,
        output: body.output.as_str().into(),
        since_ms: 0,
        suspect: false,
        deregister_after: None,
        annex: annex_of(&words, words == Words::default())?,
    };
    check.validate()?;
    Ok(check)
}

/// The same with durations in words, however they were given.
fn with_words(mut definition: Value) -> Value {
    const DURATIONS: [&str; 3] = ["Interval", "Timeout", "DeregisterCriticalServiceAfter"];
    for (key, value) in definition.as_object_mut().into_iter().flatten() {
        let is_duration = DURATIONS.iter().any(|one| key.eq_ignore_ascii_case(one));
        if let Some(nanos) = value.as_u64().filter(|_| is_duration) {
            *value = GoDuration::new(Duration::from_nanos(nanos)).to_string().into();
        }
    }
    definition
}

/// What the definition of a check says of its type, and its durations.
fn defined(definition: &Value) -> (&'static str, Vec<&str>) {
    let mut kind = "";
    let mut times = Vec::new();
    for (key, value) in definition.as_object().into_iter().flatten() {
        let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { continue };
        match key.to_ascii_lowercase().as_str() {
            "http" => kind = "http",
            "tcp" => kind = "tcp",
            "udp" => kind = "udp",
            "grpc" => kind = "grpc",
            "osservice" => kind = "os_service",
            "interval"
            | "timeout"
            | "intervalduration"
            | "timeoutduration"
            | "deregistercriticalserviceafter"
            | "deregistercriticalserviceafterduration" => times.push(text),
            _ => {}
        }
    }
    (kind, times)
}

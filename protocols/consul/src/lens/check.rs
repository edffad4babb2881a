use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_model::{
    Check, CheckKey, Id, Instance, Lifecycle, Owner, Probe, Standing, Status, Stored, Thresholds,
};
use switchboard_registry::{InstanceView, NodeFacts, Output};

use super::alias::Alias;
use super::node::annex_of;
use super::probe::probe;
use super::{GoDuration, default_only};
use crate::identity::node_name;
use crate::refusal::Refusal;
use crate::wire::{self, CatalogCheck, CheckBody};

const LEAST_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What Consul says about a check and the model has no noun for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default)]
struct Words {
    /// The type, where the probe does not say it.
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    /// Registered by itself: durations that were not given are `0s` instead of nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    alone: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    has_timeout: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    definition: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<(String, String)>,
    /// Said of it in the catalogue, and said back.
    #[serde(skip_serializing_if = "is_zero")]
    exposed_port: u16,
    /// Whose checks it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<Alias>,
    /// What a provider says beyond this is cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    most_output: Option<usize>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(port: &u16) -> bool {
    *port == 0
}

impl Words {
    fn of(check: &Check) -> Words {
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

/// How the checks begin that are none of the registry's: a lease, and a lifecycle.
pub(crate) const HEARTBEAT: &str = "lease:";
pub(crate) const OUT_OF_SERVICE: &str = "_service_maintenance:";

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

pub(crate) fn word_of(status: Status) -> &'static str {
    status.as_str()
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
    let words = Words {
        kind: body.kind.clone(),
        exposed_port,
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

/// `newest` is what the check said last, where that is newer than its record.
pub(crate) fn check_to_wire<'a>(
    node: &'a str,
    instance: Option<&'a Instance>,
    check: &'a Stored<Check>,
    newest: Option<Output>,
) -> wire::Check<'a> {
    let words = Words::of(check);
    let none = if words.alone { "0s" } else { "" };
    let (interval, timeout) = match words.times {
        Some(times) => times,
        None if check.probe.is_active() => {
            let timeout = GoDuration::new(check.timeout).to_string();
            let timed = words.has_timeout || !words.alone && check.annex.get("consul").is_none();
            (GoDuration::new(check.interval).to_string(), if timed { timeout } else { none.to_owned() })
        }
        None => (none.to_owned(), none.to_owned()),
    };
    let kind = match &check.probe {
        Probe::Manual => Cow::Owned(words.kind),
        probe => Cow::Borrowed(probe.kind()),
    };
    let output = newest.map_or(Cow::Borrowed(&*check.output), |newest| Cow::Owned(newest.text.to_string()));
    wire::Check {
        check_id: Cow::Borrowed(check.key.id.as_str()),
        name: Cow::Borrowed(&check.name),
        // A verdict that is not believed is not told either.
        status: word_of(check.counted()),
        notes: Cow::Borrowed(&check.notes),
        output,
        kind,
        interval,
        timeout,
        exposed_port: words.exposed_port,
        definition: if words.definition.is_null() {
            Value::Object(Default::default())
        } else {
            words.definition
        },
        create_index: check.created.0,
        modify_index: check.modified.0,
        ..about(node, instance)
    }
}

/// A check without anything in it but whom it is about.
fn about<'a>(node: &'a str, instance: Option<&'a Instance>) -> wire::Check<'a> {
    wire::Check {
        node,
        check_id: "".into(),
        name: "".into(),
        status: "critical",
        notes: "".into(),
        output: "".into(),
        service_id: instance.map_or("", |instance| instance.key.id.as_str()),
        service_name: instance.map_or("", |instance| instance.key.service.as_str()),
        service_tags: wire::List(instance.map(|instance| &instance.tags)),
        kind: "".into(),
        interval: String::new(),
        timeout: String::new(),
        exposed_port: 0,
        definition: Value::Object(Default::default()),
        create_index: 0,
        modify_index: 0,
    }
}

/// The checks that decide about an instance: its node's, its own, and what Consul knows only as a check.
pub(crate) fn checks_of<'a>(
    view: &'a InstanceView,
    newest: impl Fn(&CheckKey) -> Option<Output>,
    with_node: bool,
) -> Vec<wire::Check<'a>> {
    let mut checks = Vec::new();
    if with_node && let Some(node) = view.node.as_deref() {
        checks.extend(checks_of_node(node, &newest));
    }
    let (node, instance) = (node_name(view.key()), &view.instance.value);
    let first = checks.len();
    checks.extend(
        view.checks.iter().map(|check| check_to_wire(node, Some(instance), check, newest(&check.key))),
    );
    checks.extend(heartbeat(view));
    checks.extend(out_of_service(view));
    if let Some(own) = checks.get_mut(first..) {
        own.sort_by(|a, b| a.check_id.cmp(&b.check_id));
    }
    checks
}

pub(crate) fn checks_of_node<'a>(
    node: &'a NodeFacts,
    newest: impl Fn(&CheckKey) -> Option<Output>,
) -> impl Iterator<Item = wire::Check<'a>> {
    let name = node.key.node.as_str();
    node.checks.iter().map(move |check| check_to_wire(name, None, check, newest(&check.key)))
}

/// The lease that an instance lives by, as a check.
fn heartbeat(view: &InstanceView) -> Option<wire::Check<'_>> {
    let lease = view.lease.as_deref()?;
    let (status, output) = match lease.standing {
        Standing::Live | Standing::Suspect { .. } => ("passing", ""),
        Standing::Lapsed { .. } => ("critical", "TTL expired"),
    };
    Some(wire::Check {
        check_id: Cow::Owned(format!("{HEARTBEAT}{}", view.key().id)),
        name: "Heartbeat".into(),
        status,
        output: output.into(),
        kind: "ttl".into(),
        create_index: lease.created.0,
        modify_index: lease.modified.0,
        ..about(node_name(view.key()), Some(&view.instance))
    })
}

/// What its owner wants of an instance, where that is not traffic.
fn out_of_service(view: &InstanceView) -> Option<wire::Check<'_>> {
    let instance = &view.instance;
    if instance.lifecycle == Lifecycle::Up {
        return None;
    }
    let reason = super::instance::maintenance(instance);
    let notes = match reason.as_str() {
        "" => Cow::Owned(format!("The instance is {}.", instance.lifecycle.as_str())),
        _ => Cow::Owned(reason),
    };
    Some(wire::Check {
        check_id: Cow::Owned(format!("{OUT_OF_SERVICE}{}", instance.key.id)),
        name: "Service Maintenance Mode".into(),
        notes,
        kind: "maintenance".into(),
        // It came with the newest change; what the instance was before is another matter.
        create_index: instance.modified.0,
        modify_index: instance.modified.0,
        ..about(node_name(view.key()), Some(instance))
    })
}

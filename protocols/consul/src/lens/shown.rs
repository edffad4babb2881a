//! Checks as they are shown, and those that only Consul knows as checks.

use std::borrow::Cow;

use serde_json::Value;
use switchboard_model::{Check, CheckKey, Instance, Lifecycle, Probe, Standing, Status, Stored, Tags};
use switchboard_registry::{InstanceView, NodeFacts, Output};

use super::GoDuration;
use super::check::Words;
use crate::identity::node_name;
use crate::wire;

/// How the checks begin that are none of the registry's: a lease, and a lifecycle.
pub(crate) const HEARTBEAT: &str = "lease:";
pub(crate) const OUT_OF_SERVICE: &str = "_service_maintenance:";

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
    let output = match (&check.probe, words.most_output) {
        (Probe::Http(_), Some(most)) => body_cut(output, most),
        _ => output,
    };
    let about = match instance {
        None => wire::Check {
            service_name: words.service_name.into(),
            service_tags: wire::List(tags(&words.service_tags).map(Cow::Owned)),
            ..about(node, None)
        },
        Some(_) => about(node, instance),
    };
    wire::Check {
        check_id: Cow::Borrowed(check.key.id.as_str()),
        name: Cow::Borrowed(&check.name),
        // A verdict that is not believed is not told either.
        status: Status::as_str(check.counted()),
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
        ..about
    }
}

/// None: there are none.
fn tags(given: &[String]) -> Option<Tags> {
    let tags = given.iter().map(|tag| tag.as_str().into());
    Tags::new(tags).ok().filter(|_| !given.is_empty())
}

/// Of what was answered only the end, as an agent keeps it. What the answer was is told whole.
fn body_cut(output: Cow<'_, str>, most: usize) -> Cow<'_, str> {
    const BODY: &str = " Output: ";
    let Some(at) = output.find(BODY).map(|at| at + BODY.len()) else { return output };
    let from = output.len().saturating_sub(most).max(at);
    let from = (from..=output.len()).find(|at| output.is_char_boundary(*at)).unwrap_or(output.len());
    let (head, body) = (output.get(..at).unwrap_or_default(), output.get(from..).unwrap_or_default());
    format!("{head}{body}").into()
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
        service_name: instance.map_or("", |instance| instance.key.service.as_str()).into(),
        service_tags: wire::List(instance.map(|instance| Cow::Borrowed(&instance.tags))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_was_answered_is_kept() {
        let cut = |text: &'static str, most| body_cut(text.into(), most).into_owned();
        assert_eq!(
            cut("HTTP GET http://x: 200 OK Output: 0123456789", 4),
            "HTTP GET http://x: 200 OK Output: 6789"
        );
        assert_eq!(
            cut("HTTP GET http://x: 200 OK Output: 0123", 9),
            "HTTP GET http://x: 200 OK Output: 0123"
        );
        assert_eq!(cut("HTTP GET http://x: 200 OK Output: 012é", 1), "HTTP GET http://x: 200 OK Output: ");
        assert_eq!(cut("HTTP GET http://x: 200 OK", 4), "HTTP GET http://x: 200 OK");
    }
}

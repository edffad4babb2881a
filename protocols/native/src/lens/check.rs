use std::time::Duration;

use switchboard_model::{
    Annex, Check, CheckKey, HttpProbe, Id, Lease, Owner, Probe, Rejection, Status, Stored, Target,
    Thresholds, text_limit,
};
use switchboard_registry::Output;

use super::time_to_wire;
use crate::wire;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const PROBE_TIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(86_400);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// `at` is where the check stands in the body, such as `checks[1]`.
pub(crate) fn check_from_wire(at: &str, owner: Owner, body: wire::CheckBody) -> Result<Check, Rejection> {
    fields_fit_the_type(at, &body)?;
    let id = body.id.as_deref().unwrap_or(kind_word(body.kind));
    let key = CheckKey { owner, id: Id::parse(&field(at, "id"), id)? };
    let interval = body.interval.map_or(DEFAULT_INTERVAL, |interval| interval.0);
    let defaults = Thresholds::default();
    if body.timeout.is_some_and(|timeout| !PROBE_TIMES.contains(&timeout.0)) {
        return Err(Rejection::invalid(field(at, "timeout"), "must be between 100ms and 24h"));
    }
    let thresholds = Thresholds {
        unhealthy: body.unhealthy_threshold.unwrap_or(defaults.unhealthy),
        healthy: body.healthy_threshold.unwrap_or(defaults.healthy),
    };
    let check = Check {
        key,
        name: body.name.as_deref().unwrap_or_default().into(),
        notes: body.notes.as_deref().unwrap_or_default().into(),
        interval,
        timeout: body.timeout.map_or(DEFAULT_TIMEOUT.min(interval), |timeout| timeout.0),
        thresholds,
        status: body.initial.map_or(Status::Critical, status_from_wire),
        output: match body.initial {
            Some(_) => "".into(),
            None => "not checked yet".into(),
        },
        since_ms: 0,
        suspect: false,
        deregister_after: body
            .deregister_after
            .map(|after| within(&field(at, "deregister_after"), after.0))
            .transpose()?,
        annex: Annex::default(),
        probe: probe_from_wire(at, body)?,
    };
    check.validate().map_err(|rejection| moved(at, rejection))?;
    Ok(check)
}

/// Durations that are as long as those of a lease.
pub(crate) fn within(field: &str, duration: Duration) -> Result<Duration, Rejection> {
    if (Lease::MIN_TTL..=Lease::MAX_TTL).contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (Lease::MIN_TTL.as_secs(), Lease::MAX_TTL.as_secs());
    Err(Rejection::invalid(field, format!("must be between {least} and {most} seconds")))
}

pub(crate) fn status_from_wire(status: wire::Status) -> Status {
    match status {
        wire::Status::Passing => Status::Passing,
        wire::Status::Warning => Status::Warning,
        wire::Status::Critical => Status::Critical,
    }
}

fn status_to_wire(status: Status) -> wire::Status {
    match status {
        Status::Passing => wire::Status::Passing,
        Status::Warning => wire::Status::Warning,
        Status::Critical => wire::Status::Critical,
    }
}

/// `newest` is what the check said last, where that is newer than its record.
pub(crate) fn check_to_wire(check: &Stored<Check>, newest: Option<Output>) -> wire::Check {
    let (kind, target, ttl) = match &check.probe {
        Probe::Manual => (wire::Kind::Manual, None, None),
        Probe::Ttl { ttl } => (wire::Kind::Ttl, None, Some(wire::Seconds(*ttl))),
        Probe::Tcp { target } => (wire::Kind::Tcp, Some(target_to_wire(target)), None),
        Probe::Udp { target } => (wire::Kind::Udp, Some(target_to_wire(target)), None),
        Probe::Grpc { target, service, .. } => {
            (wire::Kind::Grpc, Some(format!("{}/{service}", target_to_wire(target))), None)
        }
        Probe::Http(http) => {
            let scheme = if http.tls.is_some() { "https" } else { "http" };
            let url = format!("{} {scheme}://{}{}", http.method, target_to_wire(&http.target), http.path);
            (wire::Kind::Http, Some(url), None)
        }
    };
    let active = check.probe.is_active();
    wire::Check {
        id: check.key.id.to_string(),
        name: check.name.to_string(),
        notes: check.notes.to_string(),
        kind,
        target,
        ttl,
        interval: active.then_some(wire::Seconds(check.interval)),
        timeout: active.then_some(wire::Seconds(check.timeout)),
        unhealthy_threshold: active.then_some(check.thresholds.unhealthy),
        healthy_threshold: active.then_some(check.thresholds.healthy),
        deregister_after: check.deregister_after.map(wire::Seconds),
        status: status_to_wire(check.status),
        suspect: check.suspect,
        output: newest.as_ref().map_or_else(|| check.output.to_string(), |output| output.text.to_string()),
        since: time_to_wire(check.since_ms),
        checked: newest.map(|output| time_to_wire(output.at_ms)),
        revision: check.modified.0,
    }
}

/// What is not given is the owner's.
fn target_to_wire(target: &Target) -> String {
    let host = target.host.as_deref().unwrap_or("{host}");
    match target.port {
        Some(port) => format!("{host}:{port}"),
        None => format!("{host}:{{port}}"),
    }
}

fn probe_from_wire(at: &str, body: wire::CheckBody) -> Result<Probe, Rejection> {
    if body.port == Some(0) {
        return Err(Rejection::invalid(field(at, "port"), "must be between 1 and 65535"));
    }
    let target = Target { host: body.host.map(Into::into), port: body.port };
    let tls: Option<Box<str>> = match body.tls {
        None => None,
        Some(wire::Tls::Flag(true)) => Some("".into()),
        Some(wire::Tls::Flag(false)) => {
            return Err(Rejection::invalid(
                field(at, "tls"),
                "is true or a server name; leave it out for plain text",
            ));
        }
        Some(wire::Tls::Name(name)) => {
            text_limit(&field(at, "tls"), &name, 255)?;
            Some(name.into())
        }
    };
    if body.tls_skip_verify.is_some() && tls.is_none() {
        return Err(Rejection::invalid(field(at, "tls_skip_verify"), "is of no use without `tls`"));
    }
    if let Some(service) = &body.grpc_service {
        text_limit(&field(at, "grpc_service"), service, 255)?;
    }
    if body.body.as_ref().is_some_and(|body| body.chars().count() > 4096) {
        return Err(Rejection::invalid(field(at, "body"), "is longer than 4096 characters"));
    }
    Ok(match body.kind {
        wire::Kind::Manual => Probe::Manual,
        wire::Kind::Ttl => {
            let ttl = body
                .ttl
                .ok_or_else(|| Rejection::invalid(field(at, "ttl"), "is needed by a check of type ttl"))?;
            Probe::Ttl { ttl: within(&field(at, "ttl"), ttl.0)? }
        }
        wire::Kind::Tcp => Probe::Tcp { target },
        wire::Kind::Udp => Probe::Udp { target },
        wire::Kind::Grpc => {
            Probe::Grpc { target, service: body.grpc_service.unwrap_or_default().into(), tls }
        }
        wire::Kind::Http => Probe::Http(Box::new(HttpProbe {
            target,
            method: method(at, body.method.as_deref().unwrap_or("GET"))?,
            path: path(at, body.path.as_deref().unwrap_or("/"))?,
            headers: headers(at, body.headers.unwrap_or_default())?,
            body: body.body.unwrap_or_default().into(),
            expect: body.expect.map(|text| expect(at, &text)).transpose()?.unwrap_or_default(),
            tls,
            tls_skip_verify: body.tls_skip_verify.unwrap_or(false),
        })),
    })
}

fn method(at: &str, text: &str) -> Result<Box<str>, Rejection> {
    let upper = text.to_ascii_uppercase();
    match upper.as_str() {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" => Ok(upper.into()),
        _ => Err(Rejection::invalid(
            field(at, "method"),
            format!("{text:?} is not a method that a check may use"),
        )),
    }
}

fn path(at: &str, text: &str) -> Result<Box<str>, Rejection> {
    let sound = text.starts_with('/') && text.parse::<http::uri::PathAndQuery>().is_ok();
    if sound && text.len() <= 2048 {
        return Ok(text.into());
    }
    Err(Rejection::invalid(field(at, "path"), format!("{text:?} is not a path: it must begin with /")))
}

type Pair = (Box<str>, Box<str>);

fn headers(at: &str, given: std::collections::BTreeMap<String, String>) -> Result<Box<[Pair]>, Rejection> {
    if given.len() > 16 {
        return Err(Rejection::Limit { what: "check headers".into(), limit: 16 });
    }
    let header = |(name, value): (String, String)| {
        let field = format!("{}.{name}", field(at, "headers"));
        http::HeaderName::try_from(&name)
            .map_err(|_| Rejection::invalid(&field, "is not the name of a header"))?;
        let plain = value.len() <= 1000 && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !plain {
            return Err(Rejection::invalid(&field, "must be at most 1000 printable ASCII characters"));
        }
        if matches!(
            name.to_ascii_lowercase().as_str(),
            "connection" | "transfer-encoding" | "content-length" | "upgrade" | "te" | "trailer"
        ) {
            return Err(Rejection::invalid(&field, "is set by the prober itself"));
        }
        Ok((name.into(), value.into()))
    };
    given.into_iter().map(header).collect()
}

/// `200-299,304` as ranges.
fn expect(at: &str, text: &str) -> Result<Box<[(u16, u16)]>, Rejection> {
    let wrong = |part: &str| {
        let why = format!("{part:?} is not a status code or a range of them; write it like \"200-299,304\"");
        Rejection::invalid(field(at, "expect"), why)
    };
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
    text.split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (code(first), code(last)) {
                (Some(first), Some(last)) if first <= last => Ok((first, last)),
                _ => Err(wrong(part)),
            }
        })
        .collect()
}

/// Refuses fields that mean nothing to this type of check.
fn fields_fit_the_type(at: &str, body: &wire::CheckBody) -> Result<(), Rejection> {
    use wire::Kind::{Grpc, Http, Tcp, Ttl, Udp};
    let active = &[Http, Tcp, Udp, Grpc][..];
    let given: [(&str, bool, &[wire::Kind]); 15] = [
        ("host", body.host.is_some(), active),
        ("port", body.port.is_some(), active),
        ("interval", body.interval.is_some(), active),
        ("timeout", body.timeout.is_some(), active),
        ("unhealthy_threshold", body.unhealthy_threshold.is_some(), active),
        ("healthy_threshold", body.healthy_threshold.is_some(), active),
        ("path", body.path.is_some(), &[Http]),
        ("method", body.method.is_some(), &[Http]),
        ("headers", body.headers.is_some(), &[Http]),
        ("body", body.body.is_some(), &[Http]),
        ("expect", body.expect.is_some(), &[Http]),
        ("tls_skip_verify", body.tls_skip_verify.is_some(), &[Http]),
        ("tls", body.tls.is_some(), &[Http, Grpc]),
        ("grpc_service", body.grpc_service.is_some(), &[Grpc]),
        ("ttl", body.ttl.is_some(), &[Ttl]),
    ];
    match given.iter().find(|(_, given, kinds)| *given && !kinds.contains(&body.kind)) {
        Some((name, ..)) => {
            let why = format!("means nothing to a check of type {}", kind_word(body.kind));
            Err(Rejection::invalid(field(at, name), why))
        }
        None => Ok(()),
    }
}

fn kind_word(kind: wire::Kind) -> &'static str {
    match kind {
        wire::Kind::Http => "http",
        wire::Kind::Tcp => "tcp",
        wire::Kind::Udp => "udp",
        wire::Kind::Grpc => "grpc",
        wire::Kind::Ttl => "ttl",
        wire::Kind::Manual => "manual",
    }
}

fn field(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// The model says `check.interval`; the body may have it as `checks[1].interval`.
fn moved(at: &str, rejection: Rejection) -> Rejection {
    match rejection {
        Rejection::Invalid { field: name, why } => {
            Rejection::Invalid { field: field(at, name.trim_start_matches("check.")), why }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard_model::{Name, NodeKey};

    #[track_caller]
    fn check(json: &str) -> Result<Check, String> {
        let owner = Owner::Node(NodeKey {
            namespace: Name::default_namespace(),
            node: Name::parse("node", "n1").unwrap(),
        });
        let body = serde_json::from_str(json).map_err(|e: serde_json::Error| e.to_string())?;
        check_from_wire("check", owner, body).map_err(|e| e.to_string())
    }

    #[test]
    fn the_articles_check_is_understood() {
        let check = check(
            r#"{"type":"http","path":"/health","interval":"5s","timeout":"1s","unhealthy_threshold":3,"healthy_threshold":1}"#,
        )
        .unwrap();
        assert_eq!(check.interval, Duration::from_secs(5));
        assert_eq!(check.timeout, Duration::from_secs(1));
        assert_eq!(check.thresholds, Thresholds { unhealthy: 3, healthy: 1 });
        let Probe::Http(http) = check.probe else { panic!("not an http probe") };
        assert_eq!(&*http.path, "/health");
    }

    #[test]
    fn a_field_of_another_type_is_refused_by_name() {
        for (json, field) in [
            (r#"{"type":"tcp","path":"/"}"#, "check.path"),
            (r#"{"type":"ttl"}"#, "check.ttl"),
            (r#"{"type":"http","expect":"2xx"}"#, "check.expect"),
            (r#"{"type":"http","path":"health"}"#, "check.path"),
            (r#"{"type":"http","headers":{"Connection":"x"}}"#, "check.headers.Connection"),
            (r#"{"type":"http","interval":"1ms"}"#, "check.interval"),
            (r#"{"type":"smoke"}"#, "smoke"),
        ] {
            let why = check(json).unwrap_err();
            assert!(why.contains(field), "{json}: {why}");
        }
    }

    #[test]
    fn status_codes_are_read_as_ranges() {
        assert_eq!(&*expect("", "200-299, 304").unwrap(), [(200, 299), (304, 304)]);
        for bad in ["", "200,", "99", "600", "300-200", "a", "200-"] {
            assert!(expect("", bad).is_err(), "{bad:?} was accepted");
        }
    }
}

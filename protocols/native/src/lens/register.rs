use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use switchboard_model::{
    Annex, Id, Instance, InstanceKey, Lifecycle, Metadata, Name, Owner, Port, Rejection, Revision, Tags,
};
use switchboard_registry::plan::{Keep, Register, Registered};

use super::{check_from_wire, lease_id_from_wire, lifecycle_from_wire, within};
use crate::wire;

/// What may stand in a path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// The protocol's name, as instances carry it.
const ORIGIN: &str = "native";

/// `linger` is for registrations that do not say how long they want to stay visible once lapsed.
pub(crate) fn register_from_wire(body: wire::RegisterBody, linger: Duration) -> Result<Register, Rejection> {
    let service = Name::parse("service", &body.service)?;
    let ports = ports_from_wire(body.port, body.ports.unwrap_or_default())?;
    let id = match &body.id {
        Some(id) => Id::parse("id", id)?,
        None => {
            Id::parse("id", &derived_id(&body.service, &body.host, ports.first().map(|port| port.number)))?
        }
    };
    let namespace = body.namespace.as_deref().map(|text| Name::parse("namespace", text)).transpose()?;
    let key = Arc::new(InstanceKey {
        namespace: namespace.unwrap_or_else(Name::default_namespace),
        service,
        node: body.node.as_deref().map(|text| Name::parse("node", text)).transpose()?,
        id,
    });
    let keep = match (body.ttl, body.lease, body.linger) {
        (Some(_), Some(_), _) => {
            return Err(Rejection::invalid(
                "lease",
                "an instance lives by a `ttl` of its own or by a `lease`, not by both",
            ));
        }
        (None, _, Some(_)) => return Err(Rejection::invalid("linger", "is of no use without a `ttl`")),
        (Some(ttl), None, None) => Keep::Ttl { ttl: ttl.0, linger },
        (Some(ttl), None, Some(own)) => Keep::Ttl { ttl: ttl.0, linger: within("linger", own.0)? },
        (None, Some(lease), None) => Keep::Lease(lease_id_from_wire("lease", &lease)?),
        (None, None, None) => Keep::Forever,
    };
    let owner = || Owner::Instance(key.clone());
    let checks = match (body.check, body.checks) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(Rejection::invalid("check", "is already among `checks`: use one of the two"));
        }
        (Some(check), None) => Some(vec![check_from_wire("check", owner(), check)?]),
        (None, Some(checks)) => {
            let check = |(i, body)| check_from_wire(&format!("checks[{i}]"), owner(), body);
            let checks: Vec<_> = checks.into_iter().enumerate().map(check).collect::<Result<_, _>>()?;
            if let Some(i) = (1..checks.len()).find(|&i| {
                let (before, rest) = checks.split_at(i);
                rest.first().is_some_and(|check| before.iter().any(|other| other.key.id == check.key.id))
            }) {
                return Err(Rejection::invalid(format!("checks[{i}].id"), "is given twice"));
            }
            Some(checks)
        }
    };
    let pair = |(key, value): (String, String)| (Arc::from(key), Arc::from(value));
    let instance = Instance {
        address: body.host.into(),
        ports,
        tags: Tags::new(body.tags.unwrap_or_default().into_iter().map(Arc::from))?,
        metadata: Metadata::new(body.metadata.unwrap_or_default().into_iter().map(pair))?,
        weight: body.weight.unwrap_or(1),
        warning_weight: body.warning_weight,
        zone: body.zone.filter(|zone| !zone.is_empty()).map(Arc::from),
        lifecycle: body.lifecycle.map_or(Lifecycle::Up, lifecycle_from_wire),
        lease: None,
        origin: origin(),
        annex: Annex::default(),
        key,
    };
    instance.validate().map_err(|rejection| match rejection {
        Rejection::Invalid { field, why } if field == "address" => {
            Rejection::Invalid { field: "host".into(), why }
        }
        other => other,
    })?;
    Ok(Register { instance, checks, keep })
}

pub(crate) fn registered_to_wire(
    registered: &Registered,
    revision: Revision,
    ttl: Option<Duration>,
) -> wire::Registered {
    let key = &registered.key;
    wire::Registered {
        status: "success",
        id: key.id.to_string(),
        namespace: key.namespace.to_string(),
        service: key.service.to_string(),
        revision: revision.0,
        created: registered.created,
        ttl: ttl.map(wire::Seconds),
        lease: registered.lease.map(|lease| lease.to_string()),
        renew: registered.lease.map(|_| {
            let mut path = format!("/v1/instances/{}/renew", utf8_percent_encode(key.id.as_str(), PATH));
            if key.namespace != Name::default_namespace() {
                path.push_str(&format!("?namespace={}", utf8_percent_encode(key.namespace.as_str(), PATH)));
            }
            path
        }),
    }
}

/// The same registration is the same instance: service, host and port say which.
fn derived_id(service: &str, host: &str, port: Option<u16>) -> String {
    let service = service.to_ascii_lowercase();
    let id = match port {
        Some(port) => format!("{service}-{host}-{port}"),
        None => format!("{service}-{host}"),
    };
    if id.chars().count() <= Id::LONGEST {
        return id;
    }
    // Too long to be an id; its beginning and a digest of the whole are as good as unique.
    let digest = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let beginning: String = id.chars().take(200).collect();
    format!("{beginning}-{digest:016x}")
}

/// One shared copy for all instances.
fn origin() -> Arc<str> {
    static TEXT: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
    TEXT.get_or_init(|| ORIGIN.into()).clone()
}

fn unnamed() -> Arc<str> {
    static TEXT: std::sync::OnceLock<Arc<str>> = std::sync::OnceLock::new();
    TEXT.get_or_init(|| "".into()).clone()
}

/// The main port comes first; where one of the named ports has its number, that one is it.
fn ports_from_wire(main: Option<u16>, named: Vec<wire::PortBody>) -> Result<Box<[Port]>, Rejection> {
    if main == Some(0) {
        return Err(Rejection::invalid("port", "must be between 1 and 65535"));
    }
    let mut ports: Vec<Port> = named
        .into_iter()
        .map(|port| {
            let name = if port.name.is_empty() { unnamed() } else { port.name.into() };
            Port { name, number: port.port }
        })
        .collect();
    if let Some(number) = main {
        let at = ports.iter().position(|port| port.number == number);
        let port = at.map_or_else(|| Port { name: unnamed(), number }, |at| ports.remove(at));
        ports.insert(0, port);
    }
    Ok(ports.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn register(json: &str) -> Result<Register, String> {
        let body = serde_json::from_str(json).map_err(|e: serde_json::Error| e.to_string())?;
        register_from_wire(body, Duration::from_secs(60)).map_err(|e| e.to_string())
    }

    #[test]
    fn the_articles_registration_is_understood() {
        let register = register(
            r#"{"service":"user-service","host":"192.168.1.100","port":8080,"metadata":{"version":"v1.2","region":"east"},"ttl":30}"#,
        )
        .unwrap();
        assert_eq!(register.instance.key.id.as_str(), "user-service-192.168.1.100-8080");
        assert_eq!(register.instance.metadata.get("version"), Some("v1.2"));
        assert_eq!(register.instance.port(), Some(8080));
        assert!(matches!(register.keep, Keep::Ttl { ttl, .. } if ttl == Duration::from_secs(30)));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_fields_name() {
        for (json, field) in [
            (r#"{"service":"","host":"h"}"#, "service"),
            (r#"{"service":"s","host":"http://h"}"#, "host"),
            (r#"{"service":"s","host":"h","port":0}"#, "port"),
            (r#"{"service":"s","host":"h","port":70000}"#, "70000"),
            (r#"{"service":"s","host":"h","ttl":"soon"}"#, "soon"),
            (r#"{"service":"s","host":"h","wight":1}"#, "wight"),
            (r#"{"service":"s","host":"h","ttl":5,"lease":"1"}"#, "lease"),
            (r#"{"service":"s","host":"h","checks":[{"type":"tcp"},{"type":"tcp"}]}"#, "checks[1].id"),
            (
                r#"{"service":"s","host":"h","ports":[{"name":"a","port":1},{"name":"a","port":2}]}"#,
                "ports[0].name",
            ),
        ] {
            let why = register(json).unwrap_err();
            assert!(why.contains(field), "{json}: {why}");
        }
    }

    #[test]
    fn the_main_port_may_be_one_of_the_named_ones() {
        let register = register(
            r#"{"service":"s","host":"h","port":2,"ports":[{"name":"a","port":1},{"name":"b","port":2}]}"#,
        )
        .unwrap();
        let names: Vec<&str> = register.instance.ports.iter().map(|port| &*port.name).collect();
        assert_eq!(names, ["b", "a"]);
    }
}

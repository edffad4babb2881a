use std::io::Read;
use std::path::Path;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{client, text};
use crate::arguments::{Register, To};
use crate::client::{Client, segment, with_query};
use crate::failure::Failure;
use crate::out::{Out, note};
use crate::serve::Signals;

pub(crate) async fn register(what: Register, out: &mut Out) -> Result<(), Failure> {
    let body = match &what.body {
        Some(file) => read_body(file)?,
        None => body(&what)?.to_string(),
    };
    let client = client(&what.to)?;
    let mut signals = Signals::listen()?;
    let answer = client.ask(Method::POST, "/v1/register", Some(body.clone())).await?.body;
    tell(&what.to, &answer, out)?;
    if what.keep {
        keep(&client, &body, &answer, &mut signals).await?;
    }
    Ok(())
}

fn tell(to: &To, answer: &Value, out: &mut Out) -> Result<(), Failure> {
    if to.json {
        return Ok(out.line(answer)?);
    }
    let (id, service) = (text(answer, "id"), text(answer, "service"));
    let verb =
        if answer.get("created") == Some(&Value::Bool(true)) { "registered" } else { "already registered:" };
    let ttl = answer.get("ttl").and_then(Value::as_f64);
    let renewal = ttl.map(|ttl| format!(", and wants a heartbeat within every {ttl} s")).unwrap_or_default();
    Ok(out.line(format!("{verb} {id} of {service}{renewal}"))?)
}

/// Sends heartbeats until it is told to stop, and then says goodbye.
async fn keep(client: &Client, body: &str, answer: &Value, signals: &mut Signals) -> Result<(), Failure> {
    let ttl = answer.get("ttl").and_then(Value::as_f64);
    let every = ttl.map_or(Duration::from_secs(3600), |ttl| Duration::from_secs_f64(ttl / 3.0));
    let instance =
        [("service", Some(text(answer, "service"))), ("namespace", Some(text(answer, "namespace")))];
    let path = format!("/v1/instances/{}", segment(text(answer, "id")));
    note("Keeping it registered. Ctrl-C deregisters it.");
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = signals.next() => break,
        }
        if ttl.is_none() {
            continue;
        }
        // A registry that is away for a moment is no reason to give up: the next heartbeat may reach it.
        match client.try_ask(Method::PUT, &with_query(&format!("{path}/renew"), instance), None).await {
            Ok(beat) if beat.status == StatusCode::NOT_FOUND => {
                note("The registry does not know it any more; registering it again.");
                client.ask(Method::POST, "/v1/register", Some(body.to_owned())).await?;
            }
            Ok(beat) if !beat.status.is_success() => {
                note(format!("heartbeat: {}", text(&beat.body, "message")))
            }
            Ok(_) => {}
            Err(failure) => note(format!("heartbeat: {failure}")),
        }
    }
    client.ask(Method::DELETE, &with_query(&path, instance), None).await?;
    note(format!("Deregistered {}.", text(answer, "id")));
    Ok(())
}

fn read_body(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| Failure::usage(format!("--body {}: {error}", file.display())))?;
    Ok(text)
}

/// What the flags say as the native API's JSON.
fn body(what: &Register) -> Result<Value, Failure> {
    let (host, port) = host_and_port(what.address.as_deref().unwrap_or_default())?;
    let mut body = Map::new();
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::String);
    add("service", text(&what.service));
    add("host", Some(host.into()));
    add("port", port.map(Value::from));
    add("id", text(&what.id));
    add("node", text(&what.node));
    add("zone", text(&what.zone));
    add("namespace", text(&what.namespace));
    add("weight", what.weight.map(Value::from));
    add("ttl", what.ttl.map(|ttl| ttl.to_string().into()));
    add("tags", (!what.tag.is_empty()).then(|| json!(what.tag)));
    add("metadata", Some(metadata(&what.meta)?).filter(|metadata| !metadata.is_empty()).map(Value::Object));
    let checks = what.check.iter().map(|spec| check(spec, what)).collect::<Result<Vec<_>, _>>()?;
    add("checks", (!checks.is_empty()).then(|| json!(checks)));
    Ok(Value::Object(body))
}

fn metadata(pairs: &[String]) -> Result<Map<String, Value>, Failure> {
    let one = |pair: &String| match pair.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.into())),
        None => Err(Failure::usage(format!("--meta {pair}: expected KEY=VALUE"))),
    };
    pairs.iter().map(one).collect()
}

fn check(spec: &str, what: &Register) -> Result<Value, Failure> {
    let (kind, detail) = match spec.split_once(':') {
        Some((kind, detail)) => (kind, Some(detail)),
        None => (spec, None),
    };
    let key = match (kind, detail) {
        ("http", Some(path)) if !path.starts_with('/') => {
            return Err(Failure::usage(format!("--check {spec}: expected a path, such as http:/health")));
        }
        ("http", _) => "path",
        ("grpc", _) => "grpc_service",
        ("tcp" | "udp", None) => "",
        _ => {
            return Err(Failure::usage(format!(
                "--check {spec}: expected http:/path, tcp, udp, grpc or grpc:service"
            )));
        }
    };
    let mut check = Map::from_iter([("type".to_owned(), kind.into())]);
    let durations = [("interval", what.interval), ("timeout", what.timeout)];
    check.extend(
        durations.into_iter().filter_map(|(key, span)| Some((key.to_owned(), span?.to_string().into()))),
    );
    check.extend(detail.map(|detail| (key.to_owned(), detail.into())));
    Ok(Value::Object(check))
}

/// Reads `host`, `host:port`, `[::1]:port` and a bare IPv6 address.
fn host_and_port(address: &str) -> Result<(&str, Option<u16>), Failure> {
    let wrong = || Failure::usage(format!("{address:?} is no address; write it like 192.168.1.100:8080"));
    let port = |port: &str| port.parse().map(Some).map_err(|_| wrong());
    if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
        return match after.strip_prefix(':') {
            Some(after) => Ok((host, port(after)?)),
            None if after.is_empty() => Ok((host, None)),
            None => Err(wrong()),
        };
    }
    match address.split_once(':') {
        None => Ok((address, None)),
        Some((_, rest)) if rest.contains(':') => Ok((address, None)),
        Some((host, after)) => Ok((host, port(after)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (given, host, port) in [
            ("10.0.0.1:80", "10.0.0.1", Some(80)),
            ("db.local", "db.local", None),
            ("[::1]:8080", "::1", Some(8080)),
            ("fe80::1", "fe80::1", None),
        ] {
            assert_eq!(host_and_port(given).unwrap(), (host, port), "{given}");
        }
        for bad in ["host:http", "[::1", "[::1]x", "host:70000"] {
            assert!(host_and_port(bad).is_err(), "{bad} was accepted");
        }
    }
}

//! Pages beside the services: the version, health, metrics.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use switchboard_facade::MetricsFormat;
use switchboard_registry::Caller;
use tonic::body::Body;

use super::{STORAGE_VERSION, Shared, VERSION, metrics};
use crate::lens::alarms::alarms;

const TEXT: &str = "text/plain; charset=utf-8";

fn page(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

pub(super) fn answer(state: &Shared, method: &Method, path: &str, query: Option<&str>) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let known = matches!(path, "/version" | "/health" | "/livez" | "/readyz" | "/metrics");
        let (status, text) = match known {
            true => (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n"),
            false => (StatusCode::NOT_FOUND, "404 page not found\n"),
        };
        return page(status, TEXT, text.to_owned());
    }
    let wrong = state.context.registry.waiting_for();
    let asked = |name| asked(query, name);
    match path {
        "/version" => {
            let minor = VERSION.rsplit_once('.').map_or(VERSION, |(minor, _)| minor);
            let body = format!(
                r#"{{"etcdserver":"{VERSION}","etcdcluster":"{minor}.0","storage":"{STORAGE_VERSION}"}}"#
            );
            page(StatusCode::OK, "application/json", body)
        }
        "/health" => match alarm(state, &asked("exclude")).or(wrong) {
            None => page(StatusCode::OK, TEXT, r#"{"health":"true","reason":""}"#.to_owned()),
            Some(why) => {
                state.meters.health_failures.inc();
                let body = serde_json::json!({ "health": "false", "reason": why });
                page(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{body}\n"))
            }
        },
        "/livez" => match asked("exclude").contains(&"serializable_read") {
            true => checks(&[], query),
            false => checks(&[("serializable_read", None)], query),
        },
        "/readyz" => {
            let (ready, excluded) = (ready(state, wrong), asked("exclude"));
            let ready = ready.into_iter().filter(|(name, _)| !excluded.contains(name));
            checks(&ready.collect::<Vec<_>>(), query)
        }
        "/metrics" => page(StatusCode::OK, MetricsFormat::Classic.content_type(), metrics::render(state)),
        _ => {
            let name = path.strip_prefix("/readyz/").or_else(|| path.strip_prefix("/livez/"));
            match name.and_then(|name| ready(state, wrong).into_iter().find(|(it, _)| *it == name)) {
                Some(check) => checks(&[check], query),
                None => page(StatusCode::NOT_FOUND, TEXT, "404 page not found\n".to_owned()),
            }
        }
    }
}

/// The values of a parameter.
fn asked<'a>(query: Option<&'a str>, name: &str) -> Vec<&'a str> {
    let parts = query.into_iter().flat_map(|query| query.split('&'));
    let parts = parts.map(|part| part.split_once('=').unwrap_or((part, "")));
    parts.filter(|(it, _)| *it == name).map(|(_, value)| value).collect()
}

/// The first alarm that is on and was not excluded, as etcd says it.
fn alarm(state: &Shared, excluded: &[&str]) -> Option<String> {
    let view = state.context.registry.view(&Caller::internal("etcd")).ok()?;
    let mut names = alarms(&view).map(|alarm| alarm.kind_name());
    names.find(|name| !excluded.contains(&name.as_str())).map(|name| format!("ALARM {name}"))
}

type Check = (&'static str, Option<String>);

/// What has to be well for this to be ready, and what is wrong with it.
fn ready(state: &Shared, wrong: Option<String>) -> [Check; 4] {
    let corrupt = state.is_corrupt().then(|| "alarm activated: CORRUPT".to_owned());
    [
        ("serializable_read", None),
        ("linearizable_read", wrong),
        ("non_learner", None),
        ("data_corruption", corrupt),
    ]
}

/// `ok`, or what is wrong; with `?verbose` each check on a line of its own.
fn checks(checks: &[Check], query: Option<&str>) -> Response<Body> {
    let verbose = !asked(query, "verbose").is_empty();
    let failed = checks.iter().any(|(_, wrong)| wrong.is_some());
    let mut body = String::new();
    if verbose || failed {
        for (name, wrong) in checks {
            match wrong {
                None => body.push_str(&format!("[+]{name} ok\n")),
                Some(why) => body.push_str(&format!("[-]{name} failed: {why}\n")),
            }
        }
    }
    if !failed {
        body.push_str("ok\n");
    }
    let status = if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    page(status, TEXT, body)
}

//! Pages beside the services: the version, health, metrics.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use switchboard_facade::MetricsFormat;
use tonic::body::Body;

use crate::plan::alarms::Kind;

use super::{STORAGE_VERSION, Shared, VERSION};

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
    match path {
        "/version" => {
            let minor = VERSION.rsplit_once('.').map_or(VERSION, |(minor, _)| minor);
            let body = format!(
                r#"{{"etcdserver":"{VERSION}","etcdcluster":"{minor}.0","storage":"{STORAGE_VERSION}"}}"#
            );
            page(StatusCode::OK, "application/json", body)
        }
        "/health" => match wrong.or_else(|| alarm(state, query)) {
            None => page(StatusCode::OK, TEXT, r#"{"health":"true","reason":""}"#.to_owned()),
            Some(why) => {
                state.health_failures.fetch_add(1, Ordering::Relaxed);
                let body = serde_json::json!({ "health": "false", "reason": why });
                page(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{body}\n"))
            }
        },
        "/livez" => checks(&[("serializable_read", None)], query),
        "/readyz" => {
            let checks = READY.map(|name| (name, wrong_with(state, name, wrong.as_deref())));
            self::checks(&checks, query)
        }
        "/metrics" => {
            let format = MetricsFormat::Classic;
            let ours = state.context.metrics.render(format);
            page(StatusCode::OK, format.content_type(), ours + &state.in_etcds_names())
        }
        _ => match path.strip_prefix("/readyz/").or_else(|| path.strip_prefix("/livez/")) {
            Some(name) if READY.contains(&name) => {
                checks(&[(name, wrong_with(state, name, wrong.as_deref()))], query)
            }
            _ => page(StatusCode::NOT_FOUND, TEXT, "404 page not found\n".to_owned()),
        },
    }
}

const READY: [&str; 4] = ["serializable_read", "linearizable_read", "non_learner", "data_corruption"];

fn wrong_with<'a>(state: &Shared, name: &str, wrong: Option<&'a str>) -> Option<&'a str> {
    match name {
        "linearizable_read" => wrong,
        "data_corruption" => state.alarms.has(Kind::Corrupt).then_some("alarm activated: CORRUPT"),
        _ => None,
    }
}

/// The first that is raised and not named by `exclude`.
fn alarm(state: &Shared, query: Option<&str>) -> Option<String> {
    let mut parts = query.unwrap_or_default().split('&').filter_map(|part| part.strip_prefix("exclude="));
    let excluded: Vec<&str> = parts.by_ref().collect();
    let is_told = |kind: &Kind| state.alarms.has(*kind) && !excluded.contains(&kind.name());
    [Kind::NoSpace, Kind::Corrupt]
        .iter()
        .find(|kind| is_told(kind))
        .map(|kind| format!("ALARM {}", kind.name()))
}

/// `ok`, or what is wrong; with `?verbose` each check on a line of its own.
fn checks(checks: &[(&str, Option<&str>)], query: Option<&str>) -> Response<Body> {
    let verbose =
        query.is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some("verbose")));
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

//! A page for people, and the same as JSON: routes, instances, and who is kept out of traffic and why.

mod page;
mod status;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use switchboard_facade::RequestBody as FromClient;
use switchboard_facade::{Metrics, MetricsFormat};
use tower_service::Service as TowerService;

use crate::body::ResponseBody;
use crate::gateway::Gateway;
use crate::route::Asked;
use status::Status;

/// What the listener of the page serves.
#[derive(Clone, Debug)]
pub(crate) struct Page(pub(crate) Arc<Gateway>, pub(crate) Metrics);

impl TowerService<Request<FromClient>> for Page {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<ResponseBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<FromClient>) -> Self::Future {
        ready(Ok(answer(&self.0, &self.1, &request)))
    }
}

fn answer(gateway: &Gateway, metrics: &Metrics, request: &Request<FromClient>) -> Response<ResponseBody> {
    let plain = "text/plain; charset=utf-8";
    if !is_for_this_machine(request) {
        // A page elsewhere that has its name lead here must not read it.
        return said(StatusCode::MISDIRECTED_REQUEST, plain, "ask for localhost or 127.0.0.1\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return said(StatusCode::METHOD_NOT_ALLOWED, plain, "there is nothing here to be changed\n");
    }
    match request.uri().path() {
        "/" | "/admin" => {
            let asked = page::Asked::read(request.uri().query());
            said(StatusCode::OK, "text/html; charset=utf-8", page::page(&Status::read(gateway), &asked))
        }
        "/status.json" | "/admin/status.json" => {
            let text = serde_json::to_string_pretty(&Status::read(gateway)).unwrap_or_default();
            said(StatusCode::OK, "application/json", text)
        }
        "/metrics" => {
            let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
            let format = MetricsFormat::accepted(accept);
            said(StatusCode::OK, format.content_type(), metrics.render(format))
        }
        _ => said(StatusCode::NOT_FOUND, plain, "there are /, /status.json and /metrics\n"),
    }
}

fn is_for_this_machine(request: &Request<FromClient>) -> bool {
    let host = request.headers().get(header::HOST).cloned();
    let host = host.or_else(|| HeaderValue::from_str(request.uri().authority()?.as_str()).ok());
    let Some(host) = host else { return false };
    let name = Asked::host(&host);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn said(status: StatusCode, kind: &'static str, text: impl Into<bytes::Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "content-security-policy",
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

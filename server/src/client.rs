//! The native API, asked as any program could: one connection per request, HTTP/1.1.

mod connect;
mod events;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, DATE, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::failure::{Exit, Failure};
use connect::Trust;
pub(crate) use events::{Event, Events};

/// How long an answer may take. Following changes is not bound by it.
const PATIENCE: Duration = Duration::from_secs(15);

/// A registry, by its address.
#[derive(Clone)]
pub(crate) struct Client {
    /// As it was given, for messages.
    pub(crate) url: String,
    host: String,
    port: u16,
    /// Before every path; a registry may lie behind a proxy.
    base: String,
    trust: Option<Trust>,
}

/// What a registry said.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn new(url: &str, ca: Option<&Path>) -> Result<Client, Failure> {
        let wrong = |why: &str| {
            Failure::usage(format!("--server {url}: {why}")).next("Write it like http://127.0.0.1:7700.")
        };
        let uri: Uri =
            url.trim_end_matches('/').parse().map_err(|error| wrong(&format!("no URL: {error}")))?;
        let (trust, default_port) = match uri.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => (Some(Trust::read(ca)?), 443),
            _ => return Err(wrong("expected http:// or https://")),
        };
        let host = uri.host().ok_or_else(|| wrong("it names no host"))?;
        Ok(Client {
            url: url.trim_end_matches('/').to_owned(),
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
            base: uri.path().trim_end_matches('/').to_owned(),
            trust,
        })
    }

    /// Asks, and takes everything but success for a failure.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        let answer = self.try_ask(method, path, body).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(self.refused(&answer)) }
    }

    /// Asks; whatever the answer is.
    pub(crate) async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        let asking = async {
            let response = self.send(method, path, "application/json", body).await?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.map_err(|error| self.unreachable(&error))?.to_bytes();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let body = serde_json::from_str(&text).unwrap_or_default();
            Ok(Answer { status: parts.status, headers: parts.headers, text, body })
        };
        let late = |_| self.unreachable(&format!("no answer within {} s", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, asking).await.map_err(late)?
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn stream(&self, path: &str) -> Result<Events, Failure> {
        let asking = self.send(Method::GET, path, "text/event-stream", None);
        let late = |_| self.unreachable(&format!("no answer within {} s", PATIENCE.as_secs()));
        let response = tokio::time::timeout(PATIENCE, asking).await.map_err(late)??;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(Events::new(body));
        }
        let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Err(self.refused(&Answer { status: parts.status, headers: parts.headers, text, body }))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<String>,
    ) -> Result<Response<Incoming>, Failure> {
        let stream = connect::connect(&self.host, self.port, self.trust.as_ref());
        let stream = stream.await.map_err(|error| self.unreachable(&error))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.unreachable(&error))?;
        // Ends by itself when the answer has been read or dropped.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(ACCEPT, accept);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Failure::usage(format!("cannot ask for {path}: {error}")))?;
        sender.send_request(request).await.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, why: &dyn std::fmt::Display) -> Failure {
        Failure::new(Exit::Unreachable, format!("cannot reach a registry at {}: {why}", self.url)).next(
            "Start one with `switchboard serve`, or name another with --server URL (SWITCHBOARD_SERVER).",
        )
    }

    /// Says what the registry said.
    fn refused(&self, answer: &Answer) -> Failure {
        let exit = if answer.status == StatusCode::NOT_FOUND { Exit::NotFound } else { Exit::Failed };
        let Some(message) = answer.body.get("message").and_then(Value::as_str) else {
            let (url, status) = (&self.url, answer.status);
            return Failure::new(exit, format!("{url} answered {status}, and not as a registry does"))
                .next("Is it a Switchboard? Name another with --server URL (SWITCHBOARD_SERVER).");
        };
        let field = answer.body.get("field").and_then(Value::as_str);
        match field {
            Some(field) if !message.contains(field) => Failure::new(exit, format!("{field}: {message}")),
            _ => Failure::new(exit, message),
        }
    }
}

impl Answer {
    /// The registry's clock, as its answers carry it.
    pub(crate) fn date(&self) -> Option<&str> {
        self.headers.get(DATE)?.to_str().ok()
    }
}

/// What need not be escaped in a path segment or a query value.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A path segment.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// A path with those parameters that there are.
pub(crate) fn with_query<'a>(
    path: &str,
    parameters: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> String {
    let given = parameters.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let pairs: Vec<_> = given.map(|(key, value)| format!("{}={}", segment(key), segment(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

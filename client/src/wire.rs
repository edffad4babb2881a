//! HTTP to a registry: one of several addresses, answers with a bound, a deadline for each.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(2);
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// An address of a registry that makes no sense.
///
/// ```
/// let error = switchboard::Native::at("https://registry.example.com").unwrap_err();
/// assert!(error.to_string().contains("https is not spoken to registries yet"), "{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{address:?}: {why}")]
pub struct AddressError {
    pub(crate) address: String,
    pub(crate) why: &'static str,
}

/// Why a registry did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum WireError {
    #[error("{address}: {error}")]
    Unreachable { address: String, error: String },
    #[error("{address}: no answer within {0:?}", limit)]
    Slow { address: String, limit: Duration },
    #[error("{address} answered {status}: {body}")]
    Refused { address: String, status: StatusCode, body: String },
    #[error("{address}: {error}")]
    Nonsense { address: String, error: String },
}

/// A registry that is spoken to by HTTP.
#[derive(Clone)]
pub(crate) struct Wire {
    client: Client<HttpConnector, Full<Bytes>>,
    addresses: Arc<[Address]>,
    /// The one that is asked first: whichever answered last.
    current: Arc<AtomicUsize>,
    headers: HeaderMap,
}

#[derive(Debug)]
struct Address {
    authority: String,
    /// Without the slash at its end.
    prefix: String,
}

#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) limit: Duration,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(path: &'a str) -> Ask<'a> {
        Ask { method: Method::GET, path, headers: Vec::new(), body: None, limit: ANSWER }
    }

    pub(crate) fn put(path: &'a str) -> Ask<'a> {
        Ask { method: Method::PUT, ..Ask::get(path) }
    }

    pub(crate) fn json(self, body: &serde_json::Value) -> Ask<'a> {
        Ask { body: Some(body.to_string().into()), ..self }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) address: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        serde_json::from_slice(&self.body).map_err(|error| self.nonsense(error))
    }

    pub(crate) fn nonsense(&self, error: impl fmt::Display) -> WireError {
        WireError::Nonsense { address: self.address.clone(), error: error.to_string() }
    }

    pub(crate) fn number(&self, header: &str) -> Option<u64> {
        self.headers.get(header)?.to_str().ok()?.parse().ok()
    }
}

impl Wire {
    /// `addresses`: URLs, separated by commas.
    pub(crate) fn to(addresses: &str) -> Result<Wire, AddressError> {
        let parsed: Result<Vec<Address>, AddressError> =
            addresses.split(',').map(|it| address(it.trim())).collect();
        Ok(Wire {
            client: client(),
            addresses: parsed?.into(),
            current: Arc::default(),
            headers: HeaderMap::new(),
        })
    }

    pub(crate) fn with_header(mut self, name: HeaderName, mut value: HeaderValue) -> Wire {
        value.set_sensitive(true);
        self.headers.insert(name, value);
        self
    }

    /// The same registry over connections of its own, for another runtime.
    pub(crate) fn afresh(&self) -> Wire {
        Wire { client: client(), ..self.clone() }
    }

    pub(crate) fn shown(&self) -> String {
        self.addresses.iter().map(|it| it.authority.as_str()).collect::<Vec<_>>().join(",")
    }

    /// A whole answer with a status of success.
    pub(crate) async fn ask(&self, ask: Ask<'_>) -> Result<Answer, WireError> {
        let limit = ask.limit;
        let whole = async {
            let (address, response) = self.open(&ask).await?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body
                .map_err(|error| WireError::Unreachable { address: address.clone(), error: said(&*error) })?;
            let body = body.to_bytes();
            if parts.status.is_success() {
                return Ok(Answer { address, headers: parts.headers, body });
            }
            let body = String::from_utf8_lossy(body.get(..body.len().min(500)).unwrap_or_default())
                .trim()
                .to_owned();
            Err(WireError::Refused { address, status: parts.status, body })
        };
        match tokio::time::timeout(limit, whole).await {
            Ok(result) => result,
            Err(_) => {
                self.turn();
                Err(WireError::Slow { address: self.shown(), limit })
            }
        }
    }

    /// An answer whose body is still to come, from the first address that can be reached.
    pub(crate) async fn open(&self, ask: &Ask<'_>) -> Result<(String, Response<Incoming>), WireError> {
        let mut last = None;
        for _ in 0..self.addresses.len() {
            let at = self.current.load(Ordering::Relaxed);
            let Some(address) = self.addresses.get(at % self.addresses.len()) else { break };
            let shown = address.authority.clone();
            let nonsense = |error: &dyn fmt::Display| WireError::Nonsense {
                address: shown.clone(),
                error: error.to_string(),
            };
            let mut request = Request::builder()
                .method(ask.method.clone())
                .uri(format!("http://{}{}{}", address.authority, address.prefix, ask.path))
                .body(Full::new(ask.body.clone().unwrap_or_default()))
                .map_err(|error| nonsense(&error))?;
            let headers = request.headers_mut();
            headers.extend(self.headers.clone());
            if ask.body.is_some() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            headers.extend(ask.headers.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
            match self.client.request(request).await {
                Ok(response) => return Ok((shown, response)),
                Err(error) => {
                    self.turn();
                    last = Some(WireError::Unreachable { address: shown, error: said(&error) });
                }
            }
        }
        Err(last.unwrap_or_else(|| WireError::Nonsense { address: self.shown(), error: "no address".into() }))
    }

    fn turn(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
    }
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(30)));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        // Heartbeats are further apart than this: a registry need not keep a connection for each of its clients.
        .pool_idle_timeout(Duration::from_secs(2))
        .build(connector)
}

fn address(text: &str) -> Result<Address, AddressError> {
    let wrong = |why| AddressError { address: text.to_owned(), why };
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: Uri = full.parse().map_err(|_| wrong("is not a URL"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => {
            return Err(wrong(
                "https is not spoken to registries yet; put a proxy that speaks it beside this process",
            ));
        }
        _ => return Err(wrong("must begin with http://")),
    }
    if uri.query().is_some() {
        return Err(wrong("must not have a query"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("has no host"))?.to_string();
    Ok(Address { authority, prefix: uri.path().trim_end_matches('/').to_owned() })
}

/// An error with what caused it, in one line.
pub(crate) fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Everything but what RFC 3986 leaves as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A piece of a path.
pub(crate) fn segment(text: &str) -> String {
    match text {
        // A client on the way would take these for steps.
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        text => utf8_percent_encode(text, SEGMENT).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["http://a:1", "a:1", "http://[::1]:7700/node/x/", "http://a:1, http://b:2"] {
            Wire::to(good).unwrap();
        }
        for bad in ["", "https://a", "ftp://a", "http://a/?x=1", "http://", "a b"] {
            assert!(Wire::to(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(segment("a/b c"), "a%2Fb%20c");
        assert_eq!(segment(".."), "%2E%2E");
    }
}

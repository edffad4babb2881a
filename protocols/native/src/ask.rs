//! Reading a request: who asks, its parameters, its body.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use switchboard_facade::{Limits, Peer, Span};
use switchboard_model::{DEFAULT_NAMESPACE, Id, Name, Revision};
use switchboard_registry::Caller;

use crate::refusal::Refusal;
use crate::wire::Code;

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) caller: Caller,
    pub(crate) headers: HeaderMap,
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
}

/// The longest that an answer is held back for a revision or a change.
pub(crate) const PATIENCE: Duration = Duration::from_secs(999);

/// How new the snapshot must be that a read is answered from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness {
    pub(crate) at_least: Option<Revision>,
    pub(crate) wait: Option<Duration>,
}

impl<S: Send + Sync> FromRequestParts<S> for Ask {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Ask, Refusal> {
        let path = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Refusal::malformed("path", "is not UTF-8 once it is percent-decoded"))?;
        let path = path.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let query = parts.uri.query().unwrap_or_default();
        let query =
            form_urlencoded::parse(query.as_bytes()).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        Ok(Ask { caller: caller(parts.extensions.get()), headers: parts.headers.clone(), path, query })
    }
}

pub(crate) fn caller(peer: Option<&Peer>) -> Caller {
    let unknown = IpAddr::from([0, 0, 0, 0]);
    Caller { through: "native", peer: Some(peer.map_or(unknown, |peer| peer.0.ip())) }
}

impl Ask {
    /// A part of the path.
    pub(crate) fn path(&self, name: &str) -> Result<&str, Refusal> {
        let found = self.path.iter().find(|(key, _)| key == name);
        match found.map(|(_, value)| value.as_str()) {
            None => Err(Refusal::malformed(name, "is missing from the path")),
            // Most clients and intermediaries take such a segment for another path.
            Some(dots) if dots.bytes().all(|byte| byte == b'.') => {
                Err(Refusal::malformed(name, "must not consist of dots alone"))
            }
            Some(value) => Ok(value),
        }
    }

    /// Takes a parameter. Given twice is given wrong.
    pub(crate) fn take(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let mut values = self.take_all(name);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(Refusal::malformed(name, "is given more than once")),
        }
    }

    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        self.query.extract_if(.., |(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// Takes all parameters whose name begins with `prefix`, without it.
    pub(crate) fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, String)> {
        let taken = self.query.extract_if(.., |(key, _)| key.starts_with(prefix));
        taken.map(|(key, value)| (key.get(prefix.len()..).unwrap_or_default().to_owned(), value)).collect()
    }

    pub(crate) fn take_as<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Refusal> {
        let wrong = |text: &str| Refusal::malformed(name, format!("{text:?} is not {expected}"));
        self.take(name)?.map(|text| text.parse().map_err(|_| wrong(&text))).transpose()
    }

    pub(crate) fn take_span(&mut self, name: &str, most: Duration) -> Result<Option<Duration>, Refusal> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        // A bare number would leave the reader of a URL guessing its unit.
        let unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
        let span = Span::parse(&text).ok().filter(|span| unit && span.0 <= most);
        match span {
            Some(span) => Ok(Some(span.0)),
            None => {
                let why = format!("{text:?} is not a duration like \"10s\" of at most {}", Span(most));
                Err(Refusal::malformed(name, why))
            }
        }
    }

    pub(crate) fn take_revision(&mut self, name: &str) -> Result<Option<Revision>, Refusal> {
        Ok(self.take_number(name)?.map(Revision))
    }

    pub(crate) fn take_freshness(&mut self) -> Result<Freshness, Refusal> {
        Ok(Freshness { wait: self.take_span("wait", PATIENCE)?, at_least: self.take_revision("at_least")? })
    }

    /// A whole number that JSON can carry without loss.
    pub(crate) fn take_number(&mut self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.take_as::<u64>(name, "a whole number")? {
            Some(number) if number >= 1 << 53 => Err(Refusal::malformed(name, "must be below 2^53")),
            number => Ok(number),
        }
    }

    pub(crate) fn take_flag(&mut self, name: &str) -> Result<bool, Refusal> {
        Ok(self.take_as::<bool>(name, "true or false")?.unwrap_or(false))
    }

    pub(crate) fn take_limit(&mut self, default: usize, most: usize) -> Result<usize, Refusal> {
        match self.take_as::<usize>("limit", "a whole number")? {
            Some(limit) if limit == 0 || limit > most => {
                Err(Refusal::malformed("limit", format!("must be between 1 and {most}")))
            }
            limit => Ok(limit.unwrap_or(default)),
        }
    }

    /// Whether no parameter is left to be taken.
    pub(crate) fn is_plain(&self) -> bool {
        self.query.is_empty()
    }

    pub(crate) fn take_namespace(&mut self) -> Result<Name, Refusal> {
        let text = self.take("namespace")?;
        Ok(Name::parse("namespace", text.as_deref().unwrap_or(DEFAULT_NAMESPACE))?)
    }

    pub(crate) fn take_name(&mut self, name: &str) -> Result<Option<Name>, Refusal> {
        Ok(self.take(name)?.map(|text| Name::parse(name, &text)).transpose()?)
    }

    pub(crate) fn path_name(&self, name: &str) -> Result<Name, Refusal> {
        Ok(Name::parse(name, self.path(name)?)?)
    }

    pub(crate) fn path_id(&self, name: &str) -> Result<Id, Refusal> {
        Ok(Id::parse(name, self.path(name)?)?)
    }

    /// Refuses parameters that nobody took: a misspelled filter must not look like one that matches everything.
    pub(crate) fn finish(&self) -> Result<(), Refusal> {
        match self.query.first() {
            Some((unknown, _)) => Err(Refusal::malformed(unknown, "is not a parameter of this operation")),
            None => Ok(()),
        }
    }
}

/// Reads a JSON body. What is wrong with it is said with the field's name and what was expected.
pub(crate) async fn json<T: DeserializeOwned>(ask: &Ask, body: Body, limits: &Limits) -> Result<T, Refusal> {
    let content_type =
        ask.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let message = format!(
            "the body must be JSON; send it with the header `Content-Type: application/json` (it is {essence:?})"
        );
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType, message));
    }
    decode(&bytes(body, limits).await?)
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    // The decoder would take an array for an object without names.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|first| *first == b'[') {
        return Err(Refusal::malformed("body", "is an array; a JSON object was expected"));
    }
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut decoder).map_err(|error| {
        let path = error.path().to_string();
        let why = error.inner().to_string();
        match path.as_str() {
            "." | "?" if bytes.is_empty() => {
                Refusal::malformed("body", "is empty; a JSON object was expected")
            }
            "." | "?" => Refusal::malformed(field_in(&why).unwrap_or_else(|| "body".to_owned()), why),
            _ => Refusal::malformed(path, why),
        }
    })?;
    decoder.end().map_err(|error| Refusal::malformed("body", error.to_string()))?;
    Ok(value)
}

/// The field that serde names in: missing field `x`, unknown field `x`, duplicate field `x`.
fn field_in(message: &str) -> Option<String> {
    let known = ["missing field `", "unknown field `", "duplicate field `"];
    let rest = known.iter().find_map(|start| message.strip_prefix(start))?;
    rest.split('`').next().map(str::to_owned)
}

/// Reads a body of any kind, within the limits.
pub(crate) async fn bytes(body: Body, limits: &Limits) -> Result<Bytes, Refusal> {
    let limited = Limited::new(body, limits.body_bytes);
    match tokio::time::timeout(limits.body_timeout.0, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            let message = format!("the body is larger than {} bytes", limits.body_bytes);
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, message))
        }
        Ok(Err(error)) => Err(Refusal::malformed("body", format!("could not be read: {error}"))),
        Err(_) => {
            let message = format!("the body did not arrive within {}", limits.body_timeout);
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::Timeout, message))
        }
    }
}

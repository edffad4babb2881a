//! Reading a request: who asks, where, its parameters, its body.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use switchboard_facade::{Limits, Peer, RequestBody};
use switchboard_model::Name;
use switchboard_registry::Caller;

use crate::lens::namespace_from_wire;
use crate::refusal::Refusal;
use crate::routes::Place;
use crate::wire::{Dialect, Form, InstanceInfo, TooLarge, instance_from_json, instance_from_xml, unpack};

/// Longer than any that the model takes. What the limit has room for is a peer's batch of many of them.
const LONGEST_INSTANCE: usize = 1024 * 1024;

/// A request, its body not yet read.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) caller: Caller,
    pub(crate) method: Method,
    pub(crate) namespace: Name,
    /// How the answer is to be said.
    pub(crate) form: Form,
    pub(crate) takes_gzip: bool,
    /// A peer passes on what it was told: it tells the other peers itself.
    pub(crate) by_peer: bool,
    uri: Uri,
    headers: HeaderMap,
    body: RequestBody,
}

impl Ask {
    pub(crate) fn new(request: Request<RequestBody>, place: &Place) -> Result<Ask, Refusal> {
        let (parts, body) = request.into_parts();
        let header = |name| parts.headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let form = Form {
            dialect: if header(ACCEPT).is_some_and(says_json) { Dialect::Json } else { Dialect::Xml },
            compact: parts
                .headers
                .get("x-eureka-accept")
                .is_some_and(|form| form.as_bytes().eq_ignore_ascii_case(b"compact")),
            narrow: place.is_first_version,
        };
        Ok(Ask {
            caller: caller(parts.extensions.get()),
            method: parts.method,
            namespace: namespace_from_wire(&place.namespace)?,
            form,
            takes_gzip: header(ACCEPT_ENCODING).is_some_and(takes_gzip),
            by_peer: parts
                .headers
                .get("x-netflix-discovery-replication")
                .is_some_and(|word| word.as_bytes().eq_ignore_ascii_case(b"true")),
            uri: parts.uri,
            headers: parts.headers,
            body,
        })
    }

    fn query(&self) -> form_urlencoded::Parse<'_> {
        form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes())
    }

    /// The first value; None: not given, or given empty.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.query().find(|(key, _)| key == name);
        found.map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// Every parameter, of several with the same name the first.
    pub(crate) fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (key, value) in self.query() {
            if !pairs.iter().any(|(have, _)| *have == key) {
                pairs.push((key.into_owned(), value.into_owned()));
            }
        }
        pairs
    }

    pub(crate) fn dirty(&self) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.get("lastDirtyTimestamp").filter(|text| text != "null") else {
            return Ok(None);
        };
        match text.parse::<i64>() {
            // Before 1970 is as old as can be.
            Ok(at) => Ok(Some(u64::try_from(at).unwrap_or(0))),
            Err(_) => Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "lastDirtyTimestamp: must be a number of milliseconds",
            )),
        }
    }

    /// The body, unpacked; before and after that at most so long.
    pub(crate) async fn bytes(&mut self, limits: &Limits, most: usize) -> Result<Bytes, Refusal> {
        let limited = Limited::new(&mut self.body, most);
        let bytes = match tokio::time::timeout(limits.body_timeout.0, limited.collect()).await {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => return Err(too_large()),
            Ok(Err(error)) => return Err(Refusal::bad(format!("the body could not be read: {error}"))),
            Err(_) => {
                return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"));
            }
        };
        match self.headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()) {
            None => Ok(bytes),
            Some(encoding) if encoding == b"identity" => Ok(bytes),
            Some(encoding) if encoding == b"gzip" => match unpack(&bytes, most) {
                Ok(Ok(bytes)) => Ok(bytes.into()),
                Ok(Err(error)) => Err(Refusal::bad(format!("the body is not gzip: {error}"))),
                Err(TooLarge) => Err(too_large()),
            },
            Some(_) => Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Content-Encoding: only gzip is read here",
            )),
        }
    }

    /// An instance, in whichever dialect.
    pub(crate) async fn instance(&mut self, limits: &Limits) -> Result<InstanceInfo, Refusal> {
        let bytes = self.bytes(limits, limits.body_bytes.min(LONGEST_INSTANCE)).await?;
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_xml = match () {
            () if says_json(kind) => false,
            () if says(kind, b"xml") => true,
            () => first == Some(&b'<'),
        };
        Ok(if is_xml { instance_from_xml(&bytes)? } else { instance_from_json(&bytes)? })
    }
}

fn too_large() -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "the body is too large; raise eureka.limits.body_bytes if it has to be",
    )
}

/// Whatever has these letters in it: clients send more than names of types.
fn says_json(kind: &str) -> bool {
    says(kind, b"json")
}

fn says(kind: &str, letters: &[u8]) -> bool {
    kind.as_bytes().windows(letters.len()).any(|found| found.eq_ignore_ascii_case(letters))
}

fn takes_gzip(accept: &str) -> bool {
    accept.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            part.strip_prefix("q=").is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q <= 0.0))
        });
        (coding.eq_ignore_ascii_case("gzip") || coding == "*") && !refused
    })
}

pub(crate) fn caller(peer: Option<&Peer>) -> Caller {
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    Caller { through: "eureka", peer: Some(peer.map_or(unknown, |peer| peer.0.ip())) }
}

#[cfg(test)]
mod tests {
    use super::takes_gzip;

    #[test]
    fn gzip_is_sent_to_whoever_takes_it() {
        for yes in ["gzip", "deflate, GZIP;q=0.5", "*", "gzip;q=1.0, identity"] {
            assert!(takes_gzip(yes), "{yes}");
        }
        for no in ["", "identity", "gzip;q=0", "deflate", "gzip; q=0.0"] {
            assert!(!takes_gzip(no), "{no}");
        }
    }
}

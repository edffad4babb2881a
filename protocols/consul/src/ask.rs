//! Reading a request: who asks, where, its parameters, its body.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use regex::Regex;
use serde::de::DeserializeOwned;
use switchboard_facade::{Limits, Peer, RequestBody};
use switchboard_model::Name;
use switchboard_registry::Caller;

use crate::lens::GoDuration;
use crate::refusal::Refusal;

/// The longest that a query blocks, and how long it blocks when it does not say.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
const DEFAULT_WAIT: Duration = Duration::from_secs(300);

/// A request, its body not yet read.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) caller: Caller,
    pub(crate) headers: HeaderMap,
    /// What follows the route's own path, percent-decoded, slashes included.
    pub(crate) rest: String,
    /// The node that the path names before `/v1/`.
    pub(crate) node: Option<Name>,
    pub(crate) consistency: Consistency,
    query: Vec<(String, String)>,
    body: RequestBody,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Consistency {
    Default,
    Stale,
    Consistent,
}

impl Consistency {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Consistency::Default => "leader",
            Consistency::Stale => "stale",
            Consistency::Consistent => "consistent",
        }
    }
}

/// A wish to be answered only when something is newer than the index, or else after a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocking {
    /// Zero: no such wish.
    pub(crate) index: u64,
    /// Above zero, and a little more than was asked for.
    pub(crate) wait: Duration,
}

impl Ask {
    pub(crate) fn new(
        request: Request<RequestBody>,
        node: Option<Name>,
        rest: String,
    ) -> Result<Ask, Refusal> {
        let (parts, body) = request.into_parts();
        let query = parse_query(parts.uri.query().unwrap_or_default()).ok_or_else(|| Refusal::failed(""))?;
        let mut ask = Ask {
            method: parts.method,
            caller: caller(parts.extensions.get()),
            headers: parts.headers,
            rest,
            node,
            consistency: Consistency::Default,
            query,
            body,
        };
        ask.consistency = ask.consistency()?;
        Ok(ask)
    }

    fn consistency(&self) -> Result<Consistency, Refusal> {
        let max_stale = self.get("max_stale").map(|text| {
            let invalid = || Refusal::bad(format!("Invalid max_stale value {text:?}"));
            GoDuration::parse(text).ok_or_else(invalid)
        });
        // It has to be readable, whatever else is said.
        let max_stale = max_stale.transpose()?;
        let stale = self.has("stale") || max_stale.is_some_and(|most| !most.0.is_zero());
        match (stale, self.has("consistent")) {
            (true, true) => {
                Err(Refusal::bad("Cannot specify ?stale with ?consistent, conflicting semantics."))
            }
            (_, true) if self.has("cached") => {
                Err(Refusal::bad("Cannot specify ?cached with ?consistent, conflicting semantics."))
            }
            (true, false) => Ok(Consistency::Stale),
            (false, true) => Ok(Consistency::Consistent),
            (false, false) => Ok(Consistency::Default),
        }
    }

    /// Whether `Cache-Control` wants the answer looked up anew.
    pub(crate) fn cache_control(&self) -> Result<bool, Refusal> {
        let Some(value) = self.headers.get(CACHE_CONTROL) else { return Ok(false) };
        let invalid = || Refusal::bad("Invalid Cache-Control header.");
        let text = value.to_str().map_err(|_| invalid())?.to_ascii_lowercase();
        let mut must_look = false;
        for directive in text.split(',').map(str::trim) {
            must_look |= directive == "must-revalidate";
            for name in ["max-age=", "stale-if-error="] {
                if let Some(seconds) = directive.strip_prefix(name) {
                    let seconds: i64 = seconds.parse().map_err(|_| invalid())?;
                    must_look |= seconds == 0 && name == "max-age=";
                }
            }
        }
        Ok(must_look)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.query.iter().any(|(key, _)| key == name)
    }

    /// The first value, also an empty one.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All parameters by name, as Go writes them.
    pub(crate) fn sorted_query(&self) -> String {
        let mut query: Vec<_> = self.query.iter().collect();
        query.sort_by_key(|(name, _)| name.as_str());
        form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
    }

    /// The first value; None: not given, or given empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What follows the route's path, which must be there.
    pub(crate) fn rest(&self, missing: &str) -> Result<&str, Refusal> {
        if self.rest.is_empty() { Err(Refusal::bad(missing)) } else { Ok(&self.rest) }
    }

    /// Namespaces and partitions are not for everyone.
    pub(crate) fn check_enterprise(&self, has_namespaces: bool) -> Result<(), Refusal> {
        let names: &[(&str, &str)] = match has_namespaces {
            true => &[("ns", "Namespaces"), ("partition", "Partitions")],
            false => &[("partition", "Partitions")],
        };
        match names.iter().find(|(name, _)| self.get(name).is_some()) {
            Some((name, what)) => Err(Refusal::bad(format!(
                "Invalid query parameter: {name:?} - {what} are a Consul Enterprise feature"
            ))),
            None => Ok(()),
        }
    }

    /// The datacenter that is asked, which has to be this one.
    pub(crate) fn check_datacenter(&self, here: &str) -> Result<(), Refusal> {
        match self.get("datacenter").or_else(|| self.get("dc")) {
            Some(wanted) if wanted != here => Err(Refusal::failed("No path to datacenter")),
            _ => Ok(()),
        }
    }

    pub(crate) fn blocking(&self) -> Result<Blocking, Refusal> {
        let wait = self.wait()?.filter(|wait| !wait.is_zero()).unwrap_or(DEFAULT_WAIT).min(LONGEST_WAIT);
        let index = match self.get("index") {
            // Go takes no sign here.
            Some(text) if text.starts_with('+') => return Err(Refusal::bad("Invalid index")),
            Some(text) => text.parse::<u64>().map_err(|_| Refusal::bad("Invalid index"))?,
            None => 0,
        };
        // Spread over a sixteenth more, so that those who came together do not come back together.
        let wait = wait + wait.mul_f64(fastrand::f64() / 16.0);
        Ok(Blocking { index, wait })
    }

    /// How long the client wants to wait, as it says it.
    pub(crate) fn wait(&self) -> Result<Option<Duration>, Refusal> {
        let Some(text) = self.get("wait") else { return Ok(None) };
        GoDuration::parse(text).map(|wait| Some(wait.0)).ok_or_else(|| Refusal::bad("Invalid wait time"))
    }

    /// A boolean whose mere presence means true. None: it is not there.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let Some((_, value)) = self.query.iter().find(|(key, _)| key == name) else { return Ok(None) };
        match value.as_str() {
            "" => Ok(Some(true)),
            value => match go_bool(value) {
                Some(value) => Ok(Some(value)),
                None => Err(Refusal::bad(format!("Invalid value for ?{name}"))),
            },
        }
    }

    pub(crate) async fn bytes(&mut self, limits: &Limits, most: usize) -> Result<Bytes, TooMuch> {
        let limited = Limited::new(&mut self.body, most.min(limits.body_bytes));
        match tokio::time::timeout(limits.body_timeout.0, limited.collect()).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(TooMuch::Large),
            Ok(Err(error)) => Err(TooMuch::Broken(error.to_string())),
            Err(_) => Err(TooMuch::Slow),
        }
    }

    /// Reads a JSON body; without any, what stands for nothing said.
    pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(
        &mut self,
        limits: &Limits,
    ) -> Result<T, Refusal> {
        let bytes = self.bytes(limits, usize::MAX).await?;
        if bytes.is_empty() { Ok(T::default()) } else { decode(&bytes) }
    }

    /// The next piece of the body. None: that was all.
    pub(crate) async fn piece(&mut self, limits: &Limits) -> Result<Option<Bytes>, TooMuch> {
        loop {
            match tokio::time::timeout(limits.body_timeout.0, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Ok(Some(Err(error))) => return Err(TooMuch::Broken(error.to_string())),
                Err(_) => return Err(TooMuch::Slow),
            }
        }
    }

    /// Reads a JSON body.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self, limits: &Limits) -> Result<T, Refusal> {
        let bytes = self.bytes(limits, usize::MAX).await?;
        decode(&bytes)
    }
}

/// Why there is no body.
#[derive(Debug)]
pub(crate) enum TooMuch {
    Large,
    Slow,
    Broken(String),
}

impl From<TooMuch> for Refusal {
    fn from(why: TooMuch) -> Refusal {
        match why {
            TooMuch::Large => Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Request body too large; raise consul.limits.body_bytes if it has to be",
            ),
            TooMuch::Slow => Refusal::new(StatusCode::REQUEST_TIMEOUT, "Request body did not arrive in time"),
            TooMuch::Broken(why) => Refusal::bad(format!("Request body could not be read: {why}")),
        }
    }
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::bad("Request decode failed: EOF"));
    }
    // Nothing is said, as Go takes it: all fields stay as they are.
    let bytes = if bytes.trim_ascii() == b"null" { b"{}" } else { bytes };
    // Go reads the first value and leaves what follows it alone.
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    T::deserialize(&mut decoder)
        .map_err(|error| Refusal::bad(format!("Request decode failed: {}", plain(&error))))
}

/// The decoder's message without the place, where it is one of Go's.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let is_go = text.starts_with("json: ") || text.starts_with("time: ");
    match text.rsplit_once(" at line ").filter(|_| is_go) {
        Some((said, _)) => said.to_owned(),
        None => text,
    }
}

pub(crate) fn caller(peer: Option<&Peer>) -> Caller {
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    Caller { through: "consul", peer: Some(peer.map_or(unknown, |peer| peer.0.ip())) }
}

/// What Go's `strconv.ParseBool` takes.
pub(crate) fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// None: it holds a broken escape, or a semicolon, which could be meant as a separator.
pub(crate) fn parse_query(text: &str) -> Option<Vec<(String, String)>> {
    if text.contains(';') || !escapes_are_whole(text) {
        return None;
    }
    Some(
        form_urlencoded::parse(text.as_bytes())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect(),
    )
}

/// Why a path cannot be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unprintable {
    Escape,
    Control,
    NotText,
}

/// A path with its escapes undone.
pub(crate) fn decode_path(path: &str) -> Result<String, Unprintable> {
    if !escapes_are_whole(path) {
        return Err(Unprintable::Escape);
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| Unprintable::NotText)?;
    if is_printable(&decoded) { Ok(decoded.into_owned()) } else { Err(Unprintable::Control) }
}

/// As Go takes it: letters, marks, numbers, punctuation, symbols and the plain space. No other space, and nothing that is not seen.
fn is_printable(text: &str) -> bool {
    static PRINTABLE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$").ok());
    match text.is_ascii() {
        true => !text.bytes().any(|byte| byte.is_ascii_control()),
        false => PRINTABLE.as_ref().is_some_and(|printable| printable.is_match(text)),
    }
}

fn escapes_are_whole(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
        if byte == b'%' && !(hex(bytes.next()) && hex(bytes.next())) {
            return false;
        }
    }
    true
}

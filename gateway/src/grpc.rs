//! The little that a proxy needs to know of gRPC: deadlines, and how a refusal is said.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::body::ResponseBody;
use crate::refusal::Refusal;

pub(crate) const DEADLINE_EXCEEDED: u8 = 4;
pub(crate) const RESOURCE_EXHAUSTED: u8 = 8;
pub(crate) const UNIMPLEMENTED: u8 = 12;
pub(crate) const INTERNAL: u8 = 13;
pub(crate) const UNAVAILABLE: u8 = 14;

pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return false };
    let Some(rest) = kind.as_bytes().strip_prefix(b"application/grpc") else { return false };
    // `application/grpc-web` is another protocol, over HTTP/1.1.
    matches!(rest.first(), None | Some(b'+' | b';'))
}

/// `grpc-timeout`: at most eight digits and a unit.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// An answer of a head only, as gRPC wants errors: the HTTP status is 200 all the same.
pub(crate) fn refuse(refusal: &Refusal) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(refusal.grpc_status())));
    let said = refusal.to_string();
    if let Ok(message) = HeaderValue::from_str(&utf8_percent_encode(&said, MESSAGE).to_string()) {
        headers.insert("grpc-message", message);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit_and_nothing_else() {
        let read = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            timeout(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), value)]))
        };
        for (text, nanos) in
            [("1H", 3_600_000_000_000), ("2M", 120_000_000_000), ("3S", 3_000_000_000), ("4m", 4_000_000)]
        {
            assert_eq!(read(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        assert_eq!(read("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(read("1n"), Some(Duration::from_nanos(1)));
        for bad in ["", "1", "S", "123456789S", "-1S", "1.5S", "1 S", "1x", "1ü"] {
            assert!(bad.is_ascii().then(|| read(bad)).flatten().is_none(), "{bad:?}");
        }
    }

    #[test]
    fn grpc_is_known_by_its_content_type() {
        let is = |kind: &'static str| {
            is_grpc(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]))
        };
        assert!(is("application/grpc") && is("application/grpc+proto") && is("application/grpc;x=y"));
        assert!(!is("application/grpc-web") && !is("application/json"));
    }
}

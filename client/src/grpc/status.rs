//! What gRPC says in headers.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::call::{CallError, Why};

/// `grpc-message` has what is not printable, and the percent sign, escaped.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');
const DEADLINE_EXCEEDED: &str = "4";
const UNAVAILABLE: &str = "14";

/// The answer to a call that no instance has answered.
pub(super) fn answer(error: CallError) -> Response<()> {
    let code = if error.why == Why::Timeout { DEADLINE_EXCEEDED } else { UNAVAILABLE };
    let mut response = said(code, &error.to_string());
    response.extensions_mut().insert(error);
    response
}

/// What an answer means that is no gRPC, such as that of a proxy on the way; None: it is gRPC.
pub(super) fn of_http(head: &Parts) -> Option<Response<()>> {
    if head.status == StatusCode::OK || head.headers.contains_key("grpc-status") {
        return None;
    }
    // As gRPC's own table has it.
    let code = match head.status.as_u16() {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502..=504 => UNAVAILABLE,
        _ => "2",
    };
    Some(said(code, &format!("answered {}, which is no gRPC", head.status)))
}

/// Headers and nothing else.
fn said(code: &'static str, message: &str) -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(code));
    let message = utf8_percent_encode(message, MESSAGE).to_string();
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert("grpc-message", message);
    }
    response
}

/// How long the caller gives the call, as `grpc-timeout` says it: up to eight digits and a unit.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout_of(text: &str) -> Option<Duration> {
        timeout(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), text.parse().unwrap())]))
    }

    #[test]
    fn timeouts_are_read() {
        assert_eq!(timeout_of("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(timeout_of("99999999m"), Some(Duration::from_millis(99_999_999)));
        assert_eq!(timeout_of("1n"), Some(Duration::from_nanos(1)));
        for bad in ["", "S", "1", "123456789S", "-1S", "1s", "1 S"] {
            assert_eq!(timeout_of(bad), None, "{bad:?}");
        }
    }
}

//! What a proxy passes on of a head, and what it does not. Pure.

mod connection;
mod forwarded;
mod framing;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

pub(crate) use connection::Nominated;
pub(crate) use forwarded::{Client, Told, tell};
pub(crate) use framing::{Checked, check};

/// About one connection and never about the message.
const HOP_BY_HOP: [HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::PROXY_AUTHORIZATION];

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Takes off a request what was meant for us: the framing is made anew for the next hop.
pub(crate) fn strip_request(headers: &mut HeaderMap, nominated: &Nominated) {
    let trailers = headers.get_all(header::TE).iter().any(|te| is_trailers(te.as_bytes()));
    for name in nominated.names() {
        headers.remove(name);
    }
    strip(headers);
    headers.remove(HTTP2_SETTINGS);
    headers.remove(header::EXPECT);
    // The body knows its length, and says it again.
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TE);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Takes off an answer what was meant for us. A broken `Connection` takes off what can be read of it.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        for name in connection::lenient(headers) {
            headers.remove(name);
        }
    }
    // Both at once: the length is not the body's.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    strip(headers);
    headers.remove(header::PROXY_AUTHENTICATE);
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
}

fn is_trailers(te: &[u8]) -> bool {
    te.split(|b| *b == b',').any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn map(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn names(map: &HeaderMap) -> Vec<String> {
        let mut names: Vec<String> = map.keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_about_the_connection_stays_there() {
        let mut request = map(&[
            ("connection", "keep-alive, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers, deflate"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("expect", "100-continue"),
            ("trailer", "x-sum"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ]);
        let nominated = Nominated::read(&request).unwrap();
        strip_request(&mut request, &nominated);
        assert_eq!(names(&request), ["accept", "te", "trailer"]);
        assert_eq!(request["te"], "trailers");
    }

    #[test]
    fn an_answer_with_two_framings_loses_its_length() {
        let mut response = map(&[("content-length", "5"), ("transfer-encoding", "chunked"), ("x-kept", "1")]);
        strip_response(&mut response);
        assert_eq!(names(&response), ["x-kept"]);
        let mut response = map(&[("connection", "x-gone, :bad, close"), ("x-gone", "1"), ("etag", "1")]);
        strip_response(&mut response);
        assert_eq!(names(&response), ["etag"]);
    }
}

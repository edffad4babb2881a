use http::header::{self, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, Method, Uri, Version};

use super::Nominated;
use crate::refusal::Refusal;

/// What is known of a request whose head is in order.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What the client calls us.
    pub(crate) host: HeaderValue,
    pub(crate) nominated: Nominated,
    /// It asks to become a WebSocket.
    pub(crate) websocket: bool,
    /// The length of the body, where it is said.
    pub(crate) length: Option<u64>,
}

/// Whether everyone on the way would read this request as we do. Whoever sends two meanings in one head is refused,
/// not understood.
pub(crate) fn check(
    method: &Method,
    uri: &Uri,
    version: Version,
    headers: &HeaderMap,
) -> Result<Checked, Refusal> {
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::MethodNotSupported { method: method.to_string() });
    }
    let host = host(uri, version, headers)?;
    let length = length(version, headers)?;
    path(uri)?;
    expectation(headers)?;
    let nominated = if headers.contains_key(header::CONNECTION) {
        Nominated::read(headers)?
    } else {
        Nominated::default()
    };
    let websocket = is_websocket(method, version, headers, &nominated)
        && matches!(length, None | Some(0))
        && !headers.contains_key(header::TRANSFER_ENCODING);
    Ok(Checked { host, nominated, websocket, length })
}

/// `Host`, `:authority` and a target in absolute form have to agree.
fn host(uri: &Uri, version: Version, headers: &HeaderMap) -> Result<HeaderValue, Refusal> {
    let mut hosts = headers.get_all(header::HOST).into_iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::malformed("more than one Host"));
    }
    if let Some(host) = host
        && !host.is_empty()
    {
        let authority =
            Authority::try_from(host.as_bytes()).map_err(|_| Refusal::malformed("Host is no host"))?;
        if authority.as_str().contains('@') {
            return Err(Refusal::malformed("Host holds a user"));
        }
    }
    match (uri.authority(), host) {
        (Some(authority), _) if authority.as_str().contains('@') => {
            Err(Refusal::malformed("the target holds a user"))
        }
        (Some(authority), Some(host))
            if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(Refusal::malformed("Host and the target name different hosts"))
        }
        (Some(authority), None) => HeaderValue::from_str(authority.as_str())
            .map_err(|_| Refusal::malformed("the target's host is no header value")),
        (_, Some(host)) => Ok(host.clone()),
        (None, None) if version == Version::HTTP_10 => Ok(HeaderValue::from_static("")),
        (None, None) => Err(Refusal::malformed("Host is missing")),
    }
}

fn length(version: Version, headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).into_iter();
    let coding = codings.next();
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).into_iter();
    let length = lengths.next();
    if let Some(coding) = coding {
        if version != Version::HTTP_11 {
            return Err(Refusal::malformed("Transfer-Encoding belongs to HTTP/1.1"));
        }
        if codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::malformed("the only Transfer-Encoding taken is chunked, once"));
        }
        if length.is_some() {
            return Err(Refusal::malformed("Transfer-Encoding and Content-Length at once"));
        }
        return Ok(None);
    }
    let Some(length) = length else { return Ok(None) };
    if lengths.any(|other| other != length) {
        return Err(Refusal::malformed("several lengths"));
    }
    let digits = length.as_bytes();
    let number = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
    // More than fits into a signed number of 64 bits would be negative to some.
    match number.and_then(|text| text.parse::<i64>().ok()).and_then(|length| u64::try_from(length).ok()) {
        Some(length) => Ok(Some(length)),
        None => Err(Refusal::malformed("Content-Length is no number")),
    }
}

/// A path that means another one to whoever cleans it up would get past the routes.
fn path(uri: &Uri) -> Result<(), Refusal> {
    let path = uri.path();
    if path != "*" && !path.is_empty() && !path.starts_with('/') {
        return Err(Refusal::malformed("the target is no path"));
    }
    if path.bytes().any(|b| b == b'\\' || b == b'#') {
        return Err(Refusal::malformed("the path holds a character that is not understood alike everywhere"));
    }
    if !path.contains("/.") && !path.contains('%') {
        return Ok(());
    }
    let is_dots = |segment: &str| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        // What stands after a `;` is cut off by some.
        matches!(plain.split(';').next(), Some("." | ".."))
    };
    let unescaped = path.replace("%2f", "/").replace("%2F", "/").replace("%5c", "/").replace("%5C", "/");
    if unescaped.split('/').any(is_dots) {
        return Err(Refusal::malformed("the path holds `.` or `..`"));
    }
    if unescaped.contains("%00") {
        return Err(Refusal::malformed("the path holds a zero byte"));
    }
    Ok(())
}

fn expectation(headers: &HeaderMap) -> Result<(), Refusal> {
    let known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(header::EXPECT).iter().all(known) { Ok(()) } else { Err(Refusal::Expectation) }
}

fn is_websocket(method: &Method, version: Version, headers: &HeaderMap, nominated: &Nominated) -> bool {
    let asked =
        || headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    version == Version::HTTP_11
        && *method == Method::GET
        && nominated.has(&HeaderName::from_static("upgrade"))
        && asked()
}

#[cfg(test)]
mod tests {
    use super::super::tests::map;
    use super::*;

    fn read(version: Version, target: &str, lines: &[(&str, &str)]) -> Result<Checked, Refusal> {
        check(&Method::GET, &target.parse().unwrap(), version, &map(lines))
    }

    #[track_caller]
    fn refused(target: &str, lines: &[(&str, &str)]) {
        assert!(read(Version::HTTP_11, target, lines).is_err(), "{target} {lines:?}");
    }

    #[track_caller]
    fn taken(target: &str, lines: &[(&str, &str)]) {
        let read = read(Version::HTTP_11, target, lines);
        assert!(read.is_ok(), "{target} {lines:?}: {read:?}");
    }

    #[test]
    fn two_hosts_in_one_request_are_refused() {
        taken("/", &[("host", "a")]);
        taken("http://a/", &[("host", "A")]);
        taken("http://a:80/", &[]);
        refused("/", &[]);
        refused("/", &[("host", "a"), ("host", "a")]);
        refused("http://a/", &[("host", "b")]);
        refused("/", &[("host", "a@b")]);
        refused("/", &[("host", "a/b")]);
        refused("http://u@a/", &[("host", "a")]);
    }

    #[test]
    fn two_framings_in_one_request_are_refused() {
        let host = ("host", "a");
        taken("/", &[host, ("transfer-encoding", "chunked")]);
        taken("/", &[host, ("content-length", "5"), ("content-length", "5")]);
        for bad in ["gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked, identity", ""] {
            refused("/", &[host, ("transfer-encoding", bad)]);
        }
        refused("/", &[host, ("transfer-encoding", "chunked"), ("content-length", "0")]);
        refused("/", &[host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]);
        for bad in ["+5", "-1", "5 5", "0x5", "5,5", "", "9223372036854775808", "18446744073709551616"] {
            refused("/", &[host, ("content-length", bad)]);
        }
        refused("/", &[host, ("content-length", "5"), ("content-length", "6")]);
        let old = read(Version::HTTP_10, "/", &[host, ("transfer-encoding", "chunked")]);
        assert!(old.is_err());
    }

    #[test]
    fn paths_that_would_be_cleaned_up_elsewhere_are_refused() {
        for good in ["/a/b", "/a.b/..c", "/.well-known/x", "/a%20b", "/a%2Fb", "//a", "/..."] {
            taken(good, &[("host", "a")]);
        }
        for bad in
            ["/a/../b", "/a/.", "/%2e%2e/b", "/a/.%2E/b", "/a%2f..%2fb", "/..;x/b", "/a%5c..%5cb", "/a%00b"]
        {
            refused(bad, &[("host", "a")]);
        }
    }

    #[test]
    fn only_websockets_upgrade() {
        let is = |lines: &[(&str, &str)]| read(Version::HTTP_11, "/", lines).unwrap().websocket;
        let host = ("host", "a");
        assert!(is(&[host, ("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")]));
        assert!(!is(&[host, ("upgrade", "websocket")]));
        assert!(!is(&[host, ("connection", "upgrade"), ("upgrade", "h2c")]));
        assert!(!is(&[host, ("connection", "upgrade"), ("upgrade", "websocket"), ("content-length", "3")]));
    }

    #[test]
    fn connect_trace_and_strange_expectations_are_refused() {
        let host = map(&[("host", "a")]);
        for method in [Method::CONNECT, Method::TRACE] {
            assert!(check(&method, &"/".parse().unwrap(), Version::HTTP_11, &host).is_err());
        }
        refused("/", &[("host", "a"), ("expect", "200-ok")]);
        taken("/", &[("host", "a"), ("expect", "100-Continue")]);
    }
}

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use switchboard_model::{HttpProbe, Rejection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::tls::{Mode, Trust};
use super::{Outcome, tcp};
use crate::aim::Aimed;
use crate::verdict::Answer;

/// Of a response's body, read so that the server need not think that we hung up on it.
const MAX_RESPONSE: usize = 4096;
const DRAIN: Duration = Duration::from_millis(100);
/// Of a response's head.
const MAX_HEAD: usize = 16 * 1024;

const MAX_PATH: usize = 2048;
const MAX_HEADERS: usize = 32;
const MAX_HEADER_BYTES: usize = 8192;
const MAX_BODY: usize = 16 * 1024;

/// Asks once, on a connection of its own. A redirect is a status like any other: it is not followed.
pub(super) async fn probe(
    addresses: &[SocketAddr],
    aimed: &Aimed,
    spec: &HttpProbe,
    trust: &Trust,
    timing: Timing,
) -> Result<Outcome, String> {
    let Timing { deadline, .. } = timing;
    let request = request(aimed, spec).map_err(|rejection| rejection.to_string())?;
    let stream = tcp::connect(addresses, deadline).await?;
    let Said { status, body } = match &spec.tls {
        None => exchange(stream, request, timing).await?,
        Some(name) => {
            let mode = if spec.tls_skip_verify { Mode::Blind } else { Mode::Verify };
            exchange(trust.wrap(stream, name, &aimed.host, mode).await?, request, timing).await?
        }
    };
    let mut output = format!("HTTP {} {}: {status}", spec.method, url(aimed, spec));
    if timing.shows_body {
        output = format!("{output} Output: {}", String::from_utf8_lossy(&body));
    }
    Ok(Outcome::new(judge(status, &spec.expect), output))
}

/// How long a probe may take, and whether the body is waited for.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    pub(super) deadline: Instant,
    /// What the other side says is passed on.
    pub(super) shows_body: bool,
}

struct Said {
    status: StatusCode,
    /// Its beginning.
    body: Vec<u8>,
}

/// What is asked, as its registrant would write it.
pub(super) fn url(aimed: &Aimed, spec: &HttpProbe) -> String {
    let scheme = if spec.tls.is_some() { "https" } else { "http" };
    let path = if spec.path.is_empty() { "/" } else { &*spec.path };
    format!("{scheme}://{}{path}", host_header(aimed, spec))
}

/// Without the port where it is the one that everybody expects.
fn host_header(aimed: &Aimed, spec: &HttpProbe) -> String {
    let default_port = if spec.tls.is_some() { 443 } else { 80 };
    let authority = aimed.authority();
    match authority.strip_suffix(&format!(":{default_port}")) {
        Some(bare) if aimed.port == default_port => bare.to_owned(),
        _ => authority,
    }
}

/// What can be said against the check when it is registered.
pub(crate) fn validate(spec: &HttpProbe) -> Result<(), Rejection> {
    method(spec)?;
    path(spec)?;
    headers(spec)?;
    if spec.body.len() > MAX_BODY {
        return Err(Rejection::Limit { what: "bytes of check.http.body".into(), limit: MAX_BODY as u64 });
    }
    match spec.expect.iter().find(|(from, to)| from > to || *from < 100 || *to > 999) {
        Some((from, to)) => Err(Rejection::invalid(
            "check.http.expect",
            format!("{from}-{to} is not a range of status codes"),
        )),
        None => Ok(()),
    }
}

/// Too many requests is a remark rather than a failure, as in Consul, unless the check expects it.
fn judge(status: StatusCode, expect: &[(u16, u16)]) -> Answer {
    let code = status.as_u16();
    let is_expected = if expect.is_empty() {
        status.is_success()
    } else {
        expect.iter().any(|(a, b)| (*a..=*b).contains(&code))
    };
    match status {
        _ if is_expected => Answer::Pass,
        StatusCode::TOO_MANY_REQUESTS => Answer::Warn,
        _ => Answer::Fail,
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>, timing: Timing) -> Result<Said, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let said = |error: hyper::Error| match error {
        _ if error.is_parse() => "the answer is not HTTP/1".to_owned(),
        _ if error.is_incomplete_message() => "the connection ended before the answer did".to_owned(),
        _ => format!("the request failed: {error}"),
    };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(said)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(said)?;
        let status = response.status();
        let now = Instant::now();
        let left = timing.deadline.saturating_duration_since(now) / 2;
        let patience = if timing.shows_body { left } else { DRAIN.min(left) };
        let mut body = Vec::new();
        // The status line is the verdict; how the body ends does not matter.
        let _ = timeout_at(now + patience, drain(response.into_body(), &mut body)).await;
        Ok(Said { status, body })
    };
    tokio::pin!(exchange);
    // The connection lives in here, so that it ends with the probe, also when that is cancelled.
    tokio::select! {
        said = &mut exchange => said,
        _ = connection => exchange.await,
    }
}

/// Reads to the end, or as much as is wanted.
async fn drain(mut body: hyper::body::Incoming, into: &mut Vec<u8>) {
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        let room = MAX_RESPONSE.saturating_sub(into.len());
        into.extend(data.iter().take(room));
        if data.len() >= room {
            return;
        }
    }
}

fn request(aimed: &Aimed, spec: &HttpProbe) -> Result<Request<Full<Bytes>>, Rejection> {
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(spec.body.as_bytes())));
    *request.method_mut() = method(spec)?;
    *request.uri_mut() = Uri::from(path(spec)?);
    let host = HeaderValue::from_str(&host_header(aimed, spec))
        .map_err(|error| Rejection::invalid("check.http.host", error.to_string()))?;
    let all = request.headers_mut();
    all.insert(HOST, host);
    all.insert(USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
    all.insert(CONNECTION, HeaderValue::from_static("close"));
    let own = headers(spec)?;
    for (name, _) in &own {
        all.remove(name);
    }
    for (name, value) in own {
        all.append(name, value);
    }
    Ok(request)
}

fn method(spec: &HttpProbe) -> Result<Method, Rejection> {
    let field = "check.http.method";
    match Method::from_bytes(spec.method.as_bytes()) {
        Ok(Method::CONNECT) => Err(Rejection::invalid(field, "CONNECT is not for checks")),
        Ok(method) => Ok(method),
        Err(_) => Err(Rejection::invalid(field, format!("{:?} is not a method", spec.method))),
    }
}

fn path(spec: &HttpProbe) -> Result<PathAndQuery, Rejection> {
    let field = "check.http.path";
    let path = if spec.path.is_empty() { "/" } else { &*spec.path };
    if !path.starts_with('/') || path.len() > MAX_PATH {
        return Err(Rejection::invalid(
            field,
            format!("must begin with / and have at most {MAX_PATH} bytes"),
        ));
    }
    path.parse().map_err(|_| Rejection::invalid(field, "holds what no path may hold; percent-encode it"))
}

/// The check's own headers. Those that are about the connection are not its business: with them, one request could be
/// made to look like two.
fn headers(spec: &HttpProbe) -> Result<Vec<(HeaderName, HeaderValue)>, Rejection> {
    let bytes: usize = spec.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if spec.headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let why = format!("at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes together");
        return Err(Rejection::invalid("check.http.headers", why));
    }
    let header = |(name, value): &(Box<str>, Box<str>)| {
        let field = || format!("check.http.headers.{name}");
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            Rejection::invalid("check.http.headers", format!("{name:?} is not a header name"))
        })?;
        if is_of_the_connection(&parsed) {
            return Err(Rejection::invalid(field(), "is decided by the connection"));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| Rejection::invalid(field(), "holds unprintable characters"))?;
        Ok((parsed, value))
    };
    spec.headers.iter().map(header).collect()
}

fn is_of_the_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "content-length"
            | "expect"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(method: &str, path: &str, header: (&str, &str)) -> HttpProbe {
        HttpProbe {
            target: switchboard_model::Target::default(),
            method: method.into(),
            path: path.into(),
            headers: [(header.0.into(), header.1.into())].into(),
            body: "".into(),
            expect: [].into(),
            tls: None,
            tls_skip_verify: false,
        }
    }

    #[test]
    fn what_could_smuggle_a_second_request_is_refused() {
        validate(&spec("GET", "/health?deep=1", ("Authorization", "Bearer x"))).unwrap();
        validate(&spec("REPORT", "", ("Host", "other.example"))).unwrap();
        for (method, path, name, value) in [
            ("CONNECT", "/", "a", "b"),
            ("GET / HTTP/1.1\r\nA:", "/", "a", "b"),
            ("GET", "http://example.com/", "a", "b"),
            ("GET", "/ HTTP/1.1\r\nA: b", "a", "b"),
            ("GET", "*", "a", "b"),
            ("GET", "/", "a b", "b"),
            ("GET", "/", "a", "b\r\nc: d"),
            ("GET", "/", "Transfer-Encoding", "chunked"),
            ("GET", "/", "content-length", "5"),
            ("GET", "/", "Connection", "upgrade"),
            ("GET", "/", "a", &"b".repeat(9000)),
        ] {
            let spec = spec(method, path, (name, value));
            assert!(validate(&spec).is_err(), "{method:?} {path:?} {name:?} {value:?} was accepted");
        }
    }

    #[test]
    fn what_a_status_means() {
        let judge = |code: u16, expect: &[(u16, u16)]| judge(StatusCode::from_u16(code).unwrap(), expect);
        for (code, expect, answer) in [
            (200, &[][..], Answer::Pass),
            (204, &[], Answer::Pass),
            (302, &[], Answer::Fail),
            (429, &[], Answer::Warn),
            (429, &[(200, 499)], Answer::Pass),
            (503, &[], Answer::Fail),
            (200, &[(503, 503)], Answer::Fail),
            (503, &[(200, 204), (503, 503)], Answer::Pass),
        ] {
            assert_eq!(judge(code, expect), answer, "{code} {expect:?}");
        }
    }
}

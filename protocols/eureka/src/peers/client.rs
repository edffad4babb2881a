use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::wire::unpack;

/// Everything that a peer knows is at most this long, also after it has been unpacked.
const LONGEST_LIST: usize = 256 * 1024 * 1024;
/// And its answer to a batch, in which there may be an instance for each.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Client {
    /// With a slash at the end.
    pub(super) base: String,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    http: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// Why a peer did not take something.
#[derive(Debug, PartialEq)]
pub(super) enum Failure {
    /// It has too much to do; the same again in a moment.
    Busy(String),
    /// It takes what it is told and says nothing.
    Silent,
    /// It cannot be reached.
    Away(String),
    /// It does not want it, and never will.
    Refused(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Busy(why) => write!(f, "it is busy: {why}"),
            Failure::Silent => write!(f, "it does not answer in time"),
            Failure::Away(why) => write!(f, "it cannot be reached: {why}"),
            Failure::Refused(why) => write!(f, "it refused: {why}"),
        }
    }
}

impl Client {
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Client, String> {
        let uri: Uri = url.parse().map_err(|error| format!("is no URL: {error}"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err("is reached by https, which is not spoken to peers".into()),
            _ => return Err("has to begin with http://".into()),
        }
        let authority = uri.authority().ok_or("names no host")?;
        let (credentials, place) = match authority.as_str().rsplit_once('@') {
            Some((credentials, place)) => (Some(credentials), place),
            None => (None, authority.as_str()),
        };
        let authorization = match credentials {
            None => None,
            Some(credentials) => {
                let plain: Vec<u8> = percent_encoding::percent_decode_str(credentials).collect();
                let basic = base64::engine::general_purpose::STANDARD.encode(plain);
                let mut value =
                    HeaderValue::from_str(&format!("Basic {basic}")).map_err(|e| e.to_string())?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let base = format!("http://{place}{}/", uri.path().trim_end_matches('/'));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Client { base, authorization, timeout, http })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Bytes, Failure> {
        self.call(Method::GET, path, Bytes::new(), LONGEST_LIST).await
    }

    pub(super) async fn post(&self, path: &str, json: String) -> Result<Bytes, Failure> {
        self.call(Method::POST, path, json.into(), LONGEST_ANSWER).await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes, most: usize) -> Result<Bytes, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(ACCEPT, "application/json")
            .header(ACCEPT_ENCODING, "gzip")
            .header(USER_AGENT, "Java-EurekaClient-Replication")
            .header("discoveryidentity-name", "DefaultServer")
            .header("discoveryidentity-version", "1.0");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let request = request.body(Full::new(body)).map_err(|error| Failure::Refused(error.to_string()))?;
        match tokio::time::timeout(self.timeout, self.exchange(request, most)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Silent),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, most: usize) -> Result<Bytes, Failure> {
        let away = |error: &dyn std::fmt::Display| Failure::Away(error.to_string());
        let response = self.http.request(request).await.map_err(|error| away(&error))?;
        let status = response.status();
        let is_packed = response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
        let body = Limited::new(response.into_body(), most).collect().await.map_err(|error| away(&error))?;
        let body = body.to_bytes();
        match status.as_u16() {
            200..=299 => {}
            503 => return Err(Failure::Busy("503".into())),
            _ => return Err(Failure::Refused(status.to_string())),
        }
        match is_packed {
            false => Ok(body),
            true => match unpack(&body, most) {
                Ok(Ok(plain)) => Ok(plain.into()),
                Ok(Err(error)) => Err(Failure::Refused(error.to_string())),
                Err(_) => Err(Failure::Refused("its answer is too large".into())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_url_is_read_with_its_credentials() {
        let client = |url: &str| Client::new(url, Duration::from_secs(1));
        assert_eq!(client("http://peer:8761/eureka").unwrap().base, "http://peer:8761/eureka/");
        let secret = client("http://user:p%40ss@peer:8761/eureka/").unwrap();
        assert_eq!(secret.base, "http://peer:8761/eureka/");
        assert_eq!(secret.authorization.unwrap(), "Basic dXNlcjpwQHNz");
        for bad in ["https://peer/eureka", "peer:8761", "/eureka", "http://"] {
            assert!(client(bad).is_err(), "{bad}");
        }
    }
}

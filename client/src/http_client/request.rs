use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri};
use serde::Serialize;

use super::answer::HttpAnswer;
use super::{HttpClient, is_idempotent, refused};
use crate::call::{Call, CallError};

/// A request to a service that is being put together. Awaiting it makes the call.
///
/// ```no_run
/// # async fn example(http: switchboard::HttpClient) -> Result<(), switchboard::HttpError> {
/// let order = http
///     .post("http://orders/orders")
///     .header("x-request-id", "17")
///     .json(&[("item", "tea"), ("amount", "2")])
///     .timeout(std::time::Duration::from_secs(2))
///     .await?;
/// println!("{} by {}", order.status(), order.instance().key);
/// # Ok(()) }
/// ```
#[must_use = "a request is sent when it is awaited"]
pub struct HttpRequest {
    client: HttpClient,
    url: String,
    method: Method,
    headers: HeaderMap,
    /// Pairs of the query, written as they are sent.
    query: String,
    body: Bytes,
    call: Call,
    /// The first thing about it that cannot be sent.
    wrong: Option<String>,
}

impl HttpRequest {
    pub(super) fn new(client: HttpClient, method: Method, url: &str) -> HttpRequest {
        let call = Call { hash: None, idempotent: is_idempotent(&method), timeout: None };
        HttpRequest {
            client,
            url: url.to_owned(),
            method,
            headers: HeaderMap::new(),
            query: String::new(),
            body: Bytes::new(),
            call,
            wrong: None,
        }
    }

    /// With a header. What cannot be sent as one is the error of the call.
    pub fn header(mut self, name: &str, value: &str) -> HttpRequest {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
            }
            (Err(error), _) => self.is_wrong(format!("the header {name:?}: {error}")),
            // Its value may be a secret.
            (_, Err(error)) => self.is_wrong(format!("the value of the header {name}: {error}")),
        }
        self
    }

    /// With a token in the header `Authorization`, which is not shown in logs.
    pub fn bearer(mut self, token: &str) -> HttpRequest {
        match HeaderValue::try_from(format!("Bearer {token}")) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.insert(http::header::AUTHORIZATION, value);
            }
            Err(error) => self.is_wrong(format!("the token: {error}")),
        }
        self
    }

    /// With a pair in the query of the URL, escaped as it has to be.
    pub fn query(mut self, name: &str, value: &str) -> HttpRequest {
        let pair = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(&pair);
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Bytes>) -> HttpRequest {
        self.body = body.into();
        self
    }

    /// With this body, written as JSON and called so.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> HttpRequest {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body = bytes.into(),
            Err(error) => self.is_wrong(format!("the body cannot be written as JSON: {error}")),
        }
        let json = HeaderValue::from_static("application/json");
        self.headers.entry(CONTENT_TYPE).or_insert(json);
        self
    }

    /// The call may be done twice, whatever its method: it is tried on another instance after any failure.
    pub fn idempotent(mut self) -> HttpRequest {
        self.call.idempotent = true;
        self
    }

    /// All tries together may take this long until the answer begins, if the options do not say less.
    pub fn timeout(mut self, timeout: Duration) -> HttpRequest {
        self.call.timeout = Some(timeout);
        self
    }

    /// Calls with the same key go to the same instance, where the algorithm is
    /// [`ConsistentHash`](crate::Algorithm::ConsistentHash).
    pub fn hash_key(mut self, key: &[u8]) -> HttpRequest {
        self.call.hash = Some(crate::hash_of(key));
        self
    }

    /// Makes the call, as awaiting the request does.
    pub async fn send(self) -> Result<HttpAnswer, CallError> {
        let refuse = |why: String| refused(format!("{} {}", self.method, self.url), why);
        if let Some(why) = self.wrong {
            return Err(refuse(why));
        }
        let uri: Uri =
            self.url.parse().map_err(|error| refuse(format!("the URL cannot be read: {error}")))?;
        let uri = with_query(uri, &self.query).map_err(|error| refuse(error.to_string()))?;
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        self.client.make(request, self.call).await
    }

    fn is_wrong(&mut self, why: String) {
        self.wrong.get_or_insert(why);
    }
}

fn with_query(uri: Uri, query: &str) -> Result<Uri, http::Error> {
    if query.is_empty() {
        return Ok(uri);
    }
    let joined = match uri.query() {
        Some(before) if !before.is_empty() => format!("{}?{before}&{query}", uri.path()),
        _ => format!("{}?{query}", uri.path()),
    };
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(joined)?);
    Ok(Uri::from_parts(parts)?)
}

impl IntoFuture for HttpRequest {
    type Output = Result<HttpAnswer, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_added_to_what_the_url_asks_already() {
        let check = |url: &str, query: &str, expected: &str| {
            assert_eq!(with_query(url.parse().unwrap(), query).unwrap().to_string(), expected);
        };
        check("http://users/a", "", "http://users/a");
        check("http://users", "x=1", "http://users/?x=1");
        check("http://users/a?", "x=1", "http://users/a?x=1");
        check("http://users/a?y=%20", "x=1&z=2", "http://users/a?y=%20&x=1&z=2");
    }
}

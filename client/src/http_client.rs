mod answer;
mod request;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use switchboard_balance::Outcome;
use switchboard_discover::{Freshness, Instance, Name, Query, ServiceKey, Source};

pub use answer::{HttpAnswer, HttpBody, HttpError};
pub use request::HttpRequest;

use crate::body::{CallBody, http_outcome};
use crate::call::{Attempt, Call, CallError, Why, run};
use crate::pool::{Picked, Pool, PoolOptions, PoolStatus};

/// Calls services by name: the host of a URL is a service.
///
/// ```no_run
/// # async fn example(source: switchboard::Fixed) -> Result<(), switchboard::HttpError> {
/// let http = switchboard::HttpClient::new(source);
/// let text = http.get("http://user-service/users/1").await?.text().await?;
/// let made = http.post("http://user-service/users").json(&["ann"]).await?;
/// assert_eq!(made.status(), 201);
/// # Ok(()) }
/// ```
///
/// A call that fails is tried on another instance: after a failed connect always, otherwise if its method is idempotent
/// (or [`HttpRequest::idempotent`] says so) and the retry budget allows. So is one that is answered 502, 503 or 504; the
/// last answer is given to the caller. Make one client and clone it: clones share everything.
#[derive(Clone)]
pub struct HttpClient {
    inner: Arc<Inner>,
}

struct Inner {
    source: Box<dyn Source>,
    options: HttpOptions,
    client: Client<HttpConnector, Full<Bytes>>,
    pools: Mutex<HashMap<Query, Arc<Pool<Place>>>>,
}

/// Where the calls to an instance go; None: it has no such port, or its host is no host.
type Place = Option<Authority>;

/// How calls are made.
///
/// ```
/// use std::time::Duration;
/// use switchboard::{Fixed, HttpClient, HttpOptions};
///
/// let quick = HttpOptions { try_timeout: Duration::from_millis(500), ..HttpOptions::default() };
/// let http = HttpClient::with(Fixed::new([]), quick);
/// ```
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// For each service.
    pub pool: PoolOptions,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long one try may take until its answer begins.
    pub try_timeout: Duration,
    /// How long an answer that has begun may say nothing while it is read whole.
    pub read_timeout: Duration,
    /// The longest answer that is read whole, in bytes. [`HttpAnswer::into_response`] has no limit.
    pub max_answer_bytes: usize,
    /// The namespace that services are looked for in.
    pub namespace: String,
    /// Instances are called on the port of this name. None: on their main port.
    pub port_name: Option<String>,
    /// Whether the instance sees its own address as the host, instead of the service's name.
    pub rewrite_host: bool,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            pool: PoolOptions { timeout: Some(Duration::from_secs(30)), ..PoolOptions::default() },
            connect_timeout: Duration::from_secs(1),
            try_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            max_answer_bytes: 16 * 1024 * 1024,
            namespace: switchboard_model::DEFAULT_NAMESPACE.to_owned(),
            port_name: None,
            rewrite_host: false,
        }
    }
}

/// Services that one client calls.
const MAX_SERVICES: usize = 4096;

impl HttpClient {
    /// Finds services in this source.
    pub fn new(source: impl Source) -> HttpClient {
        HttpClient::with(source, HttpOptions::default())
    }

    /// With other options.
    pub fn with(source: impl Source, options: HttpOptions) -> HttpClient {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(options.connect_timeout));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            // Whether a call may be sent twice is decided here, by policy and budget.
            .retry_canceled_requests(false)
            .set_host(false)
            .build(connector);
        let pools = Mutex::default();
        HttpClient { inner: Arc::new(Inner { source: Box::new(source), options, client, pools }) }
    }

    /// `GET` of a URL whose host is a service.
    pub fn get(&self, url: &str) -> HttpRequest {
        self.call(Method::GET, url)
    }

    /// `HEAD` of such a URL.
    pub fn head(&self, url: &str) -> HttpRequest {
        self.call(Method::HEAD, url)
    }

    /// `POST` to such a URL. It is tried on another instance only if nothing was sent.
    pub fn post(&self, url: &str) -> HttpRequest {
        self.call(Method::POST, url)
    }

    /// `PUT` to such a URL.
    pub fn put(&self, url: &str) -> HttpRequest {
        self.call(Method::PUT, url)
    }

    /// `PATCH` of such a URL. It is tried on another instance only if nothing was sent.
    pub fn patch(&self, url: &str) -> HttpRequest {
        self.call(Method::PATCH, url)
    }

    /// `DELETE` of such a URL.
    pub fn delete(&self, url: &str) -> HttpRequest {
        self.call(Method::DELETE, url)
    }

    /// Any method.
    pub fn call(&self, method: Method, url: &str) -> HttpRequest {
        HttpRequest::new(self.clone(), method, url)
    }

    /// A request of the crate `http` whose URL has a service for a host.
    pub async fn request(&self, request: Request<Bytes>) -> Result<HttpAnswer, CallError> {
        let hash = request.extensions().get::<HashKey>().map(|key| key.0);
        let idempotent = is_idempotent(request.method());
        self.make(request, Call { hash, idempotent, timeout: None }).await
    }

    async fn make(&self, request: Request<Bytes>, call: Call) -> Result<HttpAnswer, CallError> {
        let pool = self.pool(request.uri())?;
        let (parts, body) = request.into_parts();
        let parts = Arc::new(parts);
        let inner = &self.inner;
        run(&pool.shared(), call, |picked| {
            let (parts, body, inner) = (parts.clone(), body.clone(), inner.clone());
            async move { inner.attempt(picked, &parts, body).await }
        })
        .await
    }

    /// What it knows about each service that it has called.
    pub fn status(&self) -> Vec<PoolStatus> {
        self.inner.pools.lock().values().map(|pool| pool.status()).collect()
    }

    fn pool(&self, uri: &Uri) -> Result<Arc<Pool<Place>>, CallError> {
        let inner = &self.inner;
        let host = uri.host().unwrap_or_default();
        let shown = || uri.to_string();
        if host.is_empty() {
            return Err(refused(shown(), "the URL has no host; write http://service-name/path"));
        }
        let service = Name::parse("host", host).map_err(|rejection| refused(shown(), rejection))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(refused(shown(), "services are called by http://"));
        }
        if uri.port().is_some() {
            let why =
                "a service is called without a port: its instances say which; see HttpOptions::port_name";
            return Err(refused(shown(), why));
        }
        let namespace = Name::parse("namespace", &inner.options.namespace);
        let namespace = namespace.map_err(|rejection| refused("HttpOptions", rejection))?;
        let key = ServiceKey { namespace, service };
        let query = Query { service: key, tags: Vec::new(), with_unhealthy: false };
        let mut pools = inner.pools.lock();
        if let Some(pool) = pools.get(&query) {
            return Ok(pool.clone());
        }
        if pools.len() >= MAX_SERVICES {
            let why = format!("this client calls {MAX_SERVICES} services already, and no more");
            return Err(refused(query.service.service, why));
        }
        let port_name = inner.options.port_name.clone();
        let place = move |instance: &Instance| {
            let port = match &port_name {
                Some(name) => instance.port_named(name),
                None => instance.port(),
            };
            Authority::try_from(instance.authority_at(port?)).ok()
        };
        match Pool::new(&*inner.source, &query, inner.options.pool.clone(), place) {
            Ok(pool) => {
                let pool = Arc::new(pool);
                pools.insert(query, pool.clone());
                Ok(pool)
            }
            Err(error) => Err(refused(query.service.service, error)),
        }
    }
}

#[cfg(feature = "metrics")]
impl crate::metrics::Measure for HttpClient {
    fn reader(&self) -> Box<dyn Fn() -> Option<crate::metrics::Measured> + Send + Sync> {
        let inner = Arc::downgrade(&self.inner);
        Box::new(move || {
            let pools = inner.upgrade()?.pools.lock().values().map(|pool| pool.status()).collect();
            Some(crate::metrics::Measured { pools, registrar: None })
        })
    }
}

impl Inner {
    async fn attempt(
        &self,
        picked: Picked<Place>,
        parts: &http::request::Parts,
        body: Bytes,
    ) -> Attempt<HttpAnswer> {
        let Some(from) = picked.instance().cloned() else { return Attempt::unsent("no instance") };
        let Some(authority) = picked.service().cloned().flatten() else {
            picked.finish(Outcome::FAILURE);
            return Attempt::unsent("the instance has no such port");
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method.clone();
        *request.headers_mut() = parts.headers.clone();
        let host =
            if self.options.rewrite_host { authority.as_str() } else { parts.uri.host().unwrap_or_default() };
        if let Ok(host) = HeaderValue::from_str(host) {
            request.headers_mut().entry(HOST).or_insert(host);
        }
        let path = parts.uri.path_and_query().cloned();
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(authority);
        match uri.path_and_query(path.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/"))).build() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => return Attempt::unsent(error),
        }
        let sent = tokio::time::timeout(self.options.try_timeout, self.client.request(request)).await;
        match sent {
            Ok(Ok(response)) => {
                let status = response.status().as_u16();
                let outcome = http_outcome(status, response.headers());
                let response = response.map(|body| HttpBody(CallBody::http(body, picked, outcome)));
                let answer = HttpAnswer::new(response, from, &self.options);
                if matches!(status, 502..=504) { Attempt::Poor(answer) } else { Attempt::Done(answer) }
            }
            Ok(Err(error)) => {
                picked.finish(Outcome::FAILURE);
                if error.is_connect() { Attempt::unsent(error) } else { Attempt::broken(error) }
            }
            Err(_) => {
                picked.finish(Outcome::FAILURE);
                Attempt::broken(format!("no answer within {:?}", self.options.try_timeout))
            }
        }
    }
}

/// Put into a request's extensions, it decides which instance takes the call where the algorithm is consistent hashing.
///
/// ```
/// let mut request = http::Request::new(bytes::Bytes::new());
/// request.extensions_mut().insert(switchboard::HashKey(switchboard::hash_of(b"user 17")));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HashKey(pub u64);

fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE].contains(method)
}

fn refused(to: impl std::fmt::Display, why: impl std::fmt::Display) -> CallError {
    let freshness = Freshness::Never { cause: None };
    let why = Why::Request(Arc::from(why.to_string()));
    CallError { service: Arc::from(to.to_string()), why, attempts: Vec::new(), freshness }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("source", &self.inner.source.name()).finish_non_exhaustive()
    }
}

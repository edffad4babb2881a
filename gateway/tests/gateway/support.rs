use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::Value;
use switchboard_engine_memory::Memory;
use switchboard_facade::{About, Context, Metrics, MetricsFormat, NamedSets, Section, Stop};
use switchboard_model::{Annex, Id, Instance, InstanceKey, Lifecycle, Metadata, Name, Port, Tags};
use switchboard_registry::plan::{Deregister, Keep, Register, SetLifecycle};
use switchboard_registry::{Caller, OpenGate, Options, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Far above what anything here needs.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(GUARD, future).await.expect("it hangs")
}

/// A registry, a gateway, and a client of it.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) stop: Stop,
    pub(crate) metrics: Metrics,
    pub(crate) serving: Option<JoinHandle<anyhow::Result<()>>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

pub(crate) async fn world() -> World {
    world_with("").await
}

pub(crate) fn section(settings: &str) -> Section {
    toml::from_str(&format!("listen = '127.0.0.1:0'\n{settings}")).unwrap()
}

/// With more settings of the section `[gateway]`, as TOML.
pub(crate) async fn world_with(settings: &str) -> World {
    let registry = Registry::open(Arc::new(Memory::new()), Options::default(), Arc::new(OpenGate));
    registry.loaded().await.unwrap();
    let section = section(settings);
    (switchboard_gateway::PLUG.effective)(&section).unwrap();
    let facade = (switchboard_gateway::PLUG.open)(&section).await.unwrap();
    let places = facade.listening();
    let stop = Stop::new();
    let about = About { version: "test", engine: "memory", started: Instant::now() };
    let (metrics, named_sets) = (Metrics::default(), NamedSets::default());
    let context = Context {
        registry: registry.clone(),
        metrics: metrics.clone(),
        named_sets,
        stop: stop.clone(),
        about,
    };
    let serving = Some(tokio::spawn(facade.serve(context)));
    let client = Client::builder(TokioExecutor::new()).build_http();
    World { address: places[0].address, admin: places[1].address, registry, stop, metrics, serving, client }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }
}

async fn answer(client: &Client<HttpConnector, Full<Bytes>>, request: Request<Full<Bytes>>) -> Answer {
    let response = within(client.request(request)).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = within(body.collect()).await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// The answer to a request on a connection of its own.
pub(crate) async fn answer_to(request: Request<Full<Bytes>>) -> Answer {
    answer(&Client::builder(TokioExecutor::new()).build_http(), request).await
}

impl World {
    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    pub(crate) async fn answer(&self, request: Request<Full<Bytes>>) -> Answer {
        answer(&self.client, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.answer(self.request("GET", path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        self.answer(self.request(method, path).body(Full::new(body.into())).unwrap()).await
    }

    pub(crate) async fn status(&self) -> Value {
        let uri = format!("http://{}/status.json", self.admin);
        self.answer(Request::get(uri).body(Full::default()).unwrap()).await.json()
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw(TcpStream::connect(self.address).await.unwrap())
    }

    pub(crate) fn metrics(&self) -> String {
        self.metrics.render(MetricsFormat::Classic)
    }

    /// Registers an instance, and waits until the gateway knows.
    pub(crate) async fn register(&self, service: &str, id: &str, address: SocketAddr) -> Arc<InstanceKey> {
        self.register_with(service, id, address, "", &[]).await
    }

    pub(crate) async fn register_with(
        &self,
        service: &str,
        id: &str,
        address: SocketAddr,
        port_name: &str,
        metadata: &[(&str, &str)],
    ) -> Arc<InstanceKey> {
        let key = Arc::new(InstanceKey {
            namespace: Name::default_namespace(),
            service: Name::parse("service", service).unwrap(),
            node: None,
            id: Id::parse("id", id).unwrap(),
        });
        let pairs = metadata.iter().map(|(key, value)| (Arc::from(*key), Arc::from(*value)));
        let instance = Instance {
            key: key.clone(),
            address: address.ip().to_string().into(),
            ports: [Port { name: port_name.into(), number: address.port() }].into(),
            tags: Tags::default(),
            metadata: Metadata::new(pairs).unwrap(),
            weight: 1,
            warning_weight: None,
            zone: None,
            lifecycle: Lifecycle::Up,
            lease: None,
            origin: "test".into(),
            annex: Annex::default(),
        };
        let register = Register { instance, checks: None, keep: Keep::Forever };
        self.registry.submit(&Caller::internal("test"), register).await.unwrap();
        self.until(|status| has(status, service, id)).await;
        key
    }

    pub(crate) async fn deregister(&self, key: &Arc<InstanceKey>) {
        let gone = Deregister { key: key.clone() };
        self.registry.submit(&Caller::internal("test"), gone).await.unwrap();
        let (service, id) = (key.service.as_str().to_owned(), key.id.as_str().to_owned());
        self.until(|status| !has(status, &service, &id)).await;
    }

    pub(crate) async fn set(&self, key: &Arc<InstanceKey>, lifecycle: Lifecycle) {
        let set = SetLifecycle { key: key.clone(), lifecycle };
        self.registry.submit(&Caller::internal("test"), set).await.unwrap();
        let (service, id) = (key.service.as_str().to_owned(), key.id.as_str().to_owned());
        let absent = lifecycle != Lifecycle::Up;
        let is_so = |status: &Value| {
            instance(status, &service, &id).is_some_and(|found| (found["state"] == "absent") == absent)
        };
        self.until(is_so).await;
    }

    /// Waits until the admin page says so.
    pub(crate) async fn until(&self, says: impl Fn(&Value) -> bool) {
        within(async {
            while !says(&self.status().await) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

pub(crate) fn instance<'a>(status: &'a Value, service: &str, id: &str) -> Option<&'a Value> {
    let services = status["services"].as_array()?;
    let of = services.iter().find(|of| of["name"].as_str().unwrap().eq_ignore_ascii_case(service))?;
    of["instances"].as_array()?.iter().find(|of| of["id"] == id)
}

fn has(status: &Value, service: &str, id: &str) -> bool {
    instance(status, service, id).is_some()
}

/// An instance of a service: an HTTP server, of both versions.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
    connections: Stop,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
        self.connections.cancel();
    }
}

impl Backend {
    /// Ends at once, with everything that is under way.
    pub(crate) async fn kill(self) {
        self.task.abort();
        self.connections.cancel();
        // Until nobody listens any more.
        within(async { while TcpStream::connect(self.address).await.is_ok() {} }).await;
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// What a backend makes of a request.
pub(crate) async fn backend<F, R>(answer: F) -> Backend
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, connections) = (Arc::new(AtomicUsize::new(0)), Stop::new());
    let (counted, stop) = (requests.clone(), connections.clone());
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (answer, counted, stop) = (answer.clone(), counted.clone(), stop.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let answered = answer(request);
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let serving = builder.serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    _ = serving => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    });
    Backend { address, requests, task, connections }
}

/// Says who it is, and what it was asked.
pub(crate) async fn named(name: &'static str) -> Backend {
    backend(move |request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let headers: serde_json::Map<String, Value> = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
            .collect();
        let said = serde_json::json!({
            "name": name,
            "method": parts.method.as_str(),
            "path": parts.uri.path_and_query().unwrap().as_str(),
            "headers": headers,
            "version": format!("{:?}", parts.version),
            "body": String::from_utf8_lossy(&body),
        });
        Response::new(Full::new(said.to_string().into()))
    })
    .await
}

/// Answers with a status.
pub(crate) async fn status(status: u16) -> Backend {
    backend(move |_| async move {
        let mut response = Response::new(Full::new(Bytes::from("no")));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    })
    .await
}

/// An address at which nobody listens.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A connection on which bytes are said as they are.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Until the other end has nothing more to say.
    pub(crate) async fn all(&mut self) -> String {
        let mut all = Vec::new();
        // A reset after the answer is an end as well.
        let _ = within(self.0.read_to_end(&mut all)).await;
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Until something was said that contains `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut said = String::new();
        while !said.contains(end) {
            let mut buffer = [0; 4096];
            let read = within(self.0.read(&mut buffer)).await.unwrap();
            assert_ne!(read, 0, "it ended after {said:?}");
            said.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        said
    }
}

/// A server that is given each connection as bytes.
pub(crate) async fn raw_backend<F, R>(serve: F) -> SocketAddr
where
    F: Fn(Raw) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Raw(stream)));
        }
    });
    address
}

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use switchboard_engine_memory::{Memory, Script};
use switchboard_facade::{About, Context, Metrics, NamedSets, Section, Stop};
use switchboard_registry::{OpenGate, Options, Registry};

/// A server of Consul's API and a client of it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) script: Arc<Script>,
    pub(crate) registry: Registry,
    pub(crate) sets: NamedSets,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: Arc<Stopping>,
}

struct Stopping(Stop);

impl Drop for Stopping {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn index(&self) -> u64 {
        self.headers["x-consul-index"].to_str().unwrap().parse().unwrap()
    }
}

pub(crate) async fn world() -> World {
    world_with("node_name = 'here'").await
}

/// With these settings of the section `[consul]`, as TOML.
pub(crate) async fn world_with(settings: &str) -> World {
    let engine = Arc::new(Memory::new());
    let script = engine.script();
    let registry = Registry::open(engine, Options::default(), Arc::new(OpenGate));
    registry.loaded().await.unwrap();
    World { script, ..serve(registry, settings).await }
}

/// Over a registry that is there already.
pub(crate) async fn serve(registry: Registry, settings: &str) -> World {
    let section: Section = toml::from_str(&format!("listen = '127.0.0.1:0'\n{settings}")).unwrap();
    let node = section["node_name"].as_str().unwrap().to_owned();
    let facade = (switchboard_protocol_consul::PLUG.open)(&section).await.unwrap();
    let address = facade.listening()[0].address;
    let stop = Stop::new();
    let about = About { version: "test", engine: "memory", started: Instant::now() };
    let (metrics, sets) = (Metrics::default(), NamedSets::default());
    let named_sets = sets.clone();
    let context = Context { registry: registry.clone(), metrics, named_sets, stop: stop.clone(), about };
    tokio::spawn(facade.serve(context));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let script = Memory::new().script();
    let world = World { address, script, registry, sets, client, stop: Arc::new(Stopping(stop)) };
    // Its own node is there at once, though not at the same instant.
    while world.get(&format!("/v1/health/node/{node}")).await.text() == "[]" {
        tokio::task::yield_now().await;
    }
    world
}

impl World {
    pub(crate) fn stop(&self) {
        self.stop.0.cancel();
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        self.send(Request::builder().method(method).uri(uri).body(Full::new(body.into())).unwrap()).await
    }

    pub(crate) async fn get_with(&self, path: &str, header: &str, value: &str) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        self.send(Request::builder().uri(uri).header(header, value).body(Full::default()).unwrap()).await
    }

    /// An answer whose body is read as it comes.
    pub(crate) async fn stream(&self, path: &str) -> Response<Incoming> {
        self.stream_with(path, "accept", "*/*").await
    }

    pub(crate) async fn stream_with(&self, path: &str, header: &str, value: &str) -> Response<Incoming> {
        let uri = format!("http://{}{path}", self.address);
        let request = Request::builder().uri(uri).header(header, value).body(Full::default()).unwrap();
        let response = self.client.request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.client.request(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "").await
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.call(Method::PUT, path, body).await
    }

    #[track_caller]
    pub(crate) fn register(&self, body: impl Into<Bytes>) -> impl Future<Output = ()> {
        let (world, body) = (self.clone(), body.into());
        async move {
            let answer = world.put("/v1/agent/service/register", body).await;
            assert_eq!((answer.status, answer.text()), (StatusCode::OK, ""));
        }
    }
}

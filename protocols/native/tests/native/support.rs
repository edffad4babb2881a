use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

pub(crate) const ARTICLE: &str = r#"{"service":"user-service","host":"192.168.1.100","port":8080,"metadata":{"version":"v1.2","region":"east"},"ttl":30}"#;

/// A server of the native API and a client of it.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) script: Arc<Script>,
    pub(crate) registry: Registry,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: Stop,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        self.json()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn world() -> World {
    world_with("").await
}

/// With more settings of the section `[native]`, as TOML.
pub(crate) async fn world_with(settings: &str) -> World {
    let engine = Arc::new(Memory::new());
    let script = engine.script();
    let registry = Registry::open(engine, Options::default(), Arc::new(OpenGate));
    registry.loaded().await.unwrap();
    serve(registry, script, settings).await
}

pub(crate) async fn serve(registry: Registry, script: Arc<Script>, settings: &str) -> World {
    let section: Section = toml::from_str(&format!("listen = '127.0.0.1:0'\n{settings}")).unwrap();
    let facade = (switchboard_protocol_native::PLUG.open)(&section).await.unwrap();
    let address = facade.listening()[0].address;
    let stop = Stop::new();
    let about = About { version: "test", engine: "memory", started: Instant::now() };
    let metrics = Metrics::default();
    metrics.register(|metrics| registry.meters().register(metrics));
    let named_sets = NamedSets::default();
    let context = Context { registry: registry.clone(), metrics, named_sets, stop: stop.clone(), about };
    tokio::spawn(facade.serve(context));
    let client = Client::builder(TokioExecutor::new()).build_http();
    World { address, script, registry, client, stop }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.client.request(request).await.unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        let body = body.into();
        let mut request = self.request(method, path);
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.answer(request.body(Full::new(body)).unwrap()).await
    }

    pub(crate) async fn answer(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.send(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "").await
    }

    pub(crate) async fn put(&self, path: &str, body: &'static str) -> Answer {
        self.call(Method::PUT, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, "").await
    }

    pub(crate) async fn register(&self, body: impl Into<Bytes>) -> Value {
        self.call(Method::POST, "/v1/register", body).await.ok()
    }

    /// Registers `id` of `service` without a TTL.
    pub(crate) async fn add(&self, service: &str, id: &str) -> Value {
        self.register(format!(r#"{{"service":"{service}","host":"10.0.0.1","port":80,"id":"{id}"}}"#)).await
    }

    /// The ids of the instances that a look-up gives.
    pub(crate) async fn ids(&self, path: &str) -> Vec<String> {
        let said = self.get(path).await.ok();
        said["instances"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// The events of a stream, as they come.
pub(crate) struct Events {
    body: Incoming,
    text: String,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

impl Events {
    pub(crate) async fn open(world: &World, path: &str, last_event_id: Option<&str>) -> Events {
        let mut request = world.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = world.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { body: response.into_body(), text: String::new() }
    }

    /// The next event; None: the stream ended.
    pub(crate) async fn any(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let event = Event {
                    kind: field("event: ").unwrap_or_default(),
                    id: field("id: "),
                    data: serde_json::from_str(&field("data: ").unwrap_or_default()).unwrap(),
                };
                self.text = rest.to_owned();
                return Some(event);
            }
            let frame = tokio::time::timeout(Duration::from_secs(30), self.body.frame()).await.unwrap()?;
            if let Ok(data) = frame.unwrap().into_data() {
                self.text.push_str(std::str::from_utf8(&data).unwrap());
            }
        }
    }

    /// The next event that is not about progress.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            let event = self.any().await.expect("the stream ended");
            if event.kind != "progress" {
                return event;
            }
        }
    }
}

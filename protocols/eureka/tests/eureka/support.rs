use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use switchboard_engine_memory::{Memory, Script};
use switchboard_facade::{About, Context, Metrics, MetricsFormat, NamedSets, Section, Stop};
use switchboard_model::*;
use switchboard_registry::plan::{Deregister, Keep, Register};
use switchboard_registry::{Caller, OpenGate, Options, Registry};

/// A Eureka server and a client of it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) script: Arc<Script>,
    pub(crate) registry: Registry,
    metrics: Metrics,
    client: Client<HttpConnector, Full<Bytes>>,
    _stop: Arc<Stopping>,
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
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) async fn world() -> World {
    world_with("").await
}

/// With more settings of the section `[eureka]`, as TOML.
pub(crate) async fn world_with(settings: &str) -> World {
    world_at("127.0.0.1:0", settings).await
}

pub(crate) async fn world_at(listen: &str, settings: &str) -> World {
    let engine = Arc::new(Memory::new());
    let script = engine.script();
    let registry = Registry::open(engine, Options::default(), Arc::new(OpenGate));
    registry.loaded().await.unwrap();
    let section: Section = toml::from_str(&format!("listen = '{listen}'\n{settings}")).unwrap();
    let facade = (switchboard_protocol_eureka::PLUG.open)(&section).await.unwrap();
    let address = facade.listening()[0].address;
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
    tokio::spawn(facade.serve(context));
    let client = Client::builder(TokioExecutor::new()).build_http();
    World { address, script, registry, metrics, client, _stop: Arc::new(Stopping(stop)) }
}

impl World {
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let exchange = async {
            let response = self.client.request(request).await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response.into_body().collect().await.unwrap().to_bytes();
            Answer { status, headers, body }
        };
        tokio::time::timeout(Duration::from_secs(60), exchange).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[("accept", "application/json")], "").await
    }

    pub(crate) async fn put(&self, path: &str) -> StatusCode {
        self.ask(Method::PUT, path, &[], "").await.status
    }

    pub(crate) async fn delete(&self, path: &str) -> StatusCode {
        self.ask(Method::DELETE, path, &[], "").await.status
    }

    pub(crate) async fn post(&self, app: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.ask(Method::POST, &format!("/eureka/apps/{app}"), &headers, body.to_string()).await
    }

    /// Registers as a client would; checks that it was taken.
    pub(crate) async fn register(&self, instance: &Value) {
        let app = instance["app"].as_str().unwrap();
        let answer = self.post(app, &json!({ "instance": instance })).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::NO_CONTENT, ""));
    }

    pub(crate) async fn instance(&self, app: &str, id: &str) -> Value {
        self.get(&format!("/eureka/apps/{app}/{id}")).await.json()["instance"].take()
    }

    pub(crate) async fn status(&self, app: &str, id: &str) -> String {
        self.instance(app, id).await["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn head(&self) -> u64 {
        self.registry.head().0
    }

    /// What it counts under this name.
    #[track_caller]
    pub(crate) fn counted(&self, name: &str) -> u64 {
        let text = self.metrics.render(MetricsFormat::Classic);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
    }

    /// Registers through another protocol.
    pub(crate) async fn register_elsewhere(&self, id: &str, change: impl FnOnce(&mut Instance)) {
        let mut instance = foreign(id);
        change(&mut instance);
        let wish = Register { instance, checks: None, keep: Keep::Forever };
        self.registry.submit(&Caller::internal("test"), wish).await.unwrap();
    }

    pub(crate) async fn deregister_elsewhere(&self, service: &str, id: &str) {
        let view = self.registry.view(&Caller::internal("test")).unwrap();
        let key = view.find_instance("default", id, Some(service), None).unwrap().key().clone();
        self.registry.submit(&Caller::internal("test"), Deregister { key }).await.unwrap();
    }

    pub(crate) fn health(&self, service: &str, id: &str) -> Health {
        let view = self.registry.view(&Caller::internal("test")).unwrap();
        view.find_instance("default", id, Some(service), None).unwrap().health
    }
}

pub(crate) fn foreign(id: &str) -> Instance {
    Instance {
        key: Arc::new(InstanceKey {
            namespace: Name::default_namespace(),
            service: Name::parse("service", "User-Service").unwrap(),
            node: None,
            id: Id::parse("id", id).unwrap(),
        }),
        address: "192.168.1.100".into(),
        ports: [Port { name: "http".into(), number: 8080 }].into(),
        tags: Tags::default(),
        metadata: Metadata::new([("version".into(), "v1.2".into())]).unwrap(),
        weight: 1,
        warning_weight: None,
        zone: None,
        lifecycle: Lifecycle::Up,
        lease: None,
        origin: "native".into(),
        annex: Annex::default(),
    }
}

/// What a Java client sends.
pub(crate) fn java(app: &str, id: &str) -> Value {
    json!({
        "instanceId": id, "hostName": "web-1.example.com", "app": app, "ipAddr": "10.0.0.1", "sid": "na",
        "status": "UP", "overriddenStatus": "UNKNOWN",
        "port": {"$": 8080, "@enabled": "true"}, "securePort": {"$": 443, "@enabled": "false"}, "countryId": 1,
        "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
        "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 90, "registrationTimestamp": 0,
            "lastRenewalTimestamp": 0, "evictionTimestamp": 0, "serviceUpTimestamp": 0},
        "metadata": {"zone": "east-1", "management.port": "8081"},
        "homePageUrl": "http://web-1.example.com:8080/", "statusPageUrl": "http://web-1.example.com:8080/actuator/info",
        "healthCheckUrl": "http://web-1.example.com:8080/actuator/health",
        "vipAddress": app.to_lowercase(), "secureVipAddress": app.to_lowercase(),
        "isCoordinatingDiscoveryServer": "false",
        "lastUpdatedTimestamp": "1700000000000", "lastDirtyTimestamp": "1700000000000",
    })
}

/// The instance with other words for some of its members.
pub(crate) fn but(mut instance: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        instance[name] = value.clone();
    }
    instance
}

/// Waits for something that another server has yet to hear.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, is: impl Fn() -> F) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is().await {
        assert!(Instant::now() < until, "it never came to pass that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

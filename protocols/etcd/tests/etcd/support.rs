use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use switchboard_engine_memory::Memory;
use switchboard_facade::{About, Context, Metrics, NamedSets, Section, Stop};
use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_protocol_etcd::etcdserverpb::kv_client::KvClient;
use switchboard_protocol_etcd::etcdserverpb::lease_client::LeaseClient;
use switchboard_protocol_etcd::etcdserverpb::watch_client::WatchClient;
use switchboard_protocol_etcd::mvccpb::Event;
use switchboard_registry::{Caller, OpenGate, Options, Registry};
use tokio::sync::mpsc;
use tonic::transport::Channel;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) channel: Channel,
    http: Client<HttpConnector, Full<Bytes>>,
    pub(crate) stop: Stop,
    engine: Arc<Memory>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) async fn world() -> World {
    world_with("", Options::default()).await
}

pub(crate) async fn world_with(settings: &str, options: Options) -> World {
    open(settings, options, Arc::new(Memory::new())).await
}

pub(crate) async fn open(settings: &str, options: Options, engine: Arc<Memory>) -> World {
    let registry = Registry::open(engine.clone(), options, Arc::new(OpenGate));
    registry.loaded().await.unwrap();
    let stop = Stop::new();
    let address = serve(settings, &registry, &stop).await;
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let http = Client::builder(TokioExecutor::new()).build_http();
    World { address, registry, channel, http, stop, engine }
}

/// Another port over the same registry.
pub(crate) async fn serve(settings: &str, registry: &Registry, stop: &Stop) -> SocketAddr {
    let section: Section = toml::from_str(&format!("listen = '127.0.0.1:0'\n{settings}")).unwrap();
    let facade = (switchboard_protocol_etcd::PLUG.open)(&section).await.unwrap();
    let address = facade.listening()[0].address;
    let about = About { version: "test", engine: "memory", started: Instant::now() };
    let (metrics, named_sets) = (Metrics::default(), NamedSets::default());
    let context = Context { registry: registry.clone(), metrics, named_sets, stop: stop.clone(), about };
    tokio::spawn(facade.serve(context));
    address
}

pub(crate) fn caller() -> Caller {
    Caller::internal("test")
}

pub(crate) fn show<T>(request: &mut tonic::Request<T>, token: Option<&str>) {
    if let Some(token) = token {
        request.metadata_mut().insert("token", token.parse().unwrap());
    }
}

pub(crate) fn b(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

impl World {
    pub(crate) fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
    }

    pub(crate) fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone())
    }

    /// What comes up over the same records; this one is not to be used any more.
    pub(crate) async fn restarted(&self, settings: &str) -> World {
        open(settings, Options::default(), self.engine.clone()).await
    }

    /// The revision.
    pub(crate) async fn put(&self, key: &str, value: &str) -> i64 {
        self.put_under(key, value, 0).await
    }

    pub(crate) async fn put_under(&self, key: &str, value: &str, lease: i64) -> i64 {
        let request = pb::PutRequest { key: b(key), value: b(value), lease, ..Default::default() };
        self.kv().put(request).await.unwrap().into_inner().header.unwrap().revision
    }

    pub(crate) async fn delete(&self, key: &str) -> i64 {
        let request = pb::DeleteRangeRequest { key: b(key), ..Default::default() };
        self.kv().delete_range(request).await.unwrap().into_inner().deleted
    }

    pub(crate) async fn grant(&self, ttl: i64) -> i64 {
        self.grant_as(None, ttl).await
    }

    pub(crate) async fn grant_as(&self, token: Option<&str>, ttl: i64) -> i64 {
        let mut request = tonic::Request::new(pb::LeaseGrantRequest { ttl, id: 0 });
        show(&mut request, token);
        self.lease().lease_grant(request).await.unwrap().into_inner().id
    }

    pub(crate) async fn revoke(&self, id: i64) {
        self.lease().lease_revoke(pb::LeaseRevokeRequest { id }).await.unwrap();
    }

    /// `key=value@mod_revision` of everything with the prefix.
    pub(crate) async fn all(&self, prefix: &str, revision: i64) -> Result<Vec<String>, tonic::Status> {
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().unwrap() += 1;
        let request =
            pb::RangeRequest { key: b(prefix), range_end: end.into(), revision, ..Default::default() };
        let found = self.kv().range(request).await?.into_inner();
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let line = |kv: &switchboard_protocol_etcd::mvccpb::KeyValue| {
            format!("{}={}@{}", text(&kv.key), text(&kv.value), kv.mod_revision)
        };
        Ok(found.kvs.iter().map(line).collect())
    }

    pub(crate) async fn http(&self, method: Method, path: &str, body: &str) -> (StatusCode, Bytes) {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        self.send(request, body).await
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> (StatusCode, Bytes) {
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.http.request(request)).await.unwrap().unwrap();
        let status = answer.status();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> (StatusCode, Value) {
        let (status, body) = self.http(Method::POST, path, body).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn post_as(&self, token: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::post(format!("http://{}{path}", self.address)).header("authorization", token);
        let (status, body) = self.send(request, body).await;
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn watches(&self) -> Watches {
        self.watches_as(None).await
    }

    pub(crate) async fn watches_as(&self, token: Option<&str>) -> Watches {
        self.open_watches(|asked| show(asked, token)).await
    }

    /// Those of a client that says that it is etcd's own, or does not.
    pub(crate) async fn watches_of(&self, etcds_own: bool) -> Watches {
        self.open_watches(|asked| {
            if etcds_own {
                asked.metadata_mut().insert("client-api-version", "3.6".parse().unwrap());
            }
        })
        .await
    }

    async fn open_watches(&self, show: impl FnOnce(&mut tonic::Request<Asked>)) -> Watches {
        let (ask, asked) = mpsc::channel(16);
        let mut asked = tonic::Request::new(tokio_stream::wrappers::ReceiverStream::new(asked));
        show(&mut asked);
        let mut client = WatchClient::new(self.channel.clone()).max_decoding_message_size(1 << 30);
        Watches { ask, answers: client.watch(asked).await.unwrap().into_inner() }
    }
}

type Asked = tokio_stream::wrappers::ReceiverStream<pb::WatchRequest>;

/// One stream of watches.
pub(crate) struct Watches {
    ask: mpsc::Sender<pb::WatchRequest>,
    answers: tonic::Streaming<pb::WatchResponse>,
}

impl Watches {
    pub(crate) async fn ask(&self, request: pb::watch_request::RequestUnion) {
        self.ask.send(pb::WatchRequest { request_union: Some(request) }).await.unwrap();
    }

    pub(crate) async fn create(&mut self, request: pb::WatchCreateRequest) -> pb::WatchResponse {
        self.ask(pb::watch_request::RequestUnion::CreateRequest(request)).await;
        self.next().await
    }

    pub(crate) async fn next(&mut self) -> pb::WatchResponse {
        let next = tokio::time::timeout(PATIENCE, self.answers.message());
        next.await.expect("no answer came").unwrap().expect("the stream ended")
    }

    /// The next events, as they come together.
    pub(crate) async fn told(&mut self) -> Vec<String> {
        self.next().await.events.iter().map(told).collect()
    }
}

pub(crate) fn told(event: &Event) -> String {
    let kv = event.kv.as_ref().unwrap();
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let prev = event.prev_kv.as_ref().map(|kv| format!("<{}", text(&kv.value))).unwrap_or_default();
    format!(
        "{} {}={}@{}{prev}",
        event.r#type().as_str_name(),
        text(&kv.key),
        text(&kv.value),
        kv.mod_revision
    )
}

pub(crate) fn watch(key: &str, end: &str, start_revision: i64) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { key: b(key), range_end: b(end), start_revision, ..Default::default() }
}

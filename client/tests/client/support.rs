use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use switchboard_engine_memory::Memory;
use switchboard_facade::{About, Context, Metrics, NamedSets, Plug, Section, Stop};
use switchboard_registry::{OpenGate, Options, Registry};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Our registry in this process, with the native API, Consul's, etcd's, DNS and Eureka's.
pub(crate) struct Server {
    pub(crate) native: SocketAddr,
    pub(crate) consul: SocketAddr,
    pub(crate) dns: SocketAddr,
    pub(crate) eureka: SocketAddr,
    pub(crate) etcd: SocketAddr,
    stop: Stop,
}

impl Server {
    pub(crate) async fn start() -> Server {
        let registry = Registry::open(Arc::new(Memory::new()), Options::default(), Arc::new(OpenGate));
        registry.loaded().await.unwrap();
        let stop = Stop::new();
        let native = serve(&switchboard_protocol_native::PLUG, "", &registry, &stop).await;
        let consul = serve(&switchboard_protocol_consul::PLUG, "node_name = 'here'", &registry, &stop).await;
        let dns = serve(&switchboard_protocol_dns::PLUG, "", &registry, &stop).await;
        let eureka = serve(&switchboard_protocol_eureka::PLUG, "", &registry, &stop).await;
        let etcd = serve(&switchboard_protocol_etcd::PLUG, "", &registry, &stop).await;
        Server { native, consul, dns, eureka, etcd, stop }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(plug: &Plug, settings: &str, registry: &Registry, stop: &Stop) -> SocketAddr {
    let section: Section = toml::from_str(&format!("listen = '127.0.0.1:0'\n{settings}")).unwrap();
    let facade = (plug.open)(&section).await.unwrap();
    let address = facade.listening()[0].address;
    let about = About { version: "test", engine: "memory", started: Instant::now() };
    let (metrics, named_sets) = (Metrics::default(), NamedSets::default());
    let context = Context { registry: registry.clone(), metrics, named_sets, stop: stop.clone(), about };
    tokio::spawn(facade.serve(context));
    address
}

/// A cable between a client and a server that can be cut.
pub(crate) struct Cable {
    pub(crate) address: SocketAddr,
    state: watch::Sender<State>,
    open: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    To(SocketAddr),
    Cut,
    /// Takes connections and says nothing.
    Hanging,
}

impl Cable {
    pub(crate) async fn to(server: SocketAddr) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(State::To(server));
        let (open, opened) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let cable = Cable { address, state, open: open.clone(), opened: opened.clone() };
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut seen, open) = (seen.clone(), open.clone());
                let state = *seen.borrow_and_update();
                opened.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    open.fetch_add(1, Ordering::SeqCst);
                    let work = async {
                        match state {
                            State::To(server) => {
                                if let Ok(mut far) = TcpStream::connect(server).await {
                                    let _ = copy_bidirectional(&mut near, &mut far).await;
                                }
                            }
                            State::Cut => {}
                            State::Hanging => {
                                // Until the client goes.
                                let mut sink = tokio::io::sink();
                                let _ = tokio::io::copy(&mut near, &mut sink).await;
                            }
                        }
                    };
                    tokio::select! {
                        () = work => {}
                        _ = seen.wait_for(|now| *now != state) => {}
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        cable
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    pub(crate) fn hang(&self) {
        self.state.send_replace(State::Hanging);
    }

    pub(crate) fn mend(&self, server: SocketAddr) {
        self.state.send_replace(State::To(server));
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }
}

/// A client of a registry's HTTP API for the test's own use.
#[derive(Clone)]
pub(crate) struct Api {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Api {
    pub(crate) fn at(address: SocketAddr) -> Api {
        Api { address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, String) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let response = self.client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[track_caller]
    pub(crate) fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> impl Future<Output = String> {
        let (api, path) = (self.clone(), path.to_owned());
        async move {
            let (status, text) = api.try_call(method.clone(), &path, body).await;
            assert!(status.is_success(), "{method} {path}: {status} {text}");
            text
        }
    }

    pub(crate) async fn put(&self, path: &str, body: Option<Value>) -> String {
        self.call(Method::PUT, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.call(Method::GET, path, None).await).unwrap()
    }
}

/// Waits until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(),
        "it never came to be that {what}"
    );
}

/// A port that nobody listens on.
pub(crate) async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

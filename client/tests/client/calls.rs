//! Calls by name, while instances come, go, fail and hang.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use switchboard::{
    Algorithm, Fixed, HashKey, HttpAnswer, HttpClient, HttpOptions, Instance, Native, Policy, PoolOptions,
    Query, Why, hash_of,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::sources::native_body;
use crate::support::{Api, Server, until};

/// An instance of a service: says its name, or does as it is told.
pub(crate) struct Backend {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<AtomicUsize>,
    pub(crate) connections: Arc<AtomicUsize>,
    /// What it answers; 0: nothing at all.
    pub(crate) status: Arc<AtomicU16>,
    kill: CancellationToken,
}

impl Backend {
    pub(crate) async fn start(name: &str) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (status, kill) = (Arc::new(AtomicU16::new(200)), CancellationToken::new());
        let backend = Backend {
            name: name.to_owned(),
            address,
            requests: requests.clone(),
            connections: connections.clone(),
            status: status.clone(),
            kill: kill.clone(),
        };
        let name = name.to_owned();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = kill.cancelled() => break,
                };
                let Ok((stream, _)) = accepted else { break };
                let (requests, connections) = (requests.clone(), connections.clone());
                let (status, kill, name) = (status.clone(), kill.clone(), name.clone());
                tokio::spawn(async move {
                    connections.fetch_add(1, Ordering::SeqCst);
                    let service = service_fn(|request: Request<Incoming>| {
                        requests.fetch_add(1, Ordering::SeqCst);
                        let (status, name) = (status.load(Ordering::SeqCst), name.clone());
                        async move {
                            let host =
                                request.headers().get("host").map(|it| it.to_str().unwrap().to_owned());
                            let text = format!("{name} {} {host:?}", request.uri());
                            if status == 0 {
                                std::future::pending::<()>().await;
                            }
                            let mut response = Response::new(Full::new(Bytes::from(text)));
                            *response.status_mut() = StatusCode::from_u16(status).unwrap();
                            Ok::<_, std::convert::Infallible>(response)
                        }
                    });
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    tokio::select! {
                        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
                        () = kill.cancelled() => {}
                    }
                    connections.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        backend
    }

    /// As kill -9 would: connections end at once, and new ones are refused.
    pub(crate) fn kill(&self) {
        self.kill.cancel();
    }

    pub(crate) fn instance(&self) -> Instance {
        Instance::new("users", &self.name, &self.address.ip().to_string(), self.address.port()).unwrap()
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

async fn backends(count: usize) -> (Vec<Backend>, Arc<Fixed>) {
    let mut backends = Vec::new();
    for i in 0..count {
        backends.push(Backend::start(&format!("b{i}")).await);
    }
    let source = Arc::new(Fixed::new(backends.iter().map(Backend::instance)));
    (backends, source)
}

fn round_robin() -> HttpOptions {
    let policy = Policy { algorithm: Algorithm::RoundRobin, slow_start: None, ..Policy::default() };
    HttpOptions { pool: PoolOptions { policy, ..HttpOptions::default().pool }, ..HttpOptions::default() }
}

async fn text(answer: HttpAnswer) -> String {
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_service_is_called_by_its_name() {
    let (_backends, source) = backends(3).await;
    let http = HttpClient::with(source, round_robin());
    let mut counts = BTreeMap::new();
    for _ in 0..30 {
        let answer = text(http.get("http://Users/path/x?y=1").await.unwrap()).await;
        let (name, rest) = answer.split_once(' ').unwrap();
        assert_eq!(rest, "/path/x?y=1 Some(\"Users\")", "{answer}");
        *counts.entry(name.to_owned()).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<i32>>(), [10, 10, 10]);
    let status = http.status();
    assert_eq!((status[0].calls, status[0].retries, status[0].in_flight), (30, 0, 0));
}

#[tokio::test]
async fn what_cannot_be_called_is_said() {
    let http = HttpClient::new(Fixed::new([]));
    for (url, why) in [
        ("https://users/", "http://"),
        ("http://users:80/", "without a port"),
        ("/users", "no host"),
        ("http://users/", "no instances"),
    ] {
        let error = http.get(url).await.unwrap_err().to_string();
        assert!(error.contains(why), "{url}: {error}");
    }
}

/// One of ten dies while calls are on their way: nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_killed_costs_no_idempotent_call() {
    let (backends, source) = backends(10).await;
    let http = HttpClient::new(source);
    let calls = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let (http, calls) = (http.clone(), calls.clone());
            tokio::spawn(async move {
                for _ in 0..100 {
                    let answer = http.get("http://users/").await;
                    calls.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(answer.unwrap_or_else(|error| panic!("{error}")).status(), 200);
                }
            })
        })
        .collect();
    until("calls are on their way", || async { calls.load(Ordering::SeqCst) > 400 }).await;
    backends[3].kill();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(http.status()[0].in_flight, 0);
}

/// Nothing was sent: also what must not be done twice is tried elsewhere.
#[tokio::test]
async fn a_refused_connection_is_tried_elsewhere_also_for_post() {
    let (backends, source) = backends(2).await;
    backends[0].kill();
    until("it is gone", || async { tokio::net::TcpStream::connect(backends[0].address).await.is_err() })
        .await;
    let http = HttpClient::with(source, round_robin());
    for _ in 0..10 {
        let request = Request::post("http://users/").body(Bytes::from_static(b"x")).unwrap();
        assert_eq!(http.request(request).await.unwrap().status(), 200);
    }
    assert_eq!(backends[1].requests(), 10);
}

#[tokio::test]
async fn a_503_is_tried_elsewhere_for_get_and_given_to_the_caller_for_post() {
    let (backends, source) = backends(2).await;
    backends[0].status.store(503, Ordering::SeqCst);
    let http = HttpClient::with(source.clone(), round_robin());
    for _ in 0..6 {
        assert_eq!(http.get("http://users/").await.unwrap().status(), 200);
    }
    let http = HttpClient::with(source, round_robin());
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let request = Request::post("http://users/").body(Bytes::new()).unwrap();
        statuses.push(http.request(request).await.unwrap().status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503, 503]);
}

#[tokio::test]
async fn if_all_say_503_the_caller_is_given_that() {
    let (backends, source) = backends(2).await;
    backends.iter().for_each(|backend| backend.status.store(503, Ordering::SeqCst));
    let http = HttpClient::new(source);
    assert_eq!(http.get("http://users/").await.unwrap().status(), 503);
    assert_eq!(backends.iter().map(Backend::requests).sum::<usize>(), 2, "each was asked once");
}

/// go-kit gives nothing but the deadline, and may try the same instance again (K23).
#[tokio::test]
async fn k23_the_error_of_a_timeout_tells_every_try_with_its_instance() {
    let (backends, source) = backends(3).await;
    backends.iter().for_each(|backend| backend.status.store(0, Ordering::SeqCst));
    let mut options = round_robin();
    options.try_timeout = Duration::from_millis(80);
    options.pool.timeout = Some(Duration::from_secs(30));
    let http = HttpClient::with(source.clone(), options.clone());
    let error = http.get("http://users/").await.unwrap_err();
    assert_eq!((&error.why, error.attempts.len()), (&Why::Attempts, 3), "{error}");
    let mut ids: Vec<String> = error.attempts.iter().map(|it| it.instance.id.to_string()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["b0", "b1", "b2"]);
    options.try_timeout = Duration::from_secs(60);
    options.pool.timeout = Some(Duration::from_millis(80));
    let error = HttpClient::with(source, options).get("http://users/").await.unwrap_err();
    assert_eq!((&error.why, error.attempts.len()), (&Why::Timeout, 1), "{error}");
    assert!(error.to_string().contains("gave no answer"), "{error}");
}

#[tokio::test]
async fn the_same_key_goes_to_the_same_instance() {
    let (_backends, source) = backends(5).await;
    let policy = Policy { algorithm: Algorithm::ConsistentHash { load_bound: 1.25 }, ..Policy::default() };
    let pool = PoolOptions { policy, ..PoolOptions::default() };
    let http = HttpClient::with(source, HttpOptions { pool, ..HttpOptions::default() });
    let mut homes: BTreeMap<u8, String> = BTreeMap::new();
    for round in 0..60 {
        let key = round % 6;
        let mut request = Request::get("http://users/").body(Bytes::new()).unwrap();
        request.extensions_mut().insert(HashKey(hash_of(&[key])));
        let home = text(http.request(request).await.unwrap()).await;
        assert_eq!(*homes.entry(key).or_insert_with(|| home.clone()), home);
    }
    assert!(homes.values().collect::<std::collections::BTreeSet<_>>().len() > 1, "{homes:?}");
}

/// From registering to the first call, from deregistering to the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_follow_the_registry() {
    let server = Server::start().await;
    let api = Api::at(server.native);
    let (first, second) = (Backend::start("first").await, Backend::start("second").await);
    api.call(Method::POST, "/v1/register", Some(native_body(&first.instance()))).await;
    let http = HttpClient::new(Native::at(&format!("http://{}", server.native)).unwrap().source());
    assert!(text(http.get("http://users/").await.unwrap()).await.starts_with("first"));
    api.call(Method::POST, "/v1/register", Some(native_body(&second.instance()))).await;
    api.call(Method::DELETE, "/v1/instances/first", None).await;
    until("calls go to the second", || async {
        text(http.get("http://users/").await.unwrap()).await.starts_with("second")
    })
    .await;
}

/// With the registry gone a running client keeps calling, and says in its errors what it goes by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_without_the_registry() {
    let server = Server::start().await;
    let cable = crate::support::Cable::to(server.native).await;
    let backend = Backend::start("only").await;
    Api::at(server.native).call(Method::POST, "/v1/register", Some(native_body(&backend.instance()))).await;
    let http = HttpClient::new(Native::at(&cable.url()).unwrap().source());
    assert_eq!(http.get("http://users/").await.unwrap().status(), 200);
    cable.cut();
    drop(server);
    until("the client knows", || async { !http.status()[0].freshness.is_fresh() }).await;
    for _ in 0..50 {
        assert_eq!(http.get("http://users/").await.unwrap().status(), 200);
    }
    backend.kill();
    until("it is gone", || async { tokio::net::TcpStream::connect(backend.address).await.is_err() }).await;
    let error = http.get("http://users/").await.unwrap_err().to_string();
    assert!(error.contains("the last known"), "{error}");
}

/// What an earlier process kept is wrong meanwhile, and the registry is just a little late: the first call waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_instances_that_are_long_gone_waits_for_the_registry_to_say_who_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start().await;
    let cable = crate::support::Cable::to(server.native).await;
    let api = Api::at(server.native);
    let (old, new) = (Backend::start("old").await, Backend::start("new").await);
    let register =
        |backend: &Backend| api.call(Method::POST, "/v1/register", Some(native_body(&backend.instance())));
    let client = || {
        let last_known_good = Some(switchboard::LastKnownGood::in_folder(folder.path()));
        let options = switchboard::SharedOptions { last_known_good, ..Default::default() };
        HttpClient::new(Native::at(&cable.url()).unwrap().source_with(options))
    };
    register(&old).await;
    assert_eq!(text(client().get("http://users/").await.unwrap()).await.split(' ').next(), Some("old"));
    until("it is kept", || async {
        let mut files = folder.path().read_dir().unwrap();
        files.any(|file| file.unwrap().path().extension().is_some_and(|it| it == "json"))
    })
    .await;
    api.call(Method::DELETE, "/v1/instances/old", None).await;
    register(&new).await;
    old.kill();
    until("it is gone", || async { tokio::net::TcpStream::connect(old.address).await.is_err() }).await;
    cable.cut();
    let http = client();
    let call = tokio::spawn({
        let http = http.clone();
        async move { text(http.get("http://users/").await.unwrap()).await }
    });
    until("the old one was tried", || async {
        http.status().first().is_some_and(|pool| pool.instances.iter().any(|it| it.latency.is_some()))
    })
    .await;
    cable.mend(server.native);
    assert!(call.await.unwrap().starts_with("new"), "it was somebody else");
}

/// go-kit's endpointer never closes what it opened (K18).
#[tokio::test]
async fn k18_a_dropped_client_has_no_connections() {
    let (backends, source) = backends(3).await;
    let http = HttpClient::with(source, round_robin());
    for _ in 0..9 {
        text(http.get("http://users/").await.unwrap()).await;
    }
    assert!(backends.iter().all(|backend| backend.connections.load(Ordering::SeqCst) > 0));
    drop(http);
    until("no connection is open", || async {
        backends.iter().all(|backend| backend.connections.load(Ordering::SeqCst) == 0)
    })
    .await;
}

#[tokio::test]
async fn a_source_that_says_nothing_is_waited_for_and_then_named() {
    let mut options = HttpOptions::default();
    options.pool.patience = Duration::from_millis(300);
    let http = HttpClient::with(Native::at("http://127.0.0.1:1").unwrap().source(), options);
    let error = http.get("http://users/").await.unwrap_err();
    assert_eq!(error.why, Why::NothingKnown);
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

mod tower {
    use std::task::{Context, Poll};

    use switchboard::tower::{Balanced, Idempotent, Plain};
    use tower_service::Service;

    use super::*;

    #[derive(Clone)]
    struct Saying(String);

    impl Service<String> for Saying {
        type Response = String;
        type Error = std::io::Error;
        type Future = std::future::Ready<Result<String, std::io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
            match &*self.0 {
                "down" => Poll::Ready(Err(std::io::Error::other("not ready"))),
                _ => Poll::Ready(Ok(())),
            }
        }

        fn call(&mut self, request: String) -> Self::Future {
            std::future::ready(match &*self.0 {
                "broken" => Err(std::io::Error::other("broke")),
                host => Ok(format!("{host} {request}")),
            })
        }
    }

    fn source(hosts: &[&str]) -> Fixed {
        Fixed::new(hosts.iter().map(|host| Instance::new("users", host, host, 80).unwrap()))
    }

    #[tokio::test]
    async fn what_was_not_sent_is_tried_elsewhere_and_what_was_sent_only_if_it_may_be() {
        let users = Query::service("users").unwrap();
        let options = || round_robin().pool;
        let make = |instance: &Instance| Saying(instance.host.to_string());
        let down = source(&["down", "up"]);
        let mut plain = Balanced::new(&down, &users, options(), Plain, make).unwrap();
        for _ in 0..10 {
            assert_eq!(plain.call("hello".to_owned()).await.unwrap(), "up hello");
        }
        let broken = source(&["broken", "up"]);
        let mut plain = Balanced::new(&broken, &users, options(), Plain, make).unwrap();
        let failed = [plain.call("x".into()).await, plain.call("x".into()).await];
        let errors: Vec<_> = failed.into_iter().filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].why, Why::NotIdempotent);
        let mut idempotent = Balanced::new(&broken, &users, options(), Idempotent, make).unwrap();
        for _ in 0..10 {
            assert_eq!(idempotent.call("hello".to_owned()).await.unwrap(), "up hello");
        }
    }
}

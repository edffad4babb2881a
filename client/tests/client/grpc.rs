//! tonic's clients over our channel.

use std::net::SocketAddr;
use std::sync::Arc;

use switchboard::{Fixed, GrpcChannel, Instance, Query};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;

use crate::support::until;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    reporter: HealthReporter,
    kill: CancellationToken,
}

impl Server {
    /// Serves gRPC until it is killed: then connections end at once, and new ones are refused.
    pub(crate) async fn start(at: &str) -> Server {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (reporter, service) = tonic_health::server::health_reporter();
        let routes = tonic::service::Routes::new(service).prepare();
        let kill = CancellationToken::new();
        let killed = kill.clone();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = killed.cancelled() => break,
                };
                let Ok((stream, _)) = accepted else { break };
                let (killed, routes) = (killed.clone(), routes.clone());
                tokio::spawn(async move {
                    let service = hyper_util::service::TowerToHyperService::new(routes);
                    let executor = hyper_util::rt::TokioExecutor::new();
                    let io = hyper_util::rt::TokioIo::new(stream);
                    tokio::select! {
                        _ = hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service) => {}
                        () = killed.cancelled() => {}
                    }
                });
            }
        });
        Server { address, reporter, kill }
    }

    fn instance(&self, id: &str) -> Instance {
        Instance::new("health", id, &self.address.ip().to_string(), self.address.port()).unwrap()
    }

    pub(crate) async fn kill(&self) {
        self.kill.cancel();
        until("it is gone", || async { tokio::net::TcpStream::connect(self.address).await.is_err() }).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

fn query() -> Query {
    Query::service("health").unwrap()
}

fn ask() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

/// tonic #2839, #643: the reconnecting service says that it is ready although it cannot connect, and calls keep going to
/// the dead endpoint. Here each of them finds the living one, also those that must not be sent twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_2839_calls_move_on_from_an_endpoint_that_cannot_be_reached_and_return_to_it() {
    let (dead, living) = (Server::start("127.0.0.1:0").await, Server::start("127.0.0.1:0").await);
    let source = Fixed::new([dead.instance("dead"), living.instance("living")]);
    let channel = GrpcChannel::new(&source, &query()).unwrap();
    let mut client = HealthClient::new(channel.clone());
    for _ in 0..20 {
        client.check(ask()).await.unwrap();
    }
    dead.kill().await;
    let mut broken = 0;
    for call in 0..100 {
        if let Err(status) = client.check(ask()).await {
            // One was sent by the connection that was open, while that broke: nobody knows what became of it.
            broken += 1;
            assert!(
                broken == 1 && status.message().contains("may have had an effect"),
                "call {call}: {status}"
            );
        }
    }
    // And when all are dead, the error says whom it tried.
    living.kill().await;
    let status = client.check(ask()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    assert!(status.message().contains("living at 127.0.0.1"), "{status:?}");
    // One that never comes back in tonic (influxdb_iox #6508) comes back here.
    let address = dead.address.to_string();
    let _again = Server::start(&address).await;
    until("it is called again", || {
        let mut client = client.clone();
        async move { client.check(ask()).await.is_ok() }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_follow_the_set() {
    let (first, second) = (Server::start("127.0.0.1:0").await, Server::start("127.0.0.1:0").await);
    let source = Fixed::new([first.instance("first")]);
    let mut client = HealthClient::new(GrpcChannel::new(&source, &query()).unwrap());
    client.check(ask()).await.unwrap();
    source.set([second.instance("second")]);
    first.kill().await;
    client.check(ask()).await.unwrap();
}

/// A stream counts as a call on its way until it ends, and does not end because the set changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_lasts_and_counts() {
    let server = Server::start("127.0.0.1:0").await;
    let source = Arc::new(Fixed::new([server.instance("a")]));
    let channel = GrpcChannel::new(&source, &query()).unwrap();
    let mut client = HealthClient::new(channel.clone());
    let mut stream = client.watch(ask()).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.status, 1, "it is not serving");
    assert_eq!(channel.status().in_flight, 1);
    source.set([Instance { weight: 5, ..server.instance("a") }]);
    server.reporter.set_service_status("", ServingStatus::NotServing).await;
    let second = stream.message().await.unwrap().unwrap();
    assert_ne!(first.status, second.status);
    drop(stream);
    until("the call is over", || async { channel.status().in_flight == 0 }).await;
}

/// The status of a failed call is in the trailers: whoever looks only at headers takes it for a success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_in_the_trailers_is_no_failure_unless_it_says_so() {
    let server = Server::start("127.0.0.1:0").await;
    let source = Fixed::new([server.instance("a")]);
    let channel = GrpcChannel::new(&source, &query()).unwrap();
    let mut client = HealthClient::new(channel.clone());
    for _ in 0..30 {
        let unknown = HealthCheckRequest { service: "nobody".into() };
        assert_eq!(client.check(unknown).await.unwrap_err().code(), tonic::Code::NotFound);
    }
    let report = &channel.status().instances[0];
    assert!(
        report.latency.unwrap() < std::time::Duration::from_secs(4),
        "not found was counted as a failure"
    );
}

/// A deadline is kept although nobody answers, and a service that nobody offers is unavailable: what gRPC's clients look at
/// to decide about another try.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_reach_nobody_have_the_status_that_grpc_gives_them() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = hanging.local_addr().unwrap();
    let instance = Instance::new("health", "a", "127.0.0.1", address.port()).unwrap();
    let mut client = HealthClient::new(GrpcChannel::new(&Fixed::new([instance]), &query()).unwrap());
    let mut late = tonic::Request::new(ask());
    late.set_timeout(std::time::Duration::from_millis(200));
    assert_eq!(client.check(late).await.unwrap_err().code(), tonic::Code::DeadlineExceeded);

    let channel = GrpcChannel::new(&Fixed::new([]), &query()).unwrap();
    let status = HealthClient::new(channel).watch(ask()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(status.message(), "health: the service has no instances");
}

/// What is no gRPC, such as the 503 of a proxy, is a failure of whoever answered it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_no_grpc_is_a_failure() {
    let backend = crate::calls::Backend::start("b").await;
    backend.status.store(503, std::sync::atomic::Ordering::SeqCst);
    let instance = Instance::new("health", "a", "127.0.0.1", backend.address.port()).unwrap();
    let channel = GrpcChannel::new(&Fixed::new([instance]), &query()).unwrap();
    let status = HealthClient::new(channel.clone()).check(ask()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    let latency = channel.status().instances[0].latency.unwrap();
    assert!(latency > std::time::Duration::from_secs(4), "it was not counted as a failure: {latency:?}");
}

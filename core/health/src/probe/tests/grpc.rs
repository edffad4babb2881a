use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

use super::tls::Authority;
use super::*;

/// A server whose health service knows `up` and `down`.
async fn server(tls: Option<TlsAcceptor>) -> u16 {
    let (reporter, service) = health_reporter();
    reporter.set_service_status("up", ServingStatus::Serving).await;
    reporter.set_service_status("down", ServingStatus::NotServing).await;
    let routes = Routes::new(service).prepare();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let _reporter = reporter;
        while let Ok((stream, _)) = listener.accept().await {
            let (routes, tls) = (routes.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, routes).await,
                    Some(tls) => serve(tls.accept(stream).await.unwrap(), routes).await,
                }
            });
        }
    });
    port
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, routes: Routes) {
    let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
    let _ = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)).await;
}

fn grpc(service: &str, tls: Option<&str>) -> Probe {
    Probe::Grpc { target: Target::default(), service: service.into(), tls: tls.map(Into::into) }
}

#[track_caller]
fn is(outcome: &Outcome, answer: Answer, output: &str) {
    assert_eq!(outcome.answer, answer, "{outcome:?}");
    assert!(outcome.output.contains(output), "{outcome:?}");
}

#[tokio::test]
async fn the_health_service_is_asked() {
    let port = server(None).await;
    let lab = Lab::new(Config::default());
    is(
        &lab.ask("127.0.0.1", port, grpc("", None)).await,
        Answer::Pass,
        &format!("gRPC check 127.0.0.1:{port}: success"),
    );
    is(&lab.ask("127.0.0.1", port, grpc("up", None)).await, Answer::Pass, "/up: success");
    is(
        &lab.ask("127.0.0.1", port, grpc("down", None)).await,
        Answer::Fail,
        "/down serving status: NOT_SERVING",
    );
    let unknown = lab.ask("127.0.0.1", port, grpc("unknown", None)).await;
    is(&unknown, Answer::Fail, "the server does not know the service \"unknown\"");
}

#[tokio::test]
async fn over_tls() {
    let authority = Authority::new();
    let port = server(Some(authority.acceptor("h2"))).await;
    let lab = Lab::new(Config { ca_file: Some(authority.file.clone()), ..Config::default() });
    is(&lab.ask("127.0.0.1", port, grpc("up", Some("web.example"))).await, Answer::Pass, "/up: success");
    is(&lab.ask("127.0.0.1", port, grpc("up", Some(""))).await, Answer::Fail, "not valid for 127.0.0.1");
}

#[tokio::test]
async fn a_server_that_hangs_or_speaks_something_else_fails_in_time() {
    let lab = Lab::new(Config::default());
    let (http1, _) = canned("HTTP/1.1 400 Bad Request\r\n\r\n", Duration::ZERO).await;
    assert_eq!(lab.ask("127.0.0.1", http1.port(), grpc("", None)).await.answer, Answer::Fail);
    let (silent, _) = canned("", FOREVER).await;
    let started = Instant::now();
    is(&lab.ask("127.0.0.1", silent.port(), grpc("", None)).await, Answer::Fail, "no answer within 2s");
    assert!(started.elapsed() < FOREVER);
}

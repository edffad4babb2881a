use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpListener;

use crate::support::*;

fn client<B>() -> Client<HttpConnector, B>
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

/// Answers each message as it comes, and says how it went in trailers, as gRPC does.
async fn grpc_echo(status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request: Request<Incoming>| async move {
                assert_eq!(request.version(), http::Version::HTTP_2);
                assert_eq!(request.headers()["te"], "trailers");
                let mut body = Some(request.into_body());
                let echo = futures_util::stream::poll_fn(move |cx| {
                    let Some(reading) = &mut body else { return std::task::Poll::Ready(None) };
                    let frame =
                        std::task::ready!(hyper::body::Body::poll_frame(std::pin::Pin::new(reading), cx));
                    std::task::Poll::Ready(Some(match frame {
                        Some(frame) => frame,
                        None => {
                            body = None;
                            let trailers = [("grpc-status".parse().unwrap(), status.parse().unwrap())];
                            Ok(Frame::trailers(trailers.into_iter().collect()))
                        }
                    }))
                });
                let mut response = Response::new(StreamBody::new(echo));
                response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
                Ok::<_, Infallible>(response)
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

fn grpc(world: &World, path: &str) -> http::request::Builder {
    world.request("POST", path).header("content-type", "application/grpc").header("te", "trailers")
}

#[tokio::test]
async fn a_stream_goes_both_ways_and_ends_with_trailers() {
    let world = world().await;
    world.register("echo", "a", grpc_echo("0").await).await;
    let (send, mut receive) = tokio::sync::mpsc::channel::<&'static str>(1);
    let stream = futures_util::stream::poll_fn(move |cx| {
        receive.poll_recv(cx).map(|said| said.map(|said| Ok::<_, Infallible>(Frame::data(Bytes::from(said)))))
    });
    let request = grpc(&world, "/echo/pkg.Echo/Talk").body(StreamBody::new(stream)).unwrap();
    let response = within(client().request(request));
    send.send("one").await.unwrap();
    let mut response = response.await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    let mut next = async || within(response.body_mut().frame()).await.unwrap().unwrap();
    assert_eq!(next().await.into_data().unwrap(), "one");
    send.send("two").await.unwrap();
    assert_eq!(next().await.into_data().unwrap(), "two");
    drop(send);
    assert_eq!(next().await.into_trailers().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_failure_in_trailers_counts_against_the_instance() {
    let world = world().await;
    world.register("echo", "a", grpc_echo("14").await).await;
    let request = grpc(&world, "/echo/x").body(Full::new(Bytes::from("x"))).unwrap();
    let body = client().request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "14");
    assert_eq!(instance(&world.status().await, "echo", "a").unwrap()["failures"], 1);
}

#[tokio::test]
async fn what_the_gateway_refuses_is_said_as_grpc_says_it() {
    let world = world_with("timeouts.connect = '1s'").await;
    let say = async |path: &str, timeout: Option<&str>| {
        let request = grpc(&world, path).header("grpc-timeout", timeout.unwrap_or("10S"));
        let response =
            within(client().request(request.body(Full::<Bytes>::default()).unwrap())).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.headers()["grpc-status"].to_str().unwrap().to_owned()
    };
    assert_eq!(say("/nobody/x", None).await, "12");
    world.register("gone", "a", nowhere().await).await;
    assert_eq!(say("/gone/x", None).await, "14");
    let silent = raw_backend(|mut raw| async move {
        raw.until("PRI").await;
        std::future::pending().await
    })
    .await;
    world.register("silent", "a", silent).await;
    assert_eq!(say("/silent/x", Some("50m")).await, "4");
}

#[tokio::test]
async fn either_version_reaches_either_version() {
    let world = world().await;
    let users = named("users").await;
    world.register("one", "a", users.address).await;
    world.register_with("two", "a", users.address, "h2c", &[]).await;
    world.register_with("three", "a", users.address, "", &[("gateway.protocol", "h2c")]).await;
    for (path, version) in [("/one/x", "HTTP/1.1"), ("/two/x", "HTTP/2.0"), ("/three/x", "HTTP/2.0")] {
        assert_eq!(world.get(path).await.json()["version"], version);
        let request = world.request("PUT", path).body(Full::new(Bytes::from("body"))).unwrap();
        let response = client().request(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let said: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&said["version"], &said["body"]), (&version.into(), &"body".into()));
    }
}

/// More requests at once than one connection is given: further connections are made, up to the bound.
#[tokio::test]
async fn many_streams_are_spread_over_some_connections() {
    let world = world().await;
    let users = backend(|_| async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        Response::new(Full::new(Bytes::from("ok")))
    })
    .await;
    world.register_with("users", "a", users.address, "h2c", &[]).await;
    let client = client();
    let asked: Vec<_> = (0..250)
        .map(|_| {
            let request = world.request("GET", "/users/").body(Full::<Bytes>::default()).unwrap();
            tokio::spawn(client.request(request))
        })
        .collect();
    for answer in asked {
        assert_eq!(within(answer).await.unwrap().unwrap().status(), StatusCode::OK);
    }
    let connections = instance(&world.status().await, "users", "a").unwrap()["connections"].as_u64().unwrap();
    assert!((1..=4).contains(&connections), "{connections}");
}

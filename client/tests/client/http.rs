//! Requests that are put together, and answers that are read.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use switchboard::{Fixed, HttpClient, HttpError, HttpOptions, Instance, Why};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::calls::Backend;

/// Says what it was sent; `/slow` begins an answer and does not go on, `/breaks` breaks it off, `/long` has no end.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            });
        }
    });
    address
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<impl http_body::Body<Data = Bytes, Error = std::io::Error>>, Infallible> {
    let (parts, body) = request.into_parts();
    let text =
        |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let said = json!({
        "method": parts.method.as_str(), "path": parts.uri.path(), "query": parts.uri.query(),
        "type": text(&parts.headers, "content-type"), "x": text(&parts.headers, "x-a"),
        "authorization": text(&parts.headers, "authorization"),
        "body": String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap(),
    });
    let (parts_of_answer, stream) = mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(1);
    let path = parts.uri.path().to_owned();
    tokio::spawn(async move {
        let send = async |bytes: Bytes| parts_of_answer.send(Ok(Frame::data(bytes))).await.is_ok();
        match &*path {
            "/slow" => {
                send(Bytes::from_static(b"begun")).await;
                parts_of_answer.closed().await;
            }
            "/breaks" => {
                send(Bytes::from_static(b"begun")).await;
                let _ = parts_of_answer.send(Err(std::io::Error::other("broken"))).await;
            }
            "/long" => while send(Bytes::from_static(&[b'x'; 10_000])).await {},
            _ => drop(send(Bytes::from(said.to_string())).await),
        }
    });
    let status = if parts.uri.path() == "/missing" { 404 } else { 200 };
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    Ok(Response::builder().status(status).body(StreamBody::new(stream)).unwrap())
}

async fn client() -> HttpClient {
    let address = echo().await;
    let instance = Instance::new("echo", "one", "127.0.0.1", address.port()).unwrap();
    let options = HttpOptions {
        read_timeout: Duration::from_millis(300),
        max_answer_bytes: 100_000,
        ..HttpOptions::default()
    };
    HttpClient::with(Fixed::new([instance]), options)
}

#[tokio::test]
async fn what_is_put_into_a_request_arrives() {
    let http = client().await;
    let post = http
        .post("http://echo/a?x=1")
        .query("y", "a b&c")
        .header("x-a", "1")
        .bearer("secret")
        .json(&json!({ "k": [1, 2] }));
    assert!(!format!("{post:?}").contains("secret"));
    let said: Value = post.await.unwrap().json().await.unwrap();
    let expected = json!({
        "method": "POST", "path": "/a", "query": "x=1&y=a+b%26c", "type": "application/json", "x": "1",
        "authorization": "Bearer secret", "body": "{\"k\":[1,2]}",
    });
    assert_eq!(said, expected);
    for (request, method) in [
        (http.get("http://echo/"), "GET"),
        (http.put("http://echo/").body("text"), "PUT"),
        (http.patch("http://echo/"), "PATCH"),
        (http.delete("http://echo/"), "DELETE"),
        (http.call(Method::OPTIONS, "http://echo/"), "OPTIONS"),
    ] {
        let said: Value = request.await.unwrap().json().await.unwrap();
        assert_eq!(said["method"], method);
    }
    let head = http.head("http://echo/").await.unwrap();
    assert_eq!((head.status().as_u16(), head.bytes().await.unwrap().len()), (200, 0));
    let text = http.get("http://echo/t").await.unwrap().text().await.unwrap();
    assert!(text.contains("\"/t\""), "{text}");
    let answer = http.get("http://echo/").await.unwrap();
    assert_eq!(&*answer.instance().key.id.to_string(), "one");
    let bytes = answer.into_response().into_body().collect().await.unwrap().to_bytes();
    assert!(bytes.starts_with(b"{"));
}

#[tokio::test]
async fn answers_that_are_no_use_are_errors_with_the_instance() {
    let http = client().await;
    let read = async |path: &str| -> Result<Value, HttpError> {
        http.get(&format!("http://echo{path}")).await?.error_for_status().await?.json().await
    };
    let error = read("/missing").await.unwrap_err();
    assert!(
        matches!(&error, HttpError::Status { status, body, .. } if *status == 404 && body.contains("/missing"))
    );
    for (path, is_expected) in [
        ("/slow", (|error| matches!(error, HttpError::Slow { .. })) as fn(&HttpError) -> bool),
        ("/breaks", |error| matches!(error, HttpError::Broken { .. })),
        ("/long", |error| matches!(error, HttpError::TooLong { limit: 100_000, .. })),
    ] {
        let error = read(path).await.unwrap_err();
        assert!(is_expected(&error), "{path}: {error:?}");
        assert!(error.to_string().contains("default/echo/one"), "{error}");
    }
    let error = http.get("http://echo/").await.unwrap().json::<Vec<u8>>().await.unwrap_err();
    assert!(matches!(error, HttpError::Json { .. }), "{error}");
    assert_eq!(http.status()[0].in_flight, 0, "a call is still counted as on its way");
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_with_the_url_and_goes_to_nobody() {
    let http = client().await;
    let not_json = std::collections::BTreeMap::from([((1, 2), 3)]);
    for (request, why) in [
        (http.get("http://echo/a b"), "GET http://echo/a b: the URL cannot be read"),
        (http.get("http://echo/").header("no name", "x"), "the header \"no name\""),
        (http.get("http://echo/").header("x-a", "secret\n"), "the value of the header x-a"),
        (http.get("http://echo/").bearer("a\u{7f}"), "the token"),
        (http.post("http://echo/").json(&not_json), "cannot be written as JSON"),
        (http.get("http://echo:80/"), "without a port"),
        (http.get("/"), "write http://service-name/path"),
    ] {
        let error = request.await.unwrap_err();
        assert!(matches!(error.why, Why::Request(_)), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(http.status().iter().map(|pool| pool.calls).sum::<u64>(), 0);
}

/// A call that its owner says may be done twice is, whatever its method; and one that has less time than others has.
#[tokio::test]
async fn a_request_says_what_may_become_of_it() {
    let (bad, good) = (Backend::start("bad").await, Backend::start("good").await);
    bad.status.store(503, std::sync::atomic::Ordering::SeqCst);
    let source = Arc::new(Fixed::new([bad.instance(), good.instance()]));
    let http = HttpClient::new(source.clone());
    for _ in 0..6 {
        let answer = http.post("http://users/").body("x").idempotent().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    for backend in [&bad, &good] {
        backend.status.store(0, std::sync::atomic::Ordering::SeqCst);
    }
    let error = http.get("http://users/").timeout(Duration::from_millis(80)).await.unwrap_err();
    assert_eq!(error.why, Why::Timeout);
}

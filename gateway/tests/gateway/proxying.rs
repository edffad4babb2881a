use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Notify;

use crate::support::*;

#[tokio::test]
async fn heads_lose_what_was_for_the_connection_and_keep_the_rest() {
    let (world, users) = (world().await, named("users").await);
    world.register("users", "a", users.address).await;
    let request = world
        .request("GET", "/users/x")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("x-kept", "1")
        .header("te", "trailers, deflate")
        .header("proxy-authorization", "Basic x")
        .header("x-forwarded-for", "6.6.6.6");
    let headers = world.answer(request.body(Full::default()).unwrap()).await.json()["headers"].clone();
    assert_eq!(headers["x-kept"], "1");
    assert_eq!(headers["te"], "trailers");
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    for gone in ["x-hop", "connection", "proxy-authorization", "transfer-encoding"] {
        assert!(headers.get(gone).is_none(), "{gone}: {headers}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_arrives_and_one_that_is_too_large_does_not() {
    let (world, users) = (world_with("limits.body_bytes = 10").await, named("users").await);
    world.register("users", "a", users.address).await;
    let mut raw = world.connect().await;
    raw.say("POST /users/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        .await;
    assert!(raw.until("\"body\":\"hello\"").await.starts_with("HTTP/1.1 200"));
    raw.say("POST /users/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n").await;
    assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 413"));
    assert_eq!(world.call("POST", "/users/x", "hello world").await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_client_that_expects_leave_to_continue_gets_it() {
    let (world, users) = (world().await, named("users").await);
    world.register("users", "a", users.address).await;
    let mut raw = world.connect().await;
    raw.say("PUT /users/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n").await;
    assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 100"));
    raw.say("hello").await;
    assert!(raw.until("\"body\":\"hello\"").await.starts_with("HTTP/1.1 200"));
}

/// A body passes a part at a time: the instance has the first part before the client sends the last, and the other way.
#[tokio::test]
async fn bodies_are_passed_on_as_they_come_in_both_directions() {
    let world = world().await;
    let address = raw_backend(|mut raw| async move {
        raw.until("first").await;
        raw.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await;
        raw.until("second").await;
        raw.say("3\r\ntwo\r\n0\r\n\r\n").await;
    })
    .await;
    world.register("echo", "a", address).await;
    let mut raw = world.connect().await;
    raw.say("POST /echo/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    raw.until("one").await;
    raw.say("6\r\nsecond\r\n0\r\n\r\n").await;
    raw.until("two").await;
}

/// Sends far more than would fit if anyone kept it, to an instance that reads slowly at first.
#[tokio::test]
async fn a_large_upload_is_not_held() {
    let world = world().await;
    let go = Arc::new(Notify::new());
    let told = go.clone();
    let sink = backend(move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            told.notified().await;
            let (mut body, mut total) = (request.into_body(), 0);
            while let Some(Ok(frame)) = body.frame().await {
                total += frame.data_ref().map_or(0, Bytes::len);
            }
            Response::new(Full::new(total.to_string().into()))
        }
    })
    .await;
    world.register("sink", "a", sink.address).await;
    let part = Bytes::from(vec![7; 64 * 1024]);
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (counter, parts) = (sent.clone(), 1024);
    let stream = StreamBody::new(futures_stream(move || {
        let n = counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        (n < parts).then(|| Ok::<_, std::convert::Infallible>(Frame::data(part.clone())))
    }));
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = world.request("POST", "/sink/").body(stream).unwrap();
    let answered = tokio::spawn(client.request(request));
    let mut before = usize::MAX;
    // It stalls once every buffer on the way is full.
    within(async {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let now = sent.load(std::sync::atomic::Ordering::SeqCst);
            if now == before && now > 0 {
                break;
            }
            before = now;
        }
    })
    .await;
    assert!(before < parts / 2, "{before} parts of {parts} were taken while nobody read them");
    go.notify_one();
    let body = within(answered).await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, (parts * 64 * 1024).to_string());
}

fn futures_stream<T>(mut next: impl FnMut() -> Option<T>) -> impl futures_util::Stream<Item = T> {
    futures_util::stream::poll_fn(move |_| std::task::Poll::Ready(next()))
}

#[tokio::test]
async fn trailers_pass_in_both_directions_over_http1() {
    let world = world().await;
    let address = raw_backend(|mut raw| async move {
        let said = raw.until("x-sum: 1").await;
        assert!(said.contains("trailer: x-sum"), "{said}");
        raw.say("HTTP/1.1 200 OK\r\ntrailer: x-end\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-end: 2\r\n\r\n")
            .await;
    })
    .await;
    world.register("t", "a", address).await;
    let mut raw = world.connect().await;
    raw.say("POST /t/ HTTP/1.1\r\nhost: x\r\nte: trailers\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n")
        .await;
    raw.until("x-end: 2").await;
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_not_waited_for() {
    let world = world_with("timeouts.first_byte = '100ms'\ntimeouts.idle = '100ms'").await;
    let silent = raw_backend(|mut raw| async move {
        raw.until("\r\n\r\n").await;
        std::future::pending().await
    })
    .await;
    let stalls = raw_backend(|mut raw| async move {
        raw.until("\r\n\r\n").await;
        raw.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        std::future::pending().await
    })
    .await;
    world.register("silent", "a", silent).await;
    world.register("stalls", "a", stalls).await;
    let refused = world.get("/silent/").await;
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (StatusCode::GATEWAY_TIMEOUT, "timeout".into())
    );
    let mut raw = world.connect().await;
    raw.say("GET /stalls/ HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let said = raw.all().await;
    assert!(said.ends_with("half"), "it neither began nor broke off: {said}");
}

/// The client is slow, not the instance: sending longer than an answer may take is no reason to give up.
#[tokio::test]
async fn a_slow_upload_is_not_a_late_answer() {
    let (world, users) = (world_with("timeouts.first_byte = '300ms'").await, named("users").await);
    world.register("users", "a", users.address).await;
    let mut raw = world.connect().await;
    raw.say("POST /users/x HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n").await;
    for _ in 0..8 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        raw.say("x").await;
    }
    assert!(raw.until("\"body\":\"xxxxxxxx\"").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn stopping_lets_requests_end() {
    let mut world = world().await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (telling, told) = (begun.clone(), go.clone());
    let slow = backend(move |_| {
        let (telling, told) = (telling.clone(), told.clone());
        async move {
            telling.notify_one();
            told.notified().await;
            Response::new(Full::new(Bytes::from("done")))
        }
    })
    .await;
    world.register("slow", "a", slow.address).await;
    let serving = world.serving.take().unwrap();
    let stop = world.stop.clone();
    let asked = async { world.get("/slow/").await };
    let stopping = async {
        begun.notified().await;
        stop.cancel();
        go.notify_one();
    };
    let (answer, ()) = tokio::join!(asked, stopping);
    assert_eq!(answer.text(), "done");
    within(serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_request_too_many_is_told_so() {
    let world = world_with("limits.requests = 1").await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (telling, told) = (begun.clone(), go.clone());
    let slow = backend(move |_| {
        let (telling, told) = (telling.clone(), told.clone());
        async move {
            telling.notify_one();
            told.notified().await;
            Response::new(Full::default())
        }
    })
    .await;
    world.register("slow", "a", slow.address).await;
    let first = async { world.get("/slow/").await.status };
    let second = async {
        begun.notified().await;
        let refused = world.get("/slow/").await;
        go.notify_one();
        refused
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first, second.status), (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(second.json()["code"], "overloaded");
}

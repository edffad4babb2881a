use std::time::Duration;

use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

async fn raw(world: &World, request: &str) -> String {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_parsed() {
    let world = world_with("limits = { body_bytes = 1000 }").await;
    let large = format!(r#"{{"service":"s","host":"h","zone":"{}"}}"#, "x".repeat(2000));
    let answer = world.call(Method::POST, "/v1/register", large).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, Some("too_large"))
    );
}

#[tokio::test]
async fn a_deeply_nested_body_is_refused() {
    let world = world().await;
    let deep = format!(r#"{{"service":"s","host":"h","metadata":{}"#, "[".repeat(100_000));
    assert_eq!(world.call(Method::POST, "/v1/register", deep).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused() {
    let world = world_with("limits = { headers = 10 }").await;
    let many: String = (0..50).map(|n| format!("x-{n}: 1\r\n")).collect();
    let answer = raw(&world, &format!("GET /v1/services HTTP/1.1\r\nhost: h\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let long = format!("GET /v1/services HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let answer = raw(&world, &long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let world = world_with("limits = { connections = 2 }").await;
    let _first = TcpStream::connect(world.address).await.unwrap();
    let _second = TcpStream::connect(world.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = raw(&world, "").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("too many connections"), "{answer}");
    let length: usize =
        answer.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    assert_eq!(answer.split("\r\n\r\n").nth(1).unwrap().len(), length);
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_hung_up_on() {
    let world = world_with("limits = { header_timeout = '200ms' }").await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET /v1/ser").await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the connection is still open");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_body_is_told_so() {
    let world = world_with("limits = { body_timeout = '200ms' }").await;
    let head = "POST /v1/register HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    let answer = raw(&world, head).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn too_many_tags_checks_and_pairs_are_refused() {
    let world = world().await;
    let list = |n: usize, item: fn(usize) -> String| (0..n).map(item).collect::<Vec<_>>().join(",");
    let tags = list(1025, |n| format!("\"t{n}\""));
    let pairs = list(129, |n| format!("\"k{n}\":\"v\""));
    let checks = list(33, |n| format!("{{\"type\":\"manual\",\"id\":\"c{n}\"}}"));
    for field in
        [format!("\"tags\":[{tags}]"), format!("\"metadata\":{{{pairs}}}"), format!("\"checks\":[{checks}]")]
    {
        let body = format!("{{\"service\":\"s\",\"host\":\"h\",{field}}}");
        let answer = world.call(Method::POST, "/v1/register", body).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (StatusCode::TOO_MANY_REQUESTS, Some("limit"))
        );
    }
}

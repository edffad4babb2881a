use http::{Method, StatusCode};
use http_body_util::Full;
use serde_json::json;
use switchboard_engine_memory::{StoreError, StoreErrorKind};

use crate::support::*;

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_said_with_the_fields_name() {
    let world = world().await;
    for (body, field, expected) in [
        ("", "", "application/json"),
        ("{", "body", "EOF"),
        ("[]", "body", "JSON object was expected"),
        ("3", "body", "invalid type"),
        (r#"{"service":"s","host":"h"} trailing"#, "body", "trailing"),
        (r#"{"host":"h"}"#, "service", "missing field"),
        (r#"{"service":"s","host":"h","prot":1}"#, "prot", "expected one of"),
        (r#"{"service":"s","host":"h","port":"80"}"#, "port", "expected a whole number"),
        (r#"{"service":"s","host":"h","port":70000}"#, "port", "from 0 to 2^16 - 1"),
        (r#"{"service":"s","host":"h","port":0}"#, "port", "between 1 and 65535"),
        (r#"{"service":"s","host":"h","tags":[1]}"#, "tags[0]", "expected a string"),
        (
            r#"{"service":"s","host":"h","ports":[{"name":"a","port":1,"x":2}]}"#,
            "ports[0].x",
            "unknown field",
        ),
        (
            r#"{"service":"s","host":"h","check":{"type":"http","interval":"often"}}"#,
            "check.interval",
            "not a duration",
        ),
        (r#"{"service":"s","host":"h","check":{"type":"http","ttl":5}}"#, "check.ttl", "means nothing"),
        (r#"{"service":"s","host":"h","ttl":null}"#, "ttl", "expected a duration"),
        (r#"{"service":"s","host":"h","ttl":0.1}"#, "ttl", "between 1 and"),
        (r#"{"service":"s","host":"h h"}"#, "host", "host name or an IP address"),
        ("{\"service\":\"a\\u0000b\",\"host\":\"h\"}", "service", "U+0000"),
    ] {
        let answer = world.call(Method::POST, "/v1/register", body).await;
        let said = answer.json();
        let wanted =
            if body.is_empty() { StatusCode::UNSUPPORTED_MEDIA_TYPE } else { StatusCode::BAD_REQUEST };
        assert_eq!(answer.status, wanted, "{body}: {said}");
        assert_eq!(said["status"], "error");
        let message = said["message"].as_str().unwrap();
        assert!(message.contains(expected), "{body}: {message}");
        assert_eq!(said["field"].as_str().unwrap_or_default(), field, "{body}: {message}");
    }
    assert_eq!(world.get("/v1/status").await.ok()["revision"], 0, "something was registered");
}

#[tokio::test]
async fn misspelled_parameters_are_refused() {
    let world = world().await;
    for path in [
        "/v1/services?prefex=a",
        "/v1/services/web?staus=any",
        "/v1/services/web?status=well",
        "/v1/services?limit=0",
        "/v1/services?limit=ten",
        "/v1/services?prefix=a&prefix=b",
        "/v1/services/web?at_least=9007199254740992",
        "/v1/services/web?at_least=-1",
        "/v1/watch?service=a&prefix=b",
        "/v1/watch?since=yesterday",
        "/v1/leases/xyz",
        "/v1/leases/0",
        "/v1/services/%ff",
    ] {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn unknown_things_and_methods_are_named() {
    let world = world().await;
    for path in
        ["/v2", "/v1/instances/x", "/v1/nodes/x", "/v1/leases/1", "/v1/entries/x", "/v1/instances/x/checks"]
    {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (StatusCode::NOT_FOUND, &json!("not_found")),
            "{path}"
        );
    }
    let answer = world.call(Method::PATCH, "/v1/services", "").await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (StatusCode::METHOD_NOT_ALLOWED, &json!("method_not_allowed"))
    );
    assert!(answer.header("allow").contains("GET"), "{:?}", answer.headers);
    let plain = world.request(Method::POST, "/v1/register").header("content-type", "text/plain");
    let answer = world.answer(plain.body(Full::from(ARTICLE)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(answer.json()["message"].as_str().unwrap().contains("Content-Type: application/json"));
}

#[tokio::test]
async fn an_id_that_is_not_unique_is_told_apart_by_its_service() {
    let world = world().await;
    world.add("web", "a").await;
    world.add("api", "a").await;
    let answer = world.get("/v1/instances/a").await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::CONFLICT, &json!("ambiguous")));
    assert_eq!(answer.json()["candidates"], json!(["default/api/a", "default/web/a"]));
    assert_eq!(world.get("/v1/instances/a?service=web").await.ok()["service"], "web");
}

#[tokio::test]
async fn an_instance_without_a_ttl_has_nothing_to_renew() {
    let world = world().await;
    world.add("web", "a").await;
    let answer = world.put("/v1/instances/a/renew", "").await;
    assert_eq!((answer.status, &answer.json()["code"]), (StatusCode::CONFLICT, &json!("in_use")));
    assert!(answer.json()["message"].as_str().unwrap().contains("without a `ttl`"));
}

#[tokio::test]
async fn a_failed_store_is_said_and_reads_go_on() {
    let world = world().await;
    world.register(ARTICLE).await;
    world.script.go_down(StoreError::temporary(StoreErrorKind::Full, "no space left on device"));
    let answer = world.call(Method::POST, "/v1/register", r#"{"service":"s","host":"h"}"#).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable"))
    );
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.json()["message"].as_str().unwrap().contains("no space left"));
    assert_eq!(world.ids("/v1/services/user-service").await.len(), 1);
    assert_eq!(
        world.put("/v1/instances/user-service-192.168.1.100-8080/renew", "").await.status,
        StatusCode::OK
    );
    assert_eq!(world.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    world.script.come_back();
}

//! Alarms that somebody raises by hand, which was refused though clients and their tests do it.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::*;

async fn alarm(world: &World, body: &str) -> Value {
    let (status, said) = world.post("/v3/maintenance/alarm", body).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    said.get("alarms").cloned().unwrap_or(Value::Null)
}

const PUT: (&str, &str) = ("kv/put", r#"{"key":"YQ=="}"#);
const DELETE: (&str, &str) = ("kv/deleterange", r#"{"key":"eA=="}"#);
const READ: (&str, &str) = ("kv/range", r#"{"key":"YQ=="}"#);
const PUT_IN_A_BRANCH: (&str, &str) = (
    "kv/txn",
    r#"{"compare":[{"key":"eA==","target":"VERSION","version":"5"}],
        "success":[{"request_txn":{"success":[{"request_put":{"key":"YQ=="}}]}}]}"#,
);
const READ_IN_A_TXN: (&str, &str) = ("kv/txn", r#"{"success":[{"request_range":{"key":"YQ=="}}]}"#);
const COMPACT: (&str, &str) = ("kv/compaction", r#"{"revision":"1"}"#);
const GRANT: (&str, &str) = ("lease/grant", r#"{"TTL":"60"}"#);
const REVOKE: (&str, &str) = ("lease/revoke", r#"{"ID":"7"}"#);

/// Asks for each, and says what is refused because of the alarm.
async fn refused(world: &World, text: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (path, body) in [PUT, DELETE, READ, PUT_IN_A_BRANCH, READ_IN_A_TXN, COMPACT, GRANT, REVOKE] {
        let (_, said) = world.post(&format!("/v3/{path}"), body).await;
        if said["message"] == text {
            found.push(body);
        }
    }
    found
}

#[tokio::test]
async fn without_space_nothing_is_put_and_the_rest_goes_on() {
    let world = world().await;
    let raised = json!([{ "memberID": "123", "alarm": "NOSPACE" }]);
    let raise = r#"{"action":"ACTIVATE","memberID":"123","alarm":"NOSPACE"}"#;
    assert_eq!(alarm(&world, raise).await, raised);
    assert_eq!(alarm(&world, raise).await, raised, "raising it twice is raising it once");
    assert_eq!(alarm(&world, "{}").await, raised);
    assert_eq!(alarm(&world, r#"{"alarm":"CORRUPT"}"#).await, Value::Null);
    let text = "etcdserver: mvcc: database space exceeded";
    assert_eq!(refused(&world, text).await, [PUT.1, PUT_IN_A_BRANCH.1, GRANT.1]);
    let (status, page) = world.http(Method::GET, "/health", "").await;
    assert_eq!(
        (status, &page[..]),
        (StatusCode::SERVICE_UNAVAILABLE, &b"{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n"[..])
    );
    assert_eq!(world.http(Method::GET, "/health?exclude=NOSPACE", "").await.0, StatusCode::OK);
    assert_eq!(world.http(Method::GET, "/readyz", "").await.0, StatusCode::OK);
    let (_, status) = world.post("/v3/maintenance/status", "{}").await;
    assert_eq!(status["errors"], json!(["memberID:123  alarm:NOSPACE"]));
    // Of another member there is none to take back.
    assert_eq!(
        alarm(&world, r#"{"action":"DEACTIVATE","memberID":"5","alarm":"NOSPACE"}"#).await,
        Value::Null
    );
    assert_eq!(alarm(&world, r#"{"action":"DEACTIVATE","memberID":"123","alarm":"NOSPACE"}"#).await, raised);
    assert!(refused(&world, text).await.is_empty());
    assert_eq!(world.http(Method::GET, "/health", "").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_corrupt_cluster_takes_no_writes_even_after_a_restart() {
    let world = world().await;
    assert_eq!(alarm(&world, r#"{"action":"ACTIVATE","alarm":"NONE"}"#).await, Value::Null);
    alarm(&world, r#"{"action":"ACTIVATE","memberID":"9","alarm":"CORRUPT"}"#).await;
    let again = world.restarted("").await;
    let text = "etcdserver: corrupt cluster";
    let writes = [PUT, DELETE, PUT_IN_A_BRANCH, COMPACT, GRANT, REVOKE].map(|(_, body)| body);
    assert_eq!(refused(&again, text).await, writes);
    let (status, page) = again.http(Method::GET, "/readyz", "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.contains("[-]data_corruption failed: alarm activated: CORRUPT\n"), "{page}");
    assert_eq!(again.http(Method::GET, "/livez", "").await.0, StatusCode::OK);
}

//! JSON over HTTP. `a2V5` is `key`, `dg==` is `v`.

use http::{Method, StatusCode};

use crate::support::*;

#[tokio::test]
async fn answers_are_spelled_as_etcd_spells_them() {
    let world = world().await;
    let (status, _) = world.http(Method::PUT, "/v3/kv/put", r#"{"key":"a2V5","value":"dg=="}"#).await;
    assert_eq!(status, StatusCode::OK);
    let (_, said) = world.post("/v3beta/kv/range", r#"{"key":"a2V5","serializable":true,"unknown":1}"#).await;
    let kv = serde_json::json!({
        "key": "a2V5", "create_revision": "2", "mod_revision": "2", "version": "1", "value": "dg=="
    });
    assert_eq!(said["kvs"], serde_json::json!([kv]));
    assert_eq!(said["count"], "1");
    assert_eq!(said["header"]["revision"], "2");
    let camel = r#"{"success":[{"requestPut":{"key":"a2V5","value":"dg=="}}]}"#;
    let (_, said) = world.post("/v3/kv/txn", camel).await;
    assert_eq!(said["responses"], serde_json::json!([{ "response_put": { "header": { "revision": "3" } } }]));
}

#[tokio::test]
async fn errors_have_every_shape() {
    let world = world().await;
    let text = "etcdserver: key is not provided";
    let (status, said) = world.post("/v3/kv/put", "{}").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(said, serde_json::json!({ "error": text, "code": 3, "message": text }));
    for malformed in ["{", "[]", r#"{"key":"***"}"#, r#"{"key":3}"#, "\u{0}"] {
        assert_eq!(world.post("/v3/kv/range", malformed).await.0, StatusCode::BAD_REQUEST, "{malformed}");
    }
    assert_eq!(world.post("/v3/lease/revoke", r#"{"ID":"7"}"#).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.post("/v3/no/such", "{}").await.1["message"], "Not Found");
    assert_eq!(world.http(Method::GET, "/v3/kv/range", "").await.0, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(world.http(Method::GET, "/nothing", "").await.1, "404 page not found\n");
    let large = format!(r#"{{"key":"a2V5","value":"{}"}}"#, "A".repeat(3 * 1024 * 1024));
    let (status, said) = world.post("/v3/kv/put", &large).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(said["message"], "grpc: received message larger than max (2359306 vs. 2097152)");
    let far_too_large = format!(r#"{{"key":"a2V5","value":"{}"}}"#, "A".repeat(9 * 1024 * 1024));
    assert_eq!(world.post("/v3/kv/put", &far_too_large).await.0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn every_path_is_there() {
    let world = world().await;
    for path in [
        "kv/range",
        "kv/put",
        "kv/deleterange",
        "kv/txn",
        "kv/compaction",
        "lease/grant",
        "lease/revoke",
        "kv/lease/revoke",
        "lease/timetolive",
        "kv/lease/timetolive",
        "lease/leases",
        "kv/lease/leases",
        "cluster/member/add",
        "cluster/member/remove",
        "cluster/member/update",
        "cluster/member/list",
        "cluster/member/promote",
        "maintenance/alarm",
        "maintenance/status",
        "maintenance/defragment",
        "maintenance/hash",
        "maintenance/hashkv",
        "maintenance/snapshot",
        "maintenance/transfer-leadership",
        "maintenance/downgrade",
        "auth/enable",
        "auth/disable",
        "auth/status",
        "auth/authenticate",
        "auth/user/add",
        "auth/user/get",
        "auth/user/list",
        "auth/user/delete",
        "auth/user/changepw",
        "auth/user/grant",
        "auth/user/revoke",
        "auth/role/add",
        "auth/role/get",
        "auth/role/list",
        "auth/role/delete",
        "auth/role/grant",
        "auth/role/revoke",
        "lock/unlock",
        "election/proclaim",
        "election/leader",
        "election/resign",
    ] {
        let (status, said) = world.post(&format!("/v3/{path}"), "{}").await;
        assert_ne!(said["message"], "Not Found", "{path}: {status}");
    }
}

#[tokio::test]
async fn pages_beside_the_services() {
    let world = world().await;
    let page = async |path| world.http(Method::GET, path, "").await;
    let version: serde_json::Value = serde_json::from_slice(&page("/version").await.1).unwrap();
    assert!(version["etcdserver"].as_str().unwrap().split('.').all(|part| part.parse::<u32>().is_ok()));
    assert_eq!(page("/health").await.1, r#"{"health":"true","reason":""}"#);
    assert_eq!(page("/livez").await.1, "ok\n");
    assert_eq!(page("/readyz?verbose").await.1.iter().filter(|byte| **byte == b'\n').count(), 5);
    assert_eq!(page("/readyz/none").await.0, StatusCode::NOT_FOUND);
    assert_eq!(page("/metrics").await.0, StatusCode::OK);
}

/// An empty store's size was left out, and `3.0` was no version.
#[tokio::test]
async fn what_etcds_own_tests_ask_of_maintenance_is_answered() {
    let world = world().await;
    let (_, said) = world.post("/v3/maintenance/status", "{}").await;
    assert!(said["dbSize"].is_string() && said["dbSizeInUse"].is_string(), "{said}");
    let text = async |version: &str| {
        let body = serde_json::json!({ "action": 0, "version": version }).to_string();
        world.post("/v3/maintenance/downgrade", &body).await.1["message"].clone()
    };
    assert_eq!(text("3.0").await, "etcdserver: invalid downgrade target version");
    assert_eq!(text("3").await, "etcdserver: wrong downgrade target version format");
}

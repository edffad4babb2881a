use http::StatusCode;
use serde_json::json;
use switchboard_model::{Entry, Stored};
use switchboard_registry::Caller;
use switchboard_registry::plan::Revoke;

use crate::support::{World, serve, world};

fn me() -> Caller {
    Caller::internal("test")
}

impl World {
    fn kept_session(&self, id: &str) -> Option<std::sync::Arc<Stored<Entry>>> {
        let view = self.registry.view(&me()).unwrap();
        let entries = view.entries(std::ops::Bound::Unbounded);
        let mut sessions = entries.filter(|entry| &*entry.key.keyspace == "consul.session");
        sessions.find(|entry| entry.key.key == id.as_bytes()).cloned()
    }

    /// As if nobody had renewed it in time.
    async fn expire(&self, id: &str) {
        let lease = self.kept_session(id).unwrap().lease.unwrap();
        self.registry.submit(&me(), Revoke { id: lease }).await.unwrap();
    }

    async fn holder(&self, key: &str) -> Option<String> {
        let answer = self.get(&format!("/v1/kv/{key}")).await;
        if answer.status == StatusCode::NOT_FOUND {
            return Some("gone".to_owned());
        }
        answer.ok()[0]["Session"].as_str().map(str::to_owned)
    }

    /// Waits for what happens behind the answers.
    async fn until_free(&self, key: &str, expected: Option<&str>) {
        let waiting = async {
            while self.holder(key).await.as_deref() != expected {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let patience = std::time::Duration::from_secs(30);
        assert!(tokio::time::timeout(patience, waiting).await.is_ok(), "{key} is not {expected:?}");
    }

    async fn acquires(&self, key: &str, session: &str) -> bool {
        self.put(&format!("/v1/kv/{key}?acquire={session}"), "x").await.ok() == json!(true)
    }
}

#[tokio::test]
async fn a_session_that_expires_frees_what_it_held() {
    let world = world().await;
    for (behavior, after) in [("release", None), ("delete", Some("gone"))] {
        let id = world.session(json!({"TTL": "10s", "Behavior": behavior, "LockDelay": "0s"})).await;
        assert!(world.acquires(behavior, &id).await);
        assert_eq!(world.put(&format!("/v1/session/renew/{id}"), "").await.ok()[0]["TTL"], "10s");
        world.expire(&id).await;
        world.until_free(behavior, after).await;
        assert_eq!(world.get(&format!("/v1/session/info/{id}")).await.text(), "[]");
        let renewed = world.put(&format!("/v1/session/renew/{id}"), "").await;
        let text = format!("Session id '{id}' not found");
        assert_eq!((renewed.status, renewed.text()), (StatusCode::NOT_FOUND, text.as_str()));
    }
}

#[tokio::test]
async fn a_session_ends_with_its_check_its_service_and_its_node() {
    let world = world().await;
    world.register(r#"{"ID":"web-1","Name":"web","Check":{"TTL":"1h","Status":"passing"}}"#).await;
    world.put("/v1/catalog/register", r#"{"Node":"far","Address":"10.0.0.1"}"#).await;
    let checked = || json!({"ServiceChecks": [{"ID": "service:web-1"}], "LockDelay": "0s"});
    for (what, body, ending) in [
        ("check", checked(), "/v1/agent/check/fail/service:web-1"),
        ("service", checked(), "/v1/agent/service/deregister/web-1"),
        ("node", json!({"Node": "far", "NodeChecks": [], "LockDelay": "0s"}), "/v1/catalog/deregister"),
    ] {
        world.put("/v1/agent/check/pass/service:web-1", "").await;
        let id = world.session(body).await;
        assert!(world.acquires(what, &id).await, "{what}");
        let ended = world.put(ending, if what == "node" { r#"{"Node":"far"}"# } else { "" }).await;
        assert_eq!(ended.status, StatusCode::OK, "{what}");
        assert_eq!(world.get(&format!("/v1/session/info/{id}")).await.text(), "[]", "{what}");
        world.until_free(what, None).await;
    }
}

#[tokio::test]
async fn a_warning_ends_no_session() {
    let world = world().await;
    world.register(r#"{"ID":"web-1","Name":"web","Check":{"TTL":"1h","Status":"passing"}}"#).await;
    let id = world.session(json!({"Checks": ["service:web-1"]})).await;
    world.put("/v1/agent/check/warn/service:web-1", "").await;
    assert!(world.acquires("a", &id).await);
    assert_eq!(world.get(&format!("/v1/session/info/{id}")).await.ok()[0]["ID"], id);
}

#[tokio::test]
async fn a_key_whose_session_ended_stays_out_of_reach_for_a_while() {
    let world = world().await;
    let (first, rival) = (world.session(json!({"LockDelay": "60s"})).await, world.session(json!({})).await);
    assert!(world.acquires("a", &first).await);
    assert_eq!(world.put(&format!("/v1/kv/a?release={first}"), "x").await.text(), "true");
    assert!(world.acquires("a", &rival).await, "whoever releases a key leaves no delay");
    world.put(&format!("/v1/kv/a?release={rival}"), "x").await;
    assert!(world.acquires("a", &first).await);
    world.put(&format!("/v1/session/destroy/{first}"), "").await;
    assert!(!world.acquires("a", &rival).await);
    assert_eq!(world.put("/v1/kv/a", "written all the same").await.text(), "true");
    assert_eq!(world.holder("a").await, None);
}

/// Whoever was away when a session ended finds what it held.
#[tokio::test]
async fn locks_are_freed_after_a_restart() {
    let before = world().await;
    let id = before.session(json!({"TTL": "10s", "LockDelay": "0s"})).await;
    assert!(before.acquires("a", &id).await);
    let registry = before.registry.clone();
    let lease = before.kept_session(&id).unwrap().lease.unwrap();
    before.stop();
    drop(before);
    registry.submit(&me(), Revoke { id: lease }).await.unwrap();
    let after = serve(registry, "node_name = 'here'").await;
    after.until_free("a", None).await;
}

#[tokio::test]
async fn lists_are_of_all_and_of_a_node_and_wake_whoever_waits() {
    let world = world().await;
    let index = world.get("/v1/session/list").await.index();
    let waiting = {
        let world = world.clone();
        tokio::spawn(async move { world.get(&format!("/v1/session/list?index={index}&wait=60s")).await })
    };
    let id = world.session(json!({"Name": "n", "TTL": "20s", "LockDelay": 5})).await;
    let expected = json!([{
        "ID": id, "Name": "n", "Node": "here", "LockDelay": 5_000_000_000_u64, "Behavior": "release", "TTL": "20s",
        "NodeChecks": ["serfHealth"], "ServiceChecks": null,
    }]);
    let mut told = waiting.await.unwrap().ok();
    for index in ["CreateIndex", "ModifyIndex"] {
        assert!(told[0].as_object_mut().unwrap().remove(index).is_some());
    }
    assert_eq!(told, expected);
    for (path, count) in
        [("/v1/session/node/here", 1), ("/v1/session/node/there", 0), ("/v1/session/list", 1)]
    {
        assert_eq!(world.get(path).await.ok().as_array().unwrap().len(), count, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_session_is_refused() {
    let world = world().await;
    let head = world.registry.head();
    for (body, status, text) in [
        (r#"{"TTL":"1s"}"#, 500, "Invalid Session TTL '1000000000', must be between [10s=24h0m0s]"),
        (r#"{"TTL":"soon"}"#, 500, "Session TTL 'soon' invalid: time: invalid duration \"soon\""),
        (r#"{"Behavior":"x"}"#, 500, "Invalid Behavior setting 'x'"),
        (r#"{"Node":"nobody"}"#, 500, "apply failed: Missing node registration"),
        (r#"{"NodeChecks":["x"]}"#, 500, "apply failed: Missing check 'x' registration"),
        (r#"{"LockDelay":"x"}"#, 400, "Request decode failed: time: invalid duration \"x\""),
    ] {
        let answer = world.put("/v1/session/create", body).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (status, text), "{body}");
    }
    for body in ["[]", "{", r#"{"Name":5}"#, "\u{1}"] {
        assert_eq!(world.put("/v1/session/create", body).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(world.registry.head(), head);
    // What it does not know is left alone.
    assert_eq!(world.put("/v1/session/create", r#"{"name":"x","Nonsense":{}}"#).await.status, StatusCode::OK);
}

use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn the_articles_registration_is_accepted_verbatim() {
    let world = world().await;
    let said = world.register(ARTICLE).await;
    assert_eq!(said["status"], "success");
    assert_eq!(said["id"], "user-service-192.168.1.100-8080");
    assert_eq!(said["ttl"], 30);
    let again = world.register(ARTICLE).await;
    assert_eq!((&again["created"], &again["revision"]), (&json!(false), &said["revision"]));

    let found = world.get("/v1/services/user-service").await.ok();
    let instance = &found["instances"][0];
    assert_eq!((&instance["host"], &instance["port"]), (&json!("192.168.1.100"), &json!(8080)));
    assert_eq!(instance["metadata"], json!({ "version": "v1.2", "region": "east" }));
    assert_eq!(instance["health"], "passing");

    let renewed = world.put(said["renew"].as_str().unwrap(), "").await.ok();
    assert_eq!(renewed, json!({ "status": "success", "id": said["id"], "ttl": 30 }));
    world.delete("/v1/instances/user-service-192.168.1.100-8080").await.ok();
    assert!(world.ids("/v1/services/user-service?status=any").await.is_empty());
    assert_eq!(
        world.put("/v1/instances/user-service-192.168.1.100-8080/renew", "").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_shortcut_and_the_operation_answer_alike() {
    let world = world().await;
    world.register(ARTICLE).await;
    // The second form of each goes the long way, because of its parameter.
    let short = world.get("/v1/services/user-service").await;
    let long = world.get("/v1/services/user-service?namespace=default").await;
    assert_eq!((&short.body, short.header("etag")), (&long.body, long.header("etag")));
    assert_eq!(short.header("switchboard-revision"), long.header("switchboard-revision"));
    let id = "user-service-192.168.1.100-8080";
    let short = world.put(&format!("/v1/instances/{id}/renew"), "").await;
    let long = world.put(&format!("/v1/instances/{id}/renew?namespace=default"), "").await;
    assert_eq!((&short.body, short.status), (&long.body, long.status));
}

#[tokio::test]
async fn a_lookup_gives_healthy_ones_and_filters() {
    let world = world().await;
    world.register(r#"{"service":"web","host":"10.0.0.1","port":1,"id":"a","tags":["v1","blue"],"zone":"z1","metadata":{"env":"prod"}}"#).await;
    world
        .register(
            r#"{"service":"web","host":"10.0.0.2","port":1,"id":"b","tags":["v2"],"zone":"z2","node":"n1"}"#,
        )
        .await;
    world.put("/v1/instances/b/status", r#"{"status":"critical","output":"on fire"}"#).await.ok();
    assert_eq!(world.ids("/v1/services/web").await, ["a"]);
    assert_eq!(world.ids("/v1/services/WEB").await, ["a"]);
    assert_eq!(world.ids("/v1/services/web?status=any").await, ["a", "b"]);
    assert_eq!(world.ids("/v1/services/web?status=critical").await, ["b"]);
    assert_eq!(world.ids("/v1/services/web?tag=v1&tag=blue").await, ["a"]);
    assert!(world.ids("/v1/services/web?tag=v1&tag=v2&status=any").await.is_empty());
    assert_eq!(world.ids("/v1/services/web?zone=z2&status=any").await, ["b"]);
    assert_eq!(world.ids("/v1/services/web?node=n1&status=any").await, ["b"]);
    assert_eq!(world.ids("/v1/services/web?meta.env=prod").await, ["a"]);
    let all = world.get("/v1/services/web?status=any").await.ok();
    assert!(all["instances"][1]["reasons"][0].as_str().unwrap().contains("on fire"));
}

#[tokio::test]
async fn pages_join_up_to_the_whole() {
    let world = world().await;
    for n in 0..7 {
        world.add(&format!("s{}", n % 4), &format!("i{n}")).await;
    }
    for (path, list) in
        [("/v1/services", "services"), ("/v1/instances", "instances"), ("/v1/services/s0", "instances")]
    {
        let whole = world.get(path).await.ok()[list].as_array().unwrap().clone();
        let mut joined = Vec::new();
        let mut after = String::new();
        loop {
            let page = world.get(&format!("{path}?limit=1{after}")).await.ok();
            joined.extend(page[list].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", next.replace('/', "%2F")),
                None => break,
            }
        }
        assert_eq!(joined, whole, "{path}");
    }
}

#[tokio::test]
async fn services_are_listed_with_counts() {
    let world = world().await;
    world.add("web", "a").await;
    world.add("web", "b").await;
    world.add("api", "c").await;
    world.put("/v1/instances/b/lifecycle", r#"{"lifecycle":"draining"}"#).await.ok();
    let said = world.get("/v1/services?prefix=w").await.ok();
    let service = &said["services"][0];
    assert_eq!(said["services"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&service["service"], &service["instances"], &service["healthy"]),
        (&json!("web"), &json!(2), &json!(1))
    );
    let said = world.get("/v1/namespaces").await.ok();
    assert_eq!(said["namespaces"], json!([{ "namespace": "default", "services": 2, "instances": 3 }]));
}

#[tokio::test]
async fn a_known_answer_is_not_sent_again() {
    let world = world().await;
    world.add("web", "a").await;
    for path in [
        "/v1/services/web",
        "/v1/services/web?status=any",
        "/v1/services",
        "/v1/instances/a",
        "/v1/namespaces",
    ] {
        let first = world.get(path).await;
        let etag = first.header("etag").to_owned();
        assert!(!etag.is_empty(), "{path} has no ETag");
        let conditional =
            || world.request(Method::GET, path).header("if-none-match", &etag).body(Full::default()).unwrap();
        assert_eq!(world.answer(conditional()).await.status, StatusCode::NOT_MODIFIED, "{path}");
        world.add("web", "a2").await;
        world.put("/v1/instances/a/lifecycle", r#"{"lifecycle":"draining"}"#).await.ok();
        assert_eq!(world.answer(conditional()).await.status, StatusCode::OK, "{path}");
        world.delete("/v1/instances/a2").await.ok();
        world.put("/v1/instances/a/lifecycle", r#"{"lifecycle":"up"}"#).await.ok();
    }
}

#[tokio::test]
async fn a_read_waits_for_the_revision_it_asks_for() {
    let world = world().await;
    let early = world.get("/v1/services/web?at_least=1&wait=50ms").await;
    assert_eq!((early.status, &early.json()["code"]), (StatusCode::GATEWAY_TIMEOUT, &json!("not_yet")));
    let waiting = world.get("/v1/services/web?at_least=1&wait=20s");
    let (found, _) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.add("web", "a").await
    });
    assert_eq!(found.ok()["instances"][0]["id"], "a");
    assert_eq!(found.header("switchboard-revision"), "1");
}

#[tokio::test]
async fn one_instance_tells_its_checks_its_lease_and_its_history() {
    let world = world().await;
    world
        .register(r#"{"service":"web","host":"10.0.0.1","port":1,"id":"a","ttl":"30s","check":{"type":"ttl","ttl":60,"initial":"passing"}}"#)
        .await;
    world.put("/v1/instances/a/checks/ttl/status", r#"{"status":"critical","output":"no disk"}"#).await.ok();
    world.put("/v1/instances/a/checks/ttl/status", r#"{"status":"passing","output":"fine"}"#).await.ok();
    let said = world.get("/v1/instances/a").await.ok();
    assert_eq!((&said["checks"][0]["id"], &said["checks"][0]["output"]), (&json!("ttl"), &json!("fine")));
    assert_eq!(said["lease"]["ttl"], 30);
    let history: Vec<_> =
        said["history"].as_array().unwrap().iter().map(|it| (&it["from"], &it["to"])).collect();
    assert_eq!(history, [(&json!("passing"), &json!("critical")), (&json!("critical"), &json!("passing"))]);
    assert!(said["history"][0]["why"][0].as_str().unwrap().contains("no disk"));
}

#[tokio::test]
async fn checks_are_added_redefined_and_removed() {
    let world = world().await;
    world.add("web", "a").await;
    world.put("/v1/instances/a/checks/alive", r#"{"type":"ttl","ttl":60}"#).await.ok();
    assert!(
        world.ids("/v1/services/web").await.is_empty(),
        "a check that nobody reported on yet is critical"
    );
    world.put("/v1/instances/a/checks/alive/status", r#"{"status":"passing"}"#).await.ok();
    let said = world.put("/v1/instances/a/checks/alive", r#"{"type":"ttl","ttl":90}"#).await.ok();
    assert_eq!(said["changed"], true);
    assert_eq!(world.get("/v1/instances/a/checks/alive").await.ok()["status"], "passing");
    assert_eq!(world.get("/v1/instances/a/checks").await.ok().as_array().unwrap().len(), 1);
    world.delete("/v1/instances/a/checks/alive").await.ok();
    assert_eq!(world.get("/v1/instances/a/checks/alive").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_nodes_check_takes_its_instances_out() {
    let world = world().await;
    world.put("/v1/nodes/n1", r#"{"host":"10.0.0.9","metadata":{"rack":"r1"}}"#).await.ok();
    world.register(r#"{"service":"web","host":"10.0.0.9","port":1,"id":"a","node":"n1"}"#).await;
    world.put("/v1/nodes/n1/checks/disk", r#"{"type":"manual","initial":"passing"}"#).await.ok();
    assert_eq!(world.ids("/v1/services/web").await, ["a"]);
    world.put("/v1/nodes/n1/checks/disk/status", r#"{"status":"critical","output":"full"}"#).await.ok();
    assert!(world.ids("/v1/services/web").await.is_empty());
    let node = world.get("/v1/nodes/n1").await.ok();
    assert_eq!((&node["instances"], &node["instance_names"][0]), (&json!(1), &json!("web/a")));
    assert_eq!(world.get("/v1/nodes").await.ok()["nodes"][0]["metadata"], json!({ "rack": "r1" }));
    assert_eq!(world.delete("/v1/nodes/n1").await.status, StatusCode::CONFLICT);
    world.delete("/v1/nodes/n1?with_instances=true").await.ok();
    assert_eq!(world.get("/v1/instances/a").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_lease_keeps_instances_and_entries_and_takes_them_with_it() {
    let world = world().await;
    let granted = world.call(Method::POST, "/v1/leases", r#"{"ttl":60,"on_expiry":"delete"}"#).await.ok();
    let lease = granted["lease"].as_str().unwrap().to_owned();
    world.register(format!(r#"{{"service":"web","host":"h","id":"a","lease":"{lease}"}}"#)).await;
    world.put(&format!("/v1/entries/config%2Fweb?lease={lease}"), "{}").await.ok();
    world.put(&format!("/v1/leases/{lease}/renew"), "").await.ok();
    let said = world.get(&format!("/v1/leases/{lease}")).await.ok();
    assert_eq!(said["holds"], json!(["default/web/a", "native:config/web"]));
    assert_eq!(world.get("/v1/leases").await.ok()["leases"].as_array().unwrap().len(), 1);
    world.delete(&format!("/v1/leases/{lease}")).await.ok();
    assert_eq!(world.get("/v1/instances/a").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/v1/entries/config%2Fweb").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn entries_are_bytes_with_a_revision() {
    let world = world().await;
    let put = world.put("/v1/entries/a?if_revision=0", "\x00\x01").await.ok();
    let revision = put["revision"].as_u64().unwrap();
    assert_eq!(world.put("/v1/entries/a?if_revision=0", "x").await.status, StatusCode::PRECONDITION_FAILED);
    let got = world.get("/v1/entries/a").await;
    assert_eq!((&got.body[..], got.header("entry-revision")), (&b"\x00\x01"[..], &*revision.to_string()));
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    world.put("/v1/entries/b", "x").await.ok();
    let listed = world.get("/v1/entries?prefix=a").await.ok();
    assert_eq!(listed["entries"].as_array().unwrap().len(), 1);
    world.delete(&format!("/v1/entries/a?if_revision={revision}")).await.ok();
    assert_eq!(world.delete("/v1/entries/a").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_registry_tells_about_itself() {
    let world = world().await;
    world.add("web", "a").await;
    let said = world.get("/v1/status").await.ok();
    assert_eq!(
        (&said["instances"], &said["ready"], &said["engine"]),
        (&json!(1), &json!(true), &json!("memory"))
    );
    assert_eq!(world.get("/readyz").await.body, "ready\n");
    assert_eq!(world.get("/healthz").await.body, "ok\n");
    let metrics = String::from_utf8(world.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("switchboard_registry_instances 1"), "{metrics}");
    assert!(metrics.contains("# TYPE switchboard_registry_commits_total counter\n"), "{metrics}");
    let description = world.get("/v1/openapi.json").await.ok();
    assert!(description["paths"]["/v1/register"]["post"].is_object());
}

use std::time::Duration;

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_stream_tells_changes_with_health_before_and_after() {
    let world = world().await;
    let mut events = Events::open(&world, "/v1/watch?service=web", None).await;
    assert_eq!(events.any().await.unwrap().kind, "progress", "a stream says at once where it begins");
    world.add("web", "a").await;
    world.add("other", "x").await;
    world.put("/v1/instances/a/status", r#"{"status":"critical","output":"on fire"}"#).await.ok();
    world.delete("/v1/instances/a").await.ok();
    let event = events.next().await;
    assert_eq!(
        (event.id.as_deref(), &event.data["kind"], &event.data["to"]),
        (Some("1"), &json!("registered"), &json!("passing"))
    );
    let event = events.next().await;
    assert_eq!((&event.data["from"], &event.data["to"]), (&json!("passing"), &json!("critical")));
    assert!(event.data["why"][0].as_str().unwrap().contains("on fire"));
    let event = events.next().await;
    assert_eq!((&event.data["kind"], event.data.get("instance")), (&json!("deregistered"), None));
}

#[tokio::test]
async fn a_stream_resumes_after_the_last_event_it_heard() {
    let world = world().await;
    for id in ["a", "b", "c"] {
        world.add("web", id).await;
    }
    let mut events = Events::open(&world, "/v1/watch?service=web", Some("1")).await;
    assert_eq!(events.next().await.data["id"], "b");
    assert_eq!(events.next().await.data["id"], "c");
    let mut events = Events::open(&world, "/v1/watch?prefix=W&since=2", None).await;
    assert_eq!(events.next().await.data["id"], "c");
}

#[tokio::test]
async fn everything_with_health_can_be_watched() {
    let world = world().await;
    let mut events = Events::open(&world, "/v1/watch", None).await;
    world.add("web", "a").await;
    world.register(r#"{"service":"api","host":"h","id":"b","namespace":"prod"}"#).await;
    assert_eq!(events.next().await.data["service"], "web");
    assert_eq!(events.next().await.data["namespace"], "prod");
}

/// A client that loses the stream between two changes of one revision must hear both of them again.
#[tokio::test]
async fn only_the_last_change_of_a_revision_has_its_id() {
    let world = world().await;
    world.put("/v1/nodes/n1", r#"{"host":"10.0.0.9"}"#).await.ok();
    for id in ["a", "b"] {
        world.register(format!(r#"{{"service":"web","host":"h","id":"{id}","node":"n1"}}"#)).await;
    }
    let mut events = Events::open(&world, "/v1/watch?service=web", None).await;
    let revision =
        world.put("/v1/nodes/n1/checks/disk", r#"{"type":"manual"}"#).await.ok()["revision"].to_string();
    let (first, second) = (events.next().await, events.next().await);
    assert_eq!((first.id, second.id), (None, Some(revision)));
}

#[tokio::test]
async fn a_long_poll_answers_with_changes_or_when_its_time_is_over() {
    let world = world().await;
    let quiet = world.get("/v1/watch?service=web&wait=50ms").await.ok();
    assert_eq!(quiet, json!({ "revision": 0, "changes": [] }));
    let (said, _) = tokio::join!(world.get("/v1/watch?service=web&since=0&wait=20s"), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.add("web", "a").await
    });
    let said = said.ok();
    assert_eq!((&said["revision"], &said["changes"][0]["id"]), (&json!(1), &json!("a")));
}

#[tokio::test]
async fn stopping_ends_a_stream_with_a_word() {
    let world = world().await;
    let mut events = Events::open(&world, "/v1/watch", None).await;
    assert_eq!(events.any().await.unwrap().kind, "progress");
    world.registry.stop().await.unwrap();
    assert_eq!(events.next().await.kind, "stopping");
    assert!(events.any().await.is_none());
}

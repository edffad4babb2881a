//! Answers that are encoded once and kept must never be older than what they tell.

use crate::support::world;

#[tokio::test]
async fn the_newest_output_of_a_check_shows_though_nothing_was_committed() {
    let world = world().await;
    world.register(r#"{"ID": "w", "Name": "web", "Check": {"TTL": "1h", "Status": "passing"}}"#).await;
    let read = async || world.get("/v1/health/service/web?passing").await;
    let output = |answer: &crate::support::Answer| answer.ok()[0]["Checks"][1]["Output"].clone();
    assert_eq!(output(&read().await), "");
    let index = read().await.index();
    for word in ["first", "second", "second", "third"] {
        world.put(&format!("/v1/agent/check/pass/service:w?note={word}"), "").await;
        assert_eq!(output(&read().await), word);
    }
    assert_eq!(read().await.index(), index, "words alone wake nobody");
}

#[tokio::test]
async fn a_check_of_the_node_speaks_in_the_service_as_well() {
    let world = world().await;
    world.register(r#"{"ID": "w", "Name": "web"}"#).await;
    world.put("/v1/agent/check/register", r#"{"Name": "disk", "TTL": "1h", "Status": "passing"}"#).await;
    for word in ["half", "full"] {
        world.put(&format!("/v1/agent/check/pass/disk?note={word}"), "").await;
        let answer = world.get("/v1/health/service/web").await;
        assert!(answer.text().contains(word), "{}", answer.text());
    }
}

#[tokio::test]
async fn the_list_of_services_follows_every_registration() {
    let world = world().await;
    let tags = async |service: &str| world.get("/v1/catalog/services").await.ok()[service].clone();
    assert!(tags("web").await.is_null());
    world.register(r#"{"ID": "w", "Name": "web", "Tags": ["a"]}"#).await;
    assert_eq!(tags("web").await, serde_json::json!(["a"]));
    world.register(r#"{"ID": "w", "Name": "web", "Tags": ["b"]}"#).await;
    assert_eq!(tags("web").await, serde_json::json!(["b"]));
    // One that is narrowed is not the one that is kept.
    let narrowed = world.get("/v1/catalog/services?filter=ServiceName==none").await.ok();
    assert!(narrowed.get("web").is_none());
    assert_eq!(tags("web").await, serde_json::json!(["b"]));
    world.put("/v1/agent/service/deregister/w", "").await;
    assert!(tags("web").await.is_null());
}

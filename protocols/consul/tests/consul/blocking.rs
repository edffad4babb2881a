use std::time::Duration;

use serde_json::json;

use crate::support::world;

#[tokio::test]
async fn a_query_wakes_for_its_own_service_only() {
    let world = world().await;
    world.register(r#"{"ID":"a","Name":"web"}"#).await;
    let index = world.get("/v1/health/service/web").await.index();
    let waiting = {
        let world = world.clone();
        tokio::spawn(
            async move { world.get(&format!("/v1/health/service/web?index={index}&wait=60s")).await },
        )
    };
    world.register(r#"{"Name":"other"}"#).await;
    world.register(r#"{"ID":"a","Name":"web"}"#).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    world.register(r#"{"ID":"b","Name":"web"}"#).await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer.ok().as_array().unwrap().len(), 2);
    assert!(answer.index() > index);
}

#[tokio::test]
async fn absence_is_waited_for_and_its_end_is_told() {
    let world = world().await;
    world.register(r#"{"Name":"gone"}"#).await;
    world.put("/v1/agent/service/deregister/gone", "").await;
    let index = world.get("/v1/health/service/web").await.index();
    let waiting = {
        let world = world.clone();
        tokio::spawn(
            async move { world.get(&format!("/v1/health/service/web?index={index}&wait=60s")).await },
        )
    };
    world.register(r#"{"Name":"gone"}"#).await;
    world.put("/v1/agent/service/deregister/gone", "").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "somebody else's end is no news");
    world.register(r#"{"Name":"web"}"#).await;
    assert_eq!(waiting.await.unwrap().ok()[0]["Service"]["ID"], "web");
    // A client that missed the end is told at once.
    let index = world.get("/v1/health/service/web").await.index();
    world.put("/v1/agent/service/deregister/web", "").await;
    let answer = world.get(&format!("/v1/health/service/web?index={index}&wait=60s")).await;
    assert_eq!(answer.ok(), json!([]));
}

#[tokio::test]
async fn a_timeout_answers_with_the_same_index_and_an_index_from_elsewhere_with_a_smaller_one() {
    let world = world().await;
    world.register(r#"{"Name":"web"}"#).await;
    let index = world.get("/v1/health/service/web").await.index();
    for given in [index, 1_000_000, u64::MAX] {
        let answer = world.get(&format!("/v1/health/service/web?index={given}&wait=20ms")).await;
        assert_eq!((answer.status.as_u16(), answer.index()), (200, index), "index={given}");
    }
}

#[tokio::test]
async fn an_output_alone_moves_no_index() {
    let world = world().await;
    world.register(r#"{"Name":"web","Check":{"TTL":"30s"}}"#).await;
    world.put("/v1/agent/check/pass/service:web?note=one", "").await;
    let before = world.get("/v1/health/service/web").await;
    world.put("/v1/agent/check/pass/service:web?note=two", "").await;
    let after = world.get("/v1/health/service/web").await;
    assert_eq!(before.index(), after.index());
    assert_eq!(after.ok()[0]["Checks"][1]["Output"], "two");
}

#[tokio::test]
async fn lists_have_the_index_of_their_own_kind() {
    let world = world().await;
    world.register(r#"{"Name":"web","Check":{"TTL":"30s"}}"#).await;
    let services = world.get("/v1/catalog/services").await.index();
    let nodes = world.get("/v1/catalog/nodes").await.index();
    let states = world.get("/v1/health/state/any").await.index();
    world.put("/v1/agent/check/pass/service:web", "").await;
    assert_eq!(world.get("/v1/catalog/services").await.index(), services);
    assert_eq!(world.get("/v1/catalog/nodes").await.index(), nodes);
    assert!(world.get("/v1/health/state/any").await.index() > states);
}

#[tokio::test]
async fn a_server_that_stops_keeps_nobody_waiting() {
    let world = world().await;
    world.register(r#"{"Name":"web"}"#).await;
    let index = world.get("/v1/health/service/web").await.index();
    let hash = world.get("/v1/agent/service/web").await.ok()["ContentHash"].as_str().unwrap().to_owned();
    let paths = [
        format!("/v1/health/service/web?index={index}&wait=5m"),
        "/v1/health/service/web?index=1000000&wait=5m".to_owned(),
        format!("/v1/agent/service/web?hash={hash}&wait=5m"),
    ];
    let waiting = paths.map(|path| {
        let world = world.clone();
        tokio::spawn(async move { world.get(&path).await })
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.stop();
    for answer in waiting {
        let answer = answer.await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.text()), (500, "No cluster leader"));
    }
}

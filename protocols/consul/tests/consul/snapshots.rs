use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::support::{world, world_with};

#[tokio::test]
async fn what_was_saved_is_all_there_is_after_it_is_restored() {
    let world = world().await;
    world.register(r#"{"Name":"web","Port":80,"Tags":["a"],"Check":{"TTL":"30s","Status":"passing"}}"#).await;
    world
        .put("/v1/catalog/register", r#"{"Node":"n1","Address":"10.0.0.1","Service":{"Service":"db"}}"#)
        .await;
    world.call(http::Method::POST, "/v1/query", r#"{"Name":"q","Service":{"Service":"db"}}"#).await;
    let saved = world.get("/v1/snapshot").await;
    assert_eq!(
        (saved.status, &saved.headers["x-consul-knownleader"]),
        (StatusCode::OK, &"true".parse().unwrap())
    );
    let before =
        [world.get("/v1/health/service/web").await.ok(), world.get("/v1/health/service/db").await.ok()];
    assert!(saved.index() > 1);

    world.put("/v1/agent/service/deregister/web", "").await;
    world.put("/v1/catalog/deregister", r#"{"Node":"n1"}"#).await;
    world.register(r#"{"Name":"late"}"#).await;
    let restored = world.put("/v1/snapshot", saved.body.clone()).await;
    assert_eq!((restored.status, restored.text()), (StatusCode::OK, ""));
    assert_eq!(world.get("/v1/health/service/late").await.ok(), json!([]));
    let after =
        [world.get("/v1/health/service/web").await.ok(), world.get("/v1/health/service/db").await.ok()];
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before[0]["Service"]["Tags"], after[0]["Service"]["Tags"]);
        assert_eq!(
            before[0]["Checks"].as_array().unwrap().len(),
            after[0]["Checks"].as_array().unwrap().len()
        );
        assert_eq!(before[0]["Node"]["Address"], after[0]["Node"]["Address"]);
    }
    assert_eq!(world.get("/v1/query").await.ok()[0]["Name"], "q");
    // Once more is no change, and into another registry it is a move.
    let index = world.get("/v1/catalog/services").await.index();
    assert_eq!(world.put("/v1/snapshot", saved.body.clone()).await.status, StatusCode::OK);
    assert_eq!(world.get("/v1/catalog/services").await.index(), index);
    let other = world_with("node_name = 'there'").await;
    assert_eq!(other.put("/v1/snapshot", saved.body.clone()).await.status, StatusCode::OK);
    assert_eq!(other.get("/v1/health/service/web").await.ok()[0]["Node"]["Node"], "here");
    assert!(other.get("/v1/catalog/node/there").await.ok()["Node"].is_object(), "it has its own node still");
}

#[tokio::test]
async fn what_is_no_snapshot_changes_nothing() {
    let world = world_with("node_name = 'here'\nsnapshot_records = 6\nsnapshot_bytes = 3000").await;
    world.register(r#"{"Name":"web"}"#).await;
    let saved = world.get("/v1/snapshot").await.body;
    let mut damaged = saved.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let index = world.get("/v1/catalog/services").await.index();
    for (body, status, said) in [
        (Bytes::new(), 500, "failed to restore snapshot: the archive is cut short"),
        (Bytes::from_static(b"\x1f\x8b\x08\x00 some tar"), 500, "this is no archive of this registry"),
        (saved.slice(..saved.len() - 3), 500, "cut short"),
        (damaged.into(), 500, "damaged"),
        ([&saved[..], b"more"].concat().into(), 500, "something follows the end"),
        ([b"switchboard archive 1\n", &[0x61; 9000][..]].concat().into(), 413, "consul.snapshot_bytes"),
    ] {
        let answer = world.put("/v1/snapshot", body).await;
        assert_eq!(answer.status.as_u16(), status, "{said}: {answer:?}");
        assert!(answer.text().contains(said), "{said}: {answer:?}");
    }
    assert_eq!(world.get("/v1/catalog/services").await.index(), index);
    for n in 0..5 {
        world.register(format!(r#"{{"Name":"web{n}"}}"#)).await;
    }
    let larger = world.get("/v1/snapshot").await.body;
    let answer = world.put("/v1/snapshot", larger).await;
    assert!(answer.text().contains("more than 6 records"), "{answer:?}");
}

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchboard_model::{Id, Instance, InstanceKey, Lifecycle, Name};
use switchboard_registry::Caller;
use switchboard_registry::plan::{Deregister, Keep, Register};

use crate::support::{Answer, World, world};

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

/// A request that is under way.
fn later(world: &World, path: &str) -> tokio::task::JoinHandle<Answer> {
    let (world, path) = (world.clone(), path.to_owned());
    tokio::spawn(async move { world.get(&path).await })
}

/// What nobody of the catalogue's readers sees woke most of them: the catalogue was read again and again on every node whose checks
/// changed their minds.
#[tokio::test]
async fn a_check_wakes_nobody_who_does_not_see_it() {
    let world = world().await;
    world.register(r#"{"ID":"a","Name":"web","Check":{"TTL":"30s"}}"#).await;
    world.put("/v1/agent/check/register", r#"{"Name":"disk","TTL":"30s"}"#).await;
    let paths = ["nodes", "node/here", "node-services/here", "service/web", "services", "service/consul"];
    let mut waiting = Vec::new();
    for path in paths {
        let path = format!("/v1/catalog/{path}");
        let index = world.get(&path).await.index();
        waiting.push((path.clone(), later(&world, &format!("{path}?index={index}&wait=60s"))));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    for check in ["service:a", "disk"] {
        for word in ["pass", "warn", "pass"] {
            let answer = world.put(&format!("/v1/agent/check/{word}/{check}"), "").await;
            assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Now something that shows in each of them.
    world.put("/v1/catalog/register", r#"{"Node":"news","Address":"10.0.0.1"}"#).await;
    world.register(r#"{"ID":"b","Name":"web","Tags":["news"]}"#).await;
    world
        .put("/v1/catalog/register", r#"{"Node":"here","Address":"127.0.0.1","NodeMeta":{"news":"1"}}"#)
        .await;
    for (path, waiting) in waiting {
        let answer = waiting.await.unwrap();
        assert!(answer.text().contains("news"), "{path} was woken by a check: {answer:?}");
    }
}

/// A list of checks was told anew with every service and node that has none.
#[tokio::test]
async fn checks_are_woken_by_checks_only() {
    let world = world().await;
    world.register(r#"{"Name":"web","Check":{"TTL":"30s"}}"#).await;
    world.put("/v1/agent/check/register", r#"{"Name":"disk","TTL":"30s"}"#).await;
    let paths = ["/v1/health/state/any", "/v1/health/node/here", "/v1/health/checks/web"];
    let waiting = paths.map(|path| {
        let world = world.clone();
        tokio::spawn(async move {
            let index = world.get(path).await.index();
            (path, world.get(&format!("{path}?index={index}&wait=60s")).await)
        })
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.register(r#"{"Name":"plain"}"#).await;
    world.put("/v1/catalog/register", r#"{"Node":"n1","Address":"10.0.0.1"}"#).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.put("/v1/agent/check/pass/service:web?note=news", "").await;
    for waiting in waiting {
        let (path, answer) = waiting.await.unwrap();
        assert!(answer.text().contains("news"), "{path} was woken by what has no check: {answer:?}");
    }
    // A check of its node is not one of its own.
    let index = world.get("/v1/health/checks/web").await.index();
    let waiting = later(&world, &format!("/v1/health/checks/web?index={index}&wait=60s"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.put("/v1/agent/check/pass/disk", "").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.put("/v1/agent/check/warn/service:web?note=later", "").await;
    assert!(waiting.await.unwrap().text().contains("later"));
}

#[tokio::test]
async fn the_registry_as_a_service_is_woken_by_its_own_node_only() {
    let world = world().await;
    for path in ["/v1/catalog/service/consul", "/v1/health/service/consul"] {
        let index = world.get(path).await.index();
        let waiting = later(&world, &format!("{path}?index={index}&wait=60s"));
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.put("/v1/catalog/register", format!(r#"{{"Node":"n{index}","Address":"10.0.0.1"}}"#)).await;
        world.register(format!(r#"{{"Name":"web{index}"}}"#)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let own = format!(r#"{{"Node":"here","Address":"127.0.0.1","NodeMeta":{{"news":"{index}"}}}}"#);
        world.put("/v1/catalog/register", own).await;
        let answer = waiting.await.unwrap();
        assert!(answer.text().contains("news"), "{path} was woken by another node: {answer:?}");
    }
}

/// Nodes that nobody registered are there while instances name them, and what comes and goes with an instance is news.
#[tokio::test]
async fn a_node_that_is_only_named_comes_and_goes() {
    let world = world().await;
    let name = |text| Name::parse("name", text).unwrap();
    let key = Arc::new(InstanceKey {
        namespace: Name::default_namespace(),
        service: name("web"),
        node: Some(name("named")),
        id: Id::parse("id", "a").unwrap(),
    });
    let instance = Instance {
        key: key.clone(),
        address: "10.0.0.1".into(),
        ports: Default::default(),
        tags: Default::default(),
        metadata: Default::default(),
        weight: 1,
        warning_weight: None,
        zone: None,
        lifecycle: Lifecycle::Up,
        lease: None,
        origin: "test".into(),
        annex: Default::default(),
    };
    let is_there = |answer: &Answer| answer.text().contains("named");
    let before = world.get("/v1/catalog/nodes").await;
    let waiting = later(&world, &format!("/v1/catalog/nodes?index={}&wait=60s", before.index()));
    let register = Register { instance, checks: None, keep: Keep::Forever };
    world.registry.submit(&Caller::internal("test"), register).await.unwrap();
    let with = waiting.await.unwrap();
    assert!(!is_there(&before) && is_there(&with));
    // It goes while nobody waits.
    world.registry.submit(&Caller::internal("test"), Deregister { key }).await.unwrap();
    let after = world.get(&format!("/v1/catalog/nodes?index={}&wait=60s", with.index())).await;
    assert!(!is_there(&after));
}

/// Such a client waited for all of its time, whatever happened.
#[tokio::test]
async fn an_index_from_another_life_is_answered_once_it_is_overtaken() {
    let world = world().await;
    world.register(r#"{"Name":"web"}"#).await;
    let mut n = 0;
    for path in ["/v1/health/service/web", "/v1/catalog/service/web", "/v1/catalog/services", "/v1/kv/a"] {
        let given = world.registry.head().0 + 2;
        let waiting = later(&world, &format!("{path}?index={given}&wait=5m"));
        tokio::time::sleep(Duration::from_millis(50)).await;
        while world.registry.head().0 <= given {
            assert!(!waiting.is_finished(), "{path}");
            n += 1;
            world.register(format!(r#"{{"ID":"{n}","Name":"web"}}"#)).await;
        }
        world.put("/v1/kv/a", n.to_string()).await;
        let answer = waiting.await.unwrap();
        assert!(answer.index() > given, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_hash_is_waited_on_like_an_index() {
    let world = world().await;
    world.register(r#"{"Name":"web"}"#).await;
    let hash = |answer: &Answer| answer.ok()["ContentHash"].as_str().unwrap().to_owned();
    let before = hash(&world.get("/v1/agent/service/web").await);
    // No wait is none that was asked for.
    let waits = ["wait=0s", "wait=-3s", "wait=0", "wait=24h"];
    let waiting =
        waits.map(|wait| (wait, later(&world, &format!("/v1/agent/service/web?hash={before}&{wait}"))));
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.register(r#"{"Name":"web","Tags":["news"]}"#).await;
    for (wait, waiting) in waiting {
        assert_ne!(hash(&waiting.await.unwrap()), before, "{wait}");
    }
    let after = world.get("/v1/agent/service/web").await;
    let too_late = world.get(&format!("/v1/agent/service/web?hash={}&wait=10ms", hash(&after))).await;
    assert_eq!(after.body, too_late.body);
    for wrong in ["wait=zz", "index=zz", "index=-1"] {
        let answer = world.get(&format!("/v1/agent/service/web?{wrong}")).await;
        assert_eq!(answer.status.as_u16(), 400, "{wrong}: {answer:?}");
    }
}

/// A request for a hash went round and round on a registry that had ended.
#[tokio::test]
async fn a_registry_that_has_ended_keeps_nobody_waiting() {
    let world = world().await;
    world.register(r#"{"Name":"web"}"#).await;
    let index = world.get("/v1/health/service/web").await.index();
    let hash = world.get("/v1/agent/service/web").await.ok()["ContentHash"].as_str().unwrap().to_owned();
    let paths = [
        format!("/v1/health/service/web?index={index}&wait=5m"),
        format!("/v1/agent/service/web?hash={hash}&wait=5m"),
    ];
    let waiting = paths.map(|path| later(&world, &path));
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.registry.stop().await.unwrap();
    for answer in waiting {
        let answer = answer.await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.text()), (500, "No cluster leader"));
    }
}

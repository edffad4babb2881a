use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{World, world};

impl World {
    async fn names(&self, query: &str) -> Vec<String> {
        let said = self.get(&format!("/v1/event/list{query}")).await.ok();
        said.as_array().unwrap().iter().map(|event| event["Name"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn events_are_fired_and_listed() {
    let world = world().await;
    let none = world.get("/v1/event/list").await;
    assert_eq!((none.text(), none.index()), ("[]", 1));
    let fired = world.put("/v1/event/fire/deploy", "v2").await.ok();
    assert_eq!(
        (&fired["Payload"], &fired["Version"], &fired["LTime"]),
        (&json!("djI="), &json!(1), &json!(0))
    );
    world.put("/v1/event/fire/other?node=%5Eelse", "").await;
    world.register(r#"{"Name":"web","Tags":["v1"]}"#).await;
    for (fire, arrives) in [
        ("service=we", true),
        ("service=db", false),
        ("service=web&tag=v1", true),
        ("service=web&tag=v2", false),
    ] {
        world.put(&format!("/v1/event/fire/{}?{fire}", arrives), "").await;
    }
    assert_eq!(world.names("").await, ["deploy", "true", "true"], "the others are not for this node");
    assert_eq!(world.names("?name=deploy").await, ["deploy"]);
    world.put("/v1/catalog/register", r#"{"Node":"else","Address":"10.0.0.1"}"#).await;
    assert_eq!(world.names("?node=else").await, ["deploy", "other"]);
    assert_eq!(world.names("?service=web&tag=v1").await, ["deploy", "true", "true"]);
    let said = world.get("/v1/event/list?name=deploy").await;
    assert_eq!((&said.ok()[0]["ID"], &said.ok()[0]["NodeFilter"]), (&fired["ID"], &json!("")));
    let id = fired["ID"].as_str().unwrap().replace('-', "");
    let (high, low) = id.split_at(16);
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    assert_eq!(said.index(), number(high) ^ number(low));
}

#[tokio::test]
async fn a_watch_of_events_waits_for_the_next_that_it_asks_for() {
    let world = world().await;
    world.put("/v1/event/fire/a", "").await;
    let index = world.get("/v1/event/list?name=a").await.index();
    let waiting = tokio::spawn({
        let world = world.clone();
        async move { world.get(&format!("/v1/event/list?name=a&index={index}&wait=1m")).await.ok() }
    });
    world.put("/v1/event/fire/b", "").await;
    world.put("/v1/event/fire/a", "2").await;
    let events: Vec<Value> = waiting.await.unwrap().as_array().unwrap().clone();
    assert_eq!(events.last().unwrap()["Payload"], "Mg==");
    // Nothing new until the wait is over: the same again, at the same index.
    let index = world.get("/v1/event/list").await.index();
    assert_eq!(world.get(&format!("/v1/event/list?index={index}&wait=50ms")).await.index(), index);
    // Whoever waits when the server goes is told so.
    let waiting = tokio::spawn({
        let world = world.clone();
        async move { world.get(&format!("/v1/event/list?index={index}&wait=5m")).await.status }
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    world.stop();
    assert_eq!(waiting.await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn what_is_no_event_is_refused_and_the_last_256_are_remembered() {
    let world = world().await;
    for (path, status, said) in [
        ("/v1/event/fire/", 400, "Missing name"),
        ("/v1/event/fire/x?tag=a", 500, "Cannot provide tag filter without service filter"),
        ("/v1/event/fire/x?node=(", 500, "Invalid node filter: error parsing regexp: missing closing ): `(`"),
        ("/v1/event/fire/x?service=%5B", 500, "Invalid service filter"),
    ] {
        let answer = world.put(path, "").await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert!(answer.text().contains(said), "{path}: {answer:?}");
    }
    let large = world.put("/v1/event/fire/x", "p".repeat(512)).await;
    assert!(large.text().contains("exceeds configured limit of 512 bytes"), "{large:?}");
    assert_eq!(world.get("/v1/event/list?node=(").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    for n in 0..260 {
        world.put(&format!("/v1/event/fire/e{n}"), "").await;
    }
    let names = world.names("").await;
    assert_eq!((names.len(), names[0].as_str(), names[255].as_str()), (256, "e4", "e259"));
}

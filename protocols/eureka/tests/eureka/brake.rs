//! What happens when too many fall silent at once, as users of Eureka see it.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{World, but, eventually, java, world};

const MANY: usize = 30;

async fn told(world: &World) -> Value {
    world.get("/eureka/status").await.json()
}

async fn crowd(world: &World) {
    for id in 0..MANY {
        let short = json!({ "leaseInfo": { "durationInSecs": 1, "renewalIntervalInSecs": 1 } });
        world.register(&but(java("WEB", &format!("w{id}")), short)).await;
    }
}

#[tokio::test]
async fn mass_silence_is_held_back_and_said_with_its_reason_until_it_ends() {
    let world = world().await;
    crowd(&world).await;
    let calm = told(&world).await;
    assert_eq!(calm["brake"]["state"], "idle");
    assert!(calm["brake"]["reason"].as_str().unwrap().contains("15 %"), "{calm}");
    eventually("it holds back", || async { told(&world).await["brake"]["state"] == "holding" }).await;
    eventually("some are gone and the rest is kept", || async {
        let now = told(&world).await;
        let count = |name: &str| now["applicationStats"][name].as_u64().unwrap_or(0);
        count("kept-in-service-although-silent") >= 10 && count("lapsed") >= 1
    })
    .await;
    let now = told(&world).await;
    assert!(now["brake"]["reason"].as_str().unwrap().contains("are kept in service although"), "{now}");
    let page = world.get("/").await;
    for words in [
        "are kept in service although they fell silent",
        "too many instances fell silent at once: kept in service",
    ] {
        assert!(page.text().contains(words), "{words:?} is not on the page");
    }
    // To clients they are UP, and those that are not held back are DOWN: nobody is sent to all of nobody.
    let all = world.get("/eureka/apps/WEB").await.json();
    let instances = all["application"]["instance"].as_array().unwrap();
    assert!(instances.iter().filter(|one| one["status"] == "UP").count() >= 10, "{all}");
    // As soon as they are heard of again it is over, without anyone doing anything.
    for id in 0..MANY {
        let status = world.put(&format!("/eureka/apps/WEB/w{id}?status=UP")).await;
        assert!(matches!(status, StatusCode::OK | StatusCode::NOT_FOUND));
    }
    eventually("it is over", || async {
        for id in 0..MANY {
            world.put(&format!("/eureka/apps/WEB/w{id}?status=UP")).await;
        }
        told(&world).await["brake"]["state"] == "idle"
    })
    .await;
}

use http::{Method, StatusCode};
use serde_json::json;
use switchboard_model::{Health, Lifecycle};
use switchboard_registry::Caller;
use switchboard_registry::plan::SetLifecycle;

use crate::support::{but, java, world};

#[tokio::test]
async fn a_status_laid_over_stays_whatever_the_client_says() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    assert_eq!(world.put("/eureka/apps/WEB/w/status?value=OUT_OF_SERVICE").await, StatusCode::OK);
    let shown = world.instance("WEB", "w").await;
    assert_eq!(
        (&shown["status"], &shown["overriddenStatus"]),
        (&json!("OUT_OF_SERVICE"), &json!("OUT_OF_SERVICE"))
    );
    assert_eq!(world.health("web", "w"), Health::OutOfService);
    assert_eq!(
        world.put("/eureka/apps/WEB/w?status=UP&lastDirtyTimestamp=1700000000000").await,
        StatusCode::OK
    );
    world.register(&java("WEB", "w")).await;
    assert_eq!(world.status("WEB", "w").await, "OUT_OF_SERVICE");
    let all = world.get("/eureka/serverinfo/statusoverrides").await.json();
    assert_eq!(all, json!({ "w": "OUT_OF_SERVICE" }));
}

#[tokio::test]
async fn when_it_is_taken_away_the_client_is_asked_to_say_its_own() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    world.put("/eureka/apps/WEB/w/status?value=OUT_OF_SERVICE").await;
    assert_eq!(world.delete("/eureka/apps/WEB/w/status").await, StatusCode::OK);
    let shown = world.instance("WEB", "w").await;
    assert_eq!((&shown["status"], &shown["overriddenStatus"]), (&json!("UNKNOWN"), &json!("UNKNOWN")));
    assert_eq!(world.put("/eureka/apps/WEB/w?status=UP").await, StatusCode::NOT_FOUND);
    world.register(&java("WEB", "w")).await;
    assert_eq!((world.status("WEB", "w").await, world.health("web", "w")), ("UP".into(), Health::Passing));
    world.put("/eureka/apps/WEB/w/status?value=DOWN").await;
    assert_eq!(world.delete("/eureka/apps/WEB/w/status?value=UP").await, StatusCode::OK);
    assert_eq!(world.status("WEB", "w").await, "UP");
    assert_eq!(world.put("/eureka/apps/WEB/w?status=UP").await, StatusCode::OK);
}

#[tokio::test]
async fn statuses_have_one_meaning_in_every_protocol() {
    let world = world().await;
    for (status, health) in [
        ("UP", Health::Passing),
        ("DOWN", Health::Critical),
        ("STARTING", Health::Starting),
        ("OUT_OF_SERVICE", Health::OutOfService),
        ("UNKNOWN", Health::Critical),
    ] {
        world.register(&but(java("WEB", status), json!({ "status": status }))).await;
        assert_eq!(
            (world.health("web", status), world.status("WEB", status).await),
            (health, status.to_owned())
        );
        assert_eq!(world.put(&format!("/eureka/apps/WEB/UP/status?value={status}")).await, StatusCode::OK);
        assert_eq!((world.health("web", "UP"), world.status("WEB", "UP").await), (health, status.to_owned()));
    }
    let hash = world.get("/eureka/apps").await.json()["applications"]["apps__hashcode"].take();
    assert_eq!(hash, "DOWN_1_OUT_OF_SERVICE_1_STARTING_1_UNKNOWN_2_");
}

#[tokio::test]
async fn a_word_that_is_none_of_the_five_is_refused() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    for value in ["", "?value=up", "?value=SIDEWAYS"] {
        let status = world.put(&format!("/eureka/apps/WEB/w/status{value}")).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{value}");
    }
    assert_eq!(world.put("/eureka/apps/WEB/nobody/status?value=UP").await, StatusCode::NOT_FOUND);
    assert_eq!(world.delete("/eureka/apps/WEB/nobody/status").await, StatusCode::NOT_FOUND);
    assert_eq!(world.status("WEB", "w").await, "UP");
}

#[tokio::test]
async fn what_drains_by_another_protocol_goes_on_draining_when_its_client_registers_again() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    let view = world.registry.view(&Caller::internal("test")).unwrap();
    let key = view.find_instance("default", "w", None, None).unwrap().key().clone();
    let wish = SetLifecycle { key, lifecycle: Lifecycle::Draining };
    world.registry.submit(&Caller::internal("test"), wish).await.unwrap();
    assert_eq!(world.status("WEB", "w").await, "OUT_OF_SERVICE");
    world.register(&java("WEB", "w")).await;
    assert_eq!(world.health("web", "w"), Health::Draining);
}

#[tokio::test]
async fn an_instance_of_another_protocol_can_be_taken_out_and_put_back() {
    let world = world().await;
    world.register_elsewhere("u1", |_| {}).await;
    for value in ["OUT_OF_SERVICE", "DOWN", "UNKNOWN"] {
        let path = format!("/eureka/apps/USER-SERVICE/u1/status?value={value}");
        assert_eq!(world.put(&path).await, StatusCode::OK);
        assert_eq!(world.status("USER-SERVICE", "u1").await, value);
        let answer = world.ask(Method::DELETE, "/eureka/apps/USER-SERVICE/u1/status", &[], "").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(world.health("user-service", "u1"), Health::Passing, "{value}");
    }
}

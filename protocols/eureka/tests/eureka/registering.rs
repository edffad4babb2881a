use http::{Method, StatusCode};
use serde_json::{Value, json};
use switchboard_model::Health;

use crate::support::{but, java, world};

#[tokio::test]
async fn who_registers_is_found_until_it_cancels() {
    let world = world().await;
    world.register(&java("USER-SERVICE", "a:1")).await;
    let all = world.get("/eureka/apps/").await.json();
    assert_eq!(all["applications"]["apps__hashcode"], "UP_1_");
    assert_eq!(all["applications"]["versions__delta"], "1");
    assert_eq!(all["applications"]["application"][0]["name"], "USER-SERVICE");
    let instance = &all["applications"]["application"][0]["instance"][0];
    for (member, value) in java("USER-SERVICE", "a:1").as_object().unwrap() {
        match member.as_str() {
            // Ours to say.
            "lastUpdatedTimestamp" => assert_ne!(&instance[member], value),
            "leaseInfo" => {
                assert_eq!(instance[member]["durationInSecs"], 90);
                assert!(instance[member]["registrationTimestamp"].as_u64().unwrap() > 1_700_000_000_000);
            }
            "sid" => assert_eq!(instance[member], Value::Null),
            _ => assert_eq!(&instance[member], value, "{member}"),
        }
    }
    assert_eq!(instance["overriddenstatus"], "UNKNOWN");
    assert_eq!(
        world.get("/eureka/v2/apps/user-service").await.json()["application"]["instance"][0],
        *instance
    );
    assert_eq!(world.get("/eureka/instances/a%3A1").await.json()["instance"]["app"], "USER-SERVICE");
    assert_eq!(world.delete("/eureka/apps/USER-SERVICE/a:1").await, StatusCode::OK);
    assert_eq!(world.delete("/eureka/apps/USER-SERVICE/a:1").await, StatusCode::NOT_FOUND);
    let none = world.get("/eureka/apps").await.json();
    assert_eq!(
        (&none["applications"]["application"], &none["applications"]["apps__hashcode"]),
        (&json!([]), &json!(""))
    );
    for gone in ["apps/USER-SERVICE", "apps/USER-SERVICE/a:1", "instances/a:1"] {
        let answer = world.get(&format!("/eureka/{gone}")).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::NOT_FOUND, ""), "{gone}");
    }
}

#[tokio::test]
async fn what_is_missing_is_said_in_eurekas_words_and_order() {
    let world = world().await;
    let mut instance = but(java("WEB", "w"), json!({ "dataCenterInfo": {} }));
    for member in ["instanceId", "hostName", "ipAddr", "app"] {
        instance.as_object_mut().unwrap().remove(member);
    }
    let place = json!({ "name": "MyOwn" });
    for (member, value, why) in [
        ("instanceId", json!("w"), "Missing instanceId"),
        ("hostName", json!("h"), "Missing hostname"),
        ("ipAddr", json!("10.0.0.1"), "Missing ip address"),
        ("app", json!("OTHER"), "Missing appName"),
        ("app", json!("web"), "Mismatched appName, expecting WEB but was OTHER"),
        ("dataCenterInfo", Value::Null, "Missing dataCenterInfo Name"),
        ("dataCenterInfo", place, "Missing dataCenterInfo"),
    ] {
        let answer = world.post("WEB", &json!({ "instance": instance })).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::BAD_REQUEST, why));
        instance[member] = value;
    }
    world.register(&instance).await;
}

#[tokio::test]
async fn the_smallest_registration_that_clients_send_is_taken() {
    let world = world().await;
    let js = json!({"app":"js-app","hostName":"127.0.0.1","ipAddr":"127.0.0.1","port":{"$":9091,"@enabled":true},
        "vipAddress":"js-app","dataCenterInfo":{"name":"MyOwn"},"status":"UP"});
    world.register(&js).await;
    let instance = world.instance("js-app", "127.0.0.1").await;
    assert_eq!(instance["port"], json!({ "$": 9091, "@enabled": "true" }));
    assert_eq!(instance["securePort"]["@enabled"], "false");
    assert_eq!(instance["metadata"], json!({ "@class": "java.util.Collections$EmptyMap" }));
    assert_eq!(instance["leaseInfo"]["durationInSecs"], 90);
    assert_eq!(world.put("/eureka/apps/js-app/127.0.0.1").await, StatusCode::OK);
    let fargo = but(js, json!({ "port": "9092", "leaseInfo": { "durationInSecs": -1 }, "hostName": "h" }));
    world.register(&fargo).await;
    assert_eq!(world.instance("JS-APP", "h").await["port"]["$"], 9092);
}

#[tokio::test]
async fn heartbeats_keep_an_instance_and_make_no_commit() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    let before = world.head();
    for _ in 0..3 {
        let beat = "/eureka/apps/WEB/w?status=UP&lastDirtyTimestamp=1700000000000";
        let answer = world.ask(Method::PUT, beat, &[], "").await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, ""));
    }
    assert_eq!(world.head(), before);
    assert_eq!(world.put("/eureka/apps/WEB/nobody?status=UP").await, StatusCode::NOT_FOUND);
    assert_eq!(world.put("/eureka/apps/NOBODY/w").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn whose_information_is_newer_decides_about_a_heartbeat() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    let older = "/eureka/apps/WEB/w?status=UP&lastDirtyTimestamp=1600000000000";
    let newer = "/eureka/apps/WEB/w?status=UP&lastDirtyTimestamp=1800000000000";
    let peer = [("x-netflix-discovery-replication", "true"), ("accept", "application/json")];
    assert_eq!(world.put(older).await, StatusCode::OK);
    assert_eq!(world.put(newer).await, StatusCode::NOT_FOUND);
    assert_eq!(world.ask(Method::PUT, newer, &peer, "").await.status, StatusCode::NOT_FOUND);
    let conflict = world.ask(Method::PUT, older, &peer, "").await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    let copy: Value = serde_json::from_slice(&conflict.body).unwrap();
    assert_eq!(copy["instance"]["lastDirtyTimestamp"], "1700000000000");
}

#[tokio::test]
async fn a_registration_with_older_information_changes_nothing() {
    let world = world().await;
    let newer = but(java("WEB", "w"), json!({ "lastDirtyTimestamp": 1_800_000_000_000_u64 }));
    world.register(&newer).await;
    let before = world.head();
    world.register(&but(java("WEB", "w"), json!({ "ipAddr": "10.9.9.9" }))).await;
    assert_eq!((world.head(), &world.instance("WEB", "w").await["ipAddr"]), (before, &json!("10.0.0.1")));
    world.register(&but(newer, json!({ "ipAddr": "10.9.9.9" }))).await;
    assert_eq!(world.instance("WEB", "w").await["ipAddr"], "10.9.9.9");
}

#[tokio::test]
async fn a_silent_instance_is_down_after_its_lease_and_a_heartbeat_brings_it_back() {
    let world = world().await;
    let lease = json!({ "leaseInfo": { "renewalIntervalInSecs": 1, "durationInSecs": 1 } });
    world.register(&but(java("WEB", "w"), lease)).await;
    assert_eq!(world.status("WEB", "w").await, "UP");
    crate::support::eventually("it is down", || async { world.status("WEB", "w").await == "DOWN" }).await;
    assert_eq!(world.health("web", "w"), Health::Lapsed);
    assert_eq!(world.put("/eureka/apps/WEB/w?status=UP").await, StatusCode::OK);
    assert_eq!(world.status("WEB", "w").await, "UP");
}

#[tokio::test]
async fn metadata_is_added_pair_by_pair() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    assert_eq!(world.put("/eureka/apps/WEB/w/metadata?a=1&zone=east-2&a=2&b=x%20y").await, StatusCode::OK);
    let metadata = world.instance("WEB", "w").await["metadata"].take();
    assert_eq!(metadata, json!({ "a": "1", "b": "x y", "management.port": "8081", "zone": "east-2" }));
    assert_eq!(world.put("/eureka/apps/WEB/nobody/metadata?a=1").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn vips_are_found_exactly_and_one_by_one() {
    let world = world().await;
    let vips = json!({ "vipAddress": "web,Web-Two", "secureVipAddress": "secure" });
    world.register(&but(java("WEB", "w"), vips)).await;
    world.register(&but(java("OTHER", "o"), json!({ "vipAddress": "web" }))).await;
    let found = async |path: &str| {
        let all = world.get(path).await.json()["applications"].take();
        let count = all["application"].as_array().unwrap().len();
        (count, all["apps__hashcode"].as_str().unwrap().to_owned())
    };
    assert_eq!(found("/eureka/vips/web").await, (2, "UP_2_".into()));
    assert_eq!(found("/eureka/vips/Web-Two").await, (1, "UP_1_".into()));
    assert_eq!(found("/eureka/vips/web-two").await, (0, "".into()));
    assert_eq!(found("/eureka/svips/secure").await, (1, "UP_1_".into()));
}

#[tokio::test]
async fn what_is_not_spoken_is_said() {
    let world = world().await;
    assert_eq!(world.put("/eureka/asg/x/status?value=ENABLED").await, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/eureka/nowhere/at/all").await.status, StatusCode::NOT_FOUND);
    let answer = world.ask(Method::POST, "/eureka/apps", &[], "").await;
    assert_eq!(
        (answer.status, &answer.headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET".parse().unwrap())
    );
}

#[tokio::test]
async fn the_page_for_people_shows_who_is_there() {
    let world = world().await;
    world
        .register(&but(java("WEB", "w"), json!({ "metadata": { "x": "<script>" }, "vipAddress": "web" })))
        .await;
    world.register(&but(java("WEB", "<b>w</b>"), json!({}))).await;
    let page = world.get("/").await;
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(page.text().contains("<td>w</td>") && !page.text().contains("<b>w"), "{}", page.text());
    assert!(page.text().contains("Every instance is told as it is"));
    assert!(world.get("/lastn").await.text().contains("came"));
    assert_eq!(world.get("/eureka/status").await.json()["applicationStats"]["instances"], 2);
}

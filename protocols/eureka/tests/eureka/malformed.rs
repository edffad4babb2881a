//! Whatever arrives, the answer is Eureka's own, and the server goes on.

use http::{Method, StatusCode};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{but, java, world};

#[tokio::test]
async fn broken_bodies_are_refused_and_nothing_is_kept() {
    let world = world().await;
    let deep = "[".repeat(100_000);
    let deep_xml = "<a>".repeat(100_000);
    let many = format!("<instance>{}</instance>", "<app>A</app>".repeat(2));
    for (kind, body) in [
        ("application/json", ""),
        ("application/json", "null"),
        ("application/json", "[]"),
        ("application/json", "{}"),
        ("application/json", r#"{"instance":[]}"#),
        ("application/json", r#"{"instance":{"app":"WEB"}"#),
        ("application/json", r#"{"instance":{"app":{"a":1}}}"#),
        ("application/json", r#"{"instance":{"app":"WEB","port":{"$":"eighty"}}}"#),
        ("application/json", r#"{"instance":{"app":"WEB","port":{"$":99999999999}}}"#),
        ("application/json", r#"{"instance":{"app":"WEB","metadata":[1]}}"#),
        ("application/json", r#"{"instance":{"app":"WEB","lastDirtyTimestamp":-1}}"#),
        ("application/json", "\u{feff}{}"),
        ("application/json", &deep),
        ("application/xml", ""),
        ("application/xml", "text"),
        ("application/xml", "<instance>"),
        ("application/xml", "<instance></application>"),
        ("application/xml", "<instance/><instance/>"),
        ("application/xml", "<application><name>A</name></application>"),
        ("application/xml", "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><instance><app>&b;</app></instance>"),
        ("application/xml", "<instance><app>&lol;</app></instance>"),
        ("application/xml", "<instance><app>&#xfffffff;</app></instance>"),
        ("application/xml", "<instance><port enabled='perhaps'>1</port></instance>"),
        ("application/xml", "<?xml version='1.0' encoding='UTF-16'?><instance/>"),
        ("application/xml", &many),
        ("application/xml", &deep_xml),
        ("application/octet-stream", "<instance"),
        ("text/plain", "\0\0\0"),
    ] {
        let headers = [("content-type", kind)];
        let answer = world.ask(Method::POST, "/eureka/apps/WEB", &headers, body.to_owned()).await;
        let start: String = body.chars().take(80).collect();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{start}");
        assert!(!answer.text().is_empty(), "{start}");
    }
    let bytes: &[u8] = b"{\"instance\":{\"app\":\"\xff\xfe\"}}";
    let answer =
        world.ask(Method::POST, "/eureka/apps/WEB", &[("content-type", "application/json")], bytes).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.head(), 0);
}

#[tokio::test]
async fn words_that_break_the_rules_are_refused_by_name() {
    let world = world().await;
    let long = "x".repeat(5000);
    for (members, field) in [
        (json!({ "instanceId": "a\nb" }), "instanceId"),
        (json!({ "instanceId": long }), "instanceId"),
        (json!({ "hostName": "http://x/", "ipAddr": "not an ip" }), "address"),
        (json!({ "metadata": { "a": "line\nline" } }), "metadata"),
        (json!({ "metadata": { "": "x" } }), "metadata"),
        (json!({ "homePageUrl": "a\u{0007}b" }), "homePageUrl"),
        (json!({ "leaseInfo": { "durationInSecs": 99_999_999_999_i64 } }), "ttl"),
        (json!({ "dataCenterInfo": { "name": "My\u{0000}Own" } }), "dataCenterInfo"),
    ] {
        let answer = world.post("WEB", &json!({ "instance": but(java("WEB", "w"), members) })).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert!(answer.text().contains(field), "{field} is not in {}", answer.text());
    }
    let pairs: serde_json::Map<_, _> = (0..200).map(|i| (format!("k{i}"), json!("v"))).collect();
    let answer =
        world.post("WEB", &json!({ "instance": but(java("WEB", "w"), json!({ "metadata": pairs })) })).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.head(), 0);
}

#[tokio::test]
async fn broken_batches_are_refused_item_by_item() {
    let world = world().await;
    let post = async |body: String| {
        let headers = [("content-type", "application/json")];
        world.ask(Method::POST, "/eureka/peerreplication/batch/", &headers, body).await
    };
    for body in ["", "{}", "[]", "null", r#"{"replicationList":"#] {
        assert_eq!(post(body.into()).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let list = json!({ "replicationList": [
        { "action": "Heartbeat", "appName": "NO", "id": "one" },
        { "action": "Dance", "appName": "NO", "id": "one" },
        { "action": "Register", "appName": "WEB", "id": "w", "instanceInfo": java("WEB", "w") },
        { "action": "Register", "appName": "WEB", "id": "w" },
        { "action": "Register", "appName": "WEB", "id": "x", "instanceInfo": { "app": "OTHER" } },
        { "action": "DeleteStatusOverride", "appName": "WEB", "id": "w" },
        { "action": "StatusUpdate", "appName": "WEB", "id": "w" },
        7,
        { "action": "Cancel", "appName": "NO", "id": "one", "status": null, "lastDirtyTimestamp": null },
    ] });
    let answer = post(list.to_string()).await.json();
    let statuses: Vec<_> = answer["responseList"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["statusCode"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [404, 500, 200, 500, 200, 500, 500, 500, 404]);
    assert_eq!(world.status("WEB", "w").await, "UP");
    let nothing = post(r#"{"replicationList":[]}"#.into()).await.json();
    assert_eq!(nothing, json!({ "responseList": [] }));
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_said_so_and_reads_go_on() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    world.script.go_down(switchboard_engine_memory::StoreError::temporary(
        switchboard_engine_memory::StoreErrorKind::Full,
        "no space left on device",
    ));
    let answer = world.post("WEB", &json!({ "instance": java("WEB", "x") })).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.status("WEB", "w").await, "UP");
    assert_eq!(world.put("/eureka/apps/WEB/w?status=UP").await, StatusCode::OK);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200), xml in any::<bool>(), path in "[a-z/%0-9]{0,20}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            let kind = [("content-type", if xml { "application/xml" } else { "application/json" })];
            let answer = world.ask(Method::POST, "/eureka/apps/WEB", &kind, body.clone()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            let answer = world.ask(Method::POST, "/eureka/peerreplication/batch", &kind, body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            let path = path.replace('%', "%41");
            let answer = world.ask(Method::GET, &format!("/eureka/{path}"), &[], "").await;
            assert!(answer.status == StatusCode::OK || answer.status.is_client_error());
        });
    }
}

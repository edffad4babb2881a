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
    // Each was compared with all before it: half a megabyte of them took the server minutes.
    let attributes: String = (0..50_000).map(|n| format!(" a{n}=''")).collect();
    let attributes = format!("<instance{attributes}/>");
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
        ("application/xml", &attributes),
        ("application/octet-stream", "<instance"),
        ("text/plain", "\0\0\0"),
    ] {
        let headers = [("content-type", kind)];
        let answer = world.ask(Method::POST, "/eureka/apps/WEB", &headers, body.to_owned()).await;
        let start: String = body.chars().take(80).collect();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{start}");
        assert!(!answer.text().is_empty(), "{start}");
    }
    let utf_16: Vec<u8> = "\u{feff}<instance/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (kind, bytes) in [
        ("application/json", b"{\"instance\":{\"app\":\"\xff\xfe\"}}".as_slice()),
        ("application/json; charset=iso-8859-1", b"{\"instance\":{\"app\":\"\xfc\"}}".as_slice()),
        ("application/xml", b"<instance><app>\xff\xfe</app></instance>".as_slice()),
        (
            "application/xml",
            b"<?xml version='1.0' encoding='latin1'?><instance><app>\xfc</app></instance>".as_slice(),
        ),
        ("application/xml; charset=utf-16", &utf_16),
        ("application/xml", b"\xef\xbb\xbf\xef\xbb\xbf<instance/>".as_slice()),
    ] {
        let headers = [("content-type", kind)];
        let answer = world.ask(Method::POST, "/eureka/apps/WEB", &headers, bytes.to_vec()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bytes:?}");
    }
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
        (json!({ "metadata": { "a": "line\u{0007}" } }), "metadata"),
        (json!({ "metadata": { "": "x" } }), "metadata"),
        (json!({ "homePageUrl": "a\u{0007}b" }), "homePageUrl"),
        (json!({ "leaseInfo": { "durationInSecs": 99_999_999_999_i64 } }), "leaseInfo.durationInSecs"),
        (
            json!({ "leaseInfo": { "renewalIntervalInSecs": 2_147_483_648_i64 } }),
            "leaseInfo.renewalIntervalInSecs",
        ),
        (json!({ "lastDirtyTimestamp": "9223372036854775808" }), "lastDirtyTimestamp"),
        (json!({ "dataCenterInfo": { "name": "Mine" } }), "dataCenterInfo.name"),
        (json!({ "dataCenterInfo": { "name": " MyOwn" } }), "dataCenterInfo.name"),
        (json!({ "dataCenterInfo": { "name": "MyOwn", "@class": "a\u{0000}b" } }), "dataCenterInfo"),
    ] {
        let answer = world.post("WEB", &json!({ "instance": but(java("WEB", "w"), members) })).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert!(answer.text().contains(field), "{field} is not in {}", answer.text());
    }
    let pairs: serde_json::Map<_, _> = (0..200).map(|i| (format!("k{i}"), json!("v"))).collect();
    let blank = "x".repeat(1024 * 1024);
    for long in [json!({ "metadata": pairs }), json!({ "nobody-knows": blank })] {
        let answer = world.post("WEB", &json!({ "instance": but(java("WEB", "w"), long) })).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!(world.head(), 0);
}

/// Clocks are wrong, by years and in both directions, and an instance stays what it is to whoever beats for it.
#[tokio::test]
async fn clocks_that_are_far_off_take_nothing_from_anyone() {
    let world = world().await;
    let beat =
        async |at: &str| world.put(&format!("/eureka/apps/WEB/w?status=UP&lastDirtyTimestamp={at}")).await;
    let far = i64::MAX.to_string();
    for at in ["0", "1", &far] {
        world.register(&but(java("WEB", "w"), json!({ "lastDirtyTimestamp": at }))).await;
        assert_eq!(beat(at).await, StatusCode::OK, "{at}");
        assert_eq!(world.instance("WEB", "w").await["lastDirtyTimestamp"], *at);
    }
    // Its clock was put right: it is heard, and says no more than before until its lease has lapsed.
    assert_eq!(beat("1700000000000").await, StatusCode::OK);
    world.register(&but(java("WEB", "w"), json!({ "ipAddr": "10.0.0.9" }))).await;
    assert_eq!(world.instance("WEB", "w").await["ipAddr"], "10.0.0.1");
    assert_eq!(beat("-1").await, StatusCode::OK);
    for none in ["9223372036854775808", "now"] {
        assert_eq!(beat(none).await, StatusCode::INTERNAL_SERVER_ERROR, "{none}");
    }
    assert_eq!(world.health("web", "w"), switchboard_model::Health::Passing);
}

#[tokio::test]
async fn absurd_leases_are_those_of_a_client_that_said_nothing_or_are_refused() {
    let world = world().await;
    for (secs, kept) in
        [(0, 90), (-1, 90), (i64::MIN, 90), (1, 1), (i64::from(i32::MAX), i64::from(i32::MAX))]
    {
        let lease = json!({ "leaseInfo": { "durationInSecs": secs, "renewalIntervalInSecs": secs } });
        world.register(&but(java("WEB", &format!("w{secs}")), lease)).await;
        let known = world.instance("WEB", &format!("w{secs}")).await;
        assert_eq!(known["leaseInfo"]["durationInSecs"], kept, "{secs}");
    }
    let lease = json!({ "leaseInfo": { "durationInSecs": i64::MAX } });
    let answer = world.post("WEB", &json!({ "instance": but(java("WEB", "w"), lease) })).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

/// A Java client takes it for granted that an instance in Amazon's data centre has metadata there.
#[tokio::test]
async fn an_instance_at_amazon_always_shows_that_it_has_metadata() {
    let world = world().await;
    world.register(&but(java("WEB", "w"), json!({ "dataCenterInfo": { "name": "Amazon" } }))).await;
    assert_eq!(world.instance("WEB", "w").await["dataCenterInfo"]["metadata"], json!({}));
    let xml = world.ask(Method::GET, "/eureka/apps/WEB/w", &[], "").await;
    assert!(xml.text().contains("<name>Amazon</name><metadata></metadata>"), "{}", xml.text());
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
    for nothing in [r#"{"replicationList":[]}"#, r#"{"replicationList":null,"more":[1]}"#] {
        assert_eq!(post(nothing.into()).await.json(), json!({ "responseList": [] }));
    }
    let alone = json!({ "replicationList": { "action": "Heartbeat", "appName": "WEB", "id": "w" } });
    assert_eq!(post(alone.to_string()).await.json(), json!({ "responseList": [{ "statusCode": 200 }] }));
    let too_many = format!(r#"{{"replicationList":[{}0]}}"#, "0,".repeat(10_000));
    assert_eq!(post(too_many).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// Found by the real server: a heartbeat after a cancellation in the same batch was answered as if that had not been.
#[tokio::test]
async fn what_a_batch_says_of_one_instance_is_done_in_its_order() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    let item = |action: &str| json!({ "action": action, "appName": "WEB", "id": "w" });
    let list = ["Heartbeat", "Cancel", "Heartbeat", "Cancel"].map(item);
    let headers = [("content-type", "application/json")];
    let body = json!({ "replicationList": list }).to_string();
    let answer = world.ask(Method::POST, "/eureka/peerreplication/batch/", &headers, body).await.json();
    let statuses: Vec<_> =
        answer["responseList"].as_array().unwrap().iter().map(|one| one["statusCode"].clone()).collect();
    assert_eq!(statuses, [200, 200, 404, 404]);
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

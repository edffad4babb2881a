use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{but, java, world};

const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<instance>
  <instanceId>x:1</instanceId><hostName>x.example.com</hostName><app>XML-APP</app><ipAddr>10.0.0.7</ipAddr>
  <status>UP</status><overriddenstatus>UNKNOWN</overriddenstatus>
  <port enabled="true">8080</port><securePort enabled="false">443</securePort><countryId>1</countryId>
  <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>
  <leaseInfo><renewalIntervalInSecs>30</renewalIntervalInSecs><durationInSecs>90</durationInSecs></leaseInfo>
  <metadata><build__number>7</build__number><a_-b>&lt;&#x26;&gt;</a_-b></metadata>
  <homePageUrl>http://x.example.com:8080/?a=1&amp;b=2</homePageUrl>
  <vipAddress>xml-app</vipAddress><lastDirtyTimestamp>1700000000000</lastDirtyTimestamp>
</instance>"#;

#[tokio::test]
async fn what_is_said_in_xml_is_known_in_both_dialects() {
    let world = world().await;
    let headers = [("content-type", "application/xml")];
    let answer = world.ask(Method::POST, "/eureka/v2/apps/XML-APP", &headers, XML).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::NO_CONTENT, ""));
    let json = world.instance("XML-APP", "x:1").await;
    assert_eq!(json["metadata"], json!({ "build_number": "7", "a$b": "<&>" }));
    assert_eq!(json["homePageUrl"], "http://x.example.com:8080/?a=1&b=2");
    let xml = world.ask(Method::GET, "/eureka/apps/XML-APP/x:1", &[], "").await;
    assert_eq!(xml.headers["content-type"], "application/xml");
    for part in [
        "<instance><instanceId>x:1</instanceId>",
        r#"<port enabled="true">8080</port><securePort enabled="false">443</securePort>"#,
        r#"<dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name>"#,
        "<metadata><a_-b>&lt;&amp;&gt;</a_-b><build__number>7</build__number></metadata>",
        "<homePageUrl>http://x.example.com:8080/?a=1&amp;b=2</homePageUrl>",
        "<isCoordinatingDiscoveryServer>false</isCoordinatingDiscoveryServer>",
    ] {
        assert!(xml.text().contains(part), "{part} is not in {}", xml.text());
    }
    // What was read in XML and is written back in XML is no news.
    let before = world.head();
    let answer = world.ask(Method::POST, "/eureka/apps/XML-APP", &[], xml.body.clone()).await;
    assert_eq!((answer.status, world.head()), (StatusCode::NO_CONTENT, before));
}

#[tokio::test]
async fn the_list_of_all_is_one_thing_in_four_forms() {
    let world = world().await;
    world.register(&java("WEB", "w")).await;
    let xml = world.ask(Method::GET, "/eureka/apps/", &[], "").await;
    assert!(xml.text().starts_with(
        "<applications><versions__delta>1</versions__delta><apps__hashcode>UP_1_</apps__hashcode><application><name>WEB</name><instance>"
    ));
    let compact = [("accept", "application/json"), ("x-eureka-accept", "Compact")];
    let compact = world.ask(Method::GET, "/eureka/apps", &compact, "").await.json();
    let instance = compact["applications"]["application"][0]["instance"][0].as_object().unwrap().clone();
    let members: Vec<&str> = instance.keys().map(String::as_str).collect();
    assert_eq!(
        members,
        [
            "app",
            "dataCenterInfo",
            "hostName",
            "instanceId",
            "ipAddr",
            "lastUpdatedTimestamp",
            "port",
            "securePort",
            "secureVipAddress",
            "status",
            "vipAddress"
        ]
    );
    for path in ["/eureka/apps", "/eureka/apps/delta"] {
        for accept in ["application/json", "application/xml"] {
            let plain = world.ask(Method::GET, path, &[("accept", accept)], "").await;
            let packed = [("accept", accept), ("accept-encoding", "gzip, deflate")];
            let packed = world.ask(Method::GET, path, &packed, "").await;
            assert_eq!(
                (&packed.headers["content-encoding"], &packed.headers["content-type"]),
                (&"gzip".parse().unwrap(), &accept.parse().unwrap())
            );
            let mut unpacked = Vec::new();
            GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, plain.body);
        }
    }
}

#[tokio::test]
async fn version_one_knows_three_statuses() {
    let world = world().await;
    world.register(&but(java("WEB", "w"), json!({ "status": "OUT_OF_SERVICE" }))).await;
    let old = world.get("/eureka/v1/apps/WEB/w").await.json();
    assert_eq!(old["instance"]["status"], "DOWN");
    assert_eq!(world.status("WEB", "w").await, "OUT_OF_SERVICE");
}

#[tokio::test]
async fn a_packed_body_is_unpacked_within_the_limit() {
    let world = crate::support::world_with("limits.body_bytes = 65536").await;
    let pack = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let post = async |body: Vec<u8>| world.ask(Method::POST, "/eureka/apps/WEB", &headers, body).await;
    let body = json!({ "instance": java("WEB", "w") }).to_string();
    assert_eq!(post(pack(body.as_bytes())).await.status, StatusCode::NO_CONTENT);
    let bomb = pack(&vec![b' '; 32 << 20]);
    assert!(bomb.len() < 65536);
    assert_eq!(post(bomb).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post(body.into_bytes()).await.status, StatusCode::BAD_REQUEST);
    let brotli = [("content-encoding", "br")];
    let answer = world.ask(Method::POST, "/eureka/apps/WEB", &brotli, "x").await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn namespaces_are_apart() {
    let world = world().await;
    let body = json!({ "instance": java("WEB", "w") }).to_string();
    for namespace in ["blue", "green"] {
        let answer =
            world.ask(Method::POST, &format!("/eureka/{namespace}/apps/WEB"), &[], body.clone()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(world.delete("/eureka/green/v2/apps/WEB/w").await, StatusCode::OK);
    let hash = async |path: &str| world.get(path).await.json()["applications"]["apps__hashcode"].take();
    assert_eq!(hash("/eureka/blue/apps/").await, Value::from("UP_1_"));
    assert_eq!(hash("/eureka/green/apps/").await, Value::from(""));
    assert_eq!(hash("/eureka/apps/").await, Value::from(""));
    assert_eq!(hash("/eureka/blue/apps/delta").await, Value::from("UP_1_"));
}

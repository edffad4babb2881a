//! What Consul says back of what it was told, and what it answers where there is nothing.

use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::support::{World, world};

impl World {
    async fn register_in_catalog(&self, body: &Value) {
        let answer = self.put("/v1/catalog/register", body.to_string()).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "true"), "{body}");
    }
}

#[tokio::test]
async fn a_region_alone_is_a_locality() {
    let world = world().await;
    let (region, none) = (json!({"Region": "eu"}), json!({"Region": "eu", "Zone": ""}));
    world.register(json!({"Name": "web", "Locality": region}).to_string()).await;
    let node = json!({"Node": "n1", "Address": "10.0.0.1", "Locality": region, "SkipNodeUpdate": false});
    world.register_in_catalog(&node).await;
    assert_eq!(world.get("/v1/agent/service/web").await.ok()["Locality"], none);
    assert_eq!(world.get("/v1/catalog/service/web").await.ok()[0]["ServiceLocality"], none);
    assert_eq!(world.get("/v1/health/service/web").await.ok()[0]["Service"]["Locality"], none);
    assert_eq!(world.get("/v1/catalog/node/n1").await.ok()["Node"]["Locality"], none);
}

#[tokio::test]
async fn a_check_of_a_node_may_tell_of_a_service() {
    let world = world().await;
    let check = json!({"CheckID": "c1", "Name": "c1", "ServiceName": "ghost", "ServiceTags": ["a"]});
    world.register_in_catalog(&json!({"Node": "n1", "Address": "10.0.0.1", "Check": check})).await;
    for path in ["/v1/health/node/n1", "/v1/health/state/critical", "/v1/health/checks/Ghost"] {
        let told = world.get(path).await.ok();
        let said = (&told[0]["ServiceID"], &told[0]["ServiceName"], &told[0]["ServiceTags"]);
        assert_eq!(said, (&json!(""), &json!("ghost"), &json!(["a"])), "{path}");
    }
    // Where it belongs to an instance, that one says how it is called.
    let check = json!({"CheckID": "c2", "Name": "c2", "ServiceID": "w", "ServiceName": "ghost"});
    let service = json!({"Service": "web", "ID": "w", "Tags": ["t"]});
    let both = json!({"Node": "n1", "Address": "10.0.0.1", "Service": service, "Check": check});
    world.register_in_catalog(&both).await;
    let told = world.get("/v1/health/checks/web").await.ok();
    assert_eq!((&told[0]["ServiceName"], &told[0]["ServiceTags"]), (&json!("web"), &json!(["t"])));
    assert_eq!(world.get("/v1/health/checks/ghost").await.ok().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn notes_metadata_and_reasons_may_have_lines() {
    let world = world().await;
    let lines = "one\r\n\ttwo";
    let check = json!({"TTL": "1h", "Notes": lines});
    world.register(json!({"Name": "web", "Meta": {"a": lines}, "Check": check}).to_string()).await;
    world.register_in_catalog(&json!({"Node": "n1", "Address": "10.0.0.1", "NodeMeta": {"a": lines}})).await;
    let told = world.get("/v1/health/service/web").await.ok();
    assert_eq!(told[0]["Service"]["Meta"]["a"], lines);
    assert_eq!(world.get("/v1/agent/checks").await.ok()["service:web"]["Notes"], lines);
    assert_eq!(world.get("/v1/catalog/node/n1").await.ok()["Node"]["Meta"]["a"], lines);
    for path in ["/v1/agent/maintenance", "/v1/agent/service/maintenance/web"] {
        let path = format!("{path}?enable=true&reason=one%0D%0A%09two");
        assert_eq!(world.put(&path, "").await.status, StatusCode::OK, "{path}");
    }
    let told = world.get("/v1/agent/checks").await.ok();
    assert_eq!(told["_node_maintenance"]["Notes"], lines);
    assert_eq!(told["_service_maintenance:web"]["Notes"], lines);
}

#[tokio::test]
async fn proxies_are_listed_for_what_they_lead_to() {
    let world = world().await;
    let before = world.get("/v1/health/connect/web").await;
    assert_eq!(before.ok(), json!([]));
    let waiting = tokio::spawn({
        let (world, index) = (world.clone(), before.index());
        async move { world.get(&format!("/v1/health/connect/web?index={index}&wait=60s")).await }
    });
    world.register(r#"{"Name":"web","Port":80}"#).await;
    let proxy = json!({"DestinationServiceName": "web", "DestinationServiceID": "web"});
    let service =
        json!({"Kind": "connect-proxy", "Name": "web-proxy", "Port": 8000, "Tags": ["v1"], "Proxy": proxy});
    world.register(service.to_string()).await;
    world.register(r#"{"Name":"native","Port":81,"Connect":{"Native":true}}"#).await;
    assert_eq!(
        waiting.await.unwrap().ok()[0]["Service"]["ID"],
        "web-proxy",
        "the proxy wakes, not the service"
    );
    for (name, id) in [("web", "web-proxy"), ("WEB", "web-proxy"), ("native", "native")] {
        let rows = world.get(&format!("/v1/catalog/connect/{name}")).await.ok();
        let all = world.get(&format!("/v1/health/connect/{name}")).await.ok();
        assert_eq!((&rows[0]["ServiceID"], &all[0]["Service"]["ID"]), (&json!(id), &json!(id)), "{name}");
        assert_eq!((rows.as_array().unwrap().len(), all.as_array().unwrap().len()), (1, 1), "{name}");
        assert_eq!(all[0]["Checks"][0]["CheckID"], "serfHealth");
    }
    for path in [
        "catalog/connect/web-proxy",
        "health/connect/web?tag=v2",
        "health/connect/web?filter=Service.Port==1",
    ] {
        assert_eq!(world.get(&format!("/v1/{path}")).await.ok(), json!([]), "{path}");
    }
    // So it is with prepared queries that want it so.
    let query = r#"{"Name":"q","Service":{"Service":"web","Connect":true}}"#;
    world.call(http::Method::POST, "/v1/query", query).await.ok();
    let run = world.get("/v1/query/q/execute").await.ok();
    assert_eq!(run["Nodes"][0]["Service"]["ID"], "web-proxy");
}

#[tokio::test]
async fn nothing_comes_from_a_peer() {
    let world = world().await;
    world.register(r#"{"Name":"web","Check":{"TTL":"1h"}}"#).await;
    for (path, nothing) in [
        ("health/service/web", "[]"),
        ("health/checks/web", "[]"),
        ("health/node/here", "[]"),
        ("health/state/any", "[]"),
        ("health/connect/web", "[]"),
        ("catalog/nodes", "[]"),
        ("catalog/services", "{}"),
        ("catalog/service/web", "[]"),
        ("catalog/node/here", "null"),
        ("internal/ui/services", "[]"),
    ] {
        let (told, of_none) =
            (world.get(&format!("/v1/{path}?peer=")).await, world.get(&format!("/v1/{path}?peer=p")).await);
        assert_eq!(of_none.text(), nothing, "{path}");
        assert!(told.text() != nothing || path == "health/connect/web", "{path}: {}", told.text());
        // And whoever waits for news of it waits.
        let path = format!("/v1/{path}?peer=p&index={}&wait=1ms", of_none.index());
        assert_eq!(world.get(&path).await.index(), of_none.index());
    }
}

#[tokio::test]
async fn there_is_one_segment() {
    let world = world().await;
    for (query, status) in [
        ("segment=", StatusCode::OK),
        ("segment=_all", StatusCode::OK),
        ("segment=a", StatusCode::INTERNAL_SERVER_ERROR),
        ("segment=_all&wan=1", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.get(&format!("/v1/agent/members?{query}")).await.status, status, "{query}");
    }
}

#[tokio::test]
async fn an_agent_of_another_node_is_that_node() {
    let world = world().await;
    let own = world.get("/v1/agent/self").await.ok();
    world.put("/node/n1/v1/agent/service/register", r#"{"Name":"web"}"#).await;
    let coord = json!({"Vec": [1, 0, 0, 0, 0, 0, 0, 0], "Error": 0.5, "Adjustment": 0, "Height": 0.1});
    let update = json!({"Node": "n1", "Coord": coord});
    assert_eq!(world.put("/v1/coordinate/update", update.to_string()).await.status, StatusCode::OK);
    let other = world.get("/node/n1/v1/agent/self").await.ok();
    let id = world.get("/v1/catalog/node/n1").await.ok()["Node"]["ID"].clone();
    assert_eq!((&other["Config"]["NodeID"], &other["Member"]["Tags"]["id"]), (&id, &id));
    assert_ne!(own["Member"]["Tags"]["id"], id);
    assert_eq!((&other["Coord"], &own["Coord"]["Vec"][0]), (&coord, &json!(0)));
}

#[tokio::test]
async fn what_cannot_be_printed_is_no_path() {
    let world = world().await;
    for (key, status) in [
        ("a%E2%80%8Bb", StatusCode::BAD_REQUEST),
        ("a%C2%A0b", StatusCode::BAD_REQUEST),
        ("a%C2%ADb", StatusCode::BAD_REQUEST),
        ("a%EE%80%80b", StatusCode::BAD_REQUEST),
        ("a%07b", StatusCode::BAD_REQUEST),
        ("a%C3%A9%F0%9F%98%80%20b", StatusCode::OK),
    ] {
        assert_eq!(world.put(&format!("/v1/kv/{key}"), "x").await.status, status, "{key}");
    }
}

#[tokio::test]
async fn nodes_of_the_pages_are_filtered() {
    let world = world().await;
    world.register(r#"{"Name":"web","Check":{"TTL":"1h","Name":"alive"}}"#).await;
    world.register_in_catalog(&json!({"Node": "n1", "Address": "10.0.0.1"})).await;
    let named = async |filter: &str| {
        let told = world.get(&format!("/v1/internal/ui/nodes?filter={filter}")).await.ok();
        told.as_array()
            .unwrap()
            .iter()
            .map(|node| node["Node"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(named("Node==n1").await, ["n1"]);
    assert_eq!(named("Services%20is%20empty").await, ["n1"]);
    assert_eq!(named("%22web%22%20in%20Services.Service").await, ["here"]);
    assert_eq!(named("Checks.Name==alive").await, ["here"]);
    let answer = world.get("/v1/internal/ui/nodes?filter=Foo==a").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn streams_are_made_smaller_from_the_first_byte() {
    let world = world().await;
    let mut stream = world.stream_with("/v1/agent/metrics/stream", "accept-encoding", "gzip").await;
    assert_eq!(stream.headers()["content-encoding"], "gzip");
    let piece = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    let read: Value = serde_json::Deserializer::from_reader(flate2::read::GzDecoder::new(&*piece))
        .into_iter()
        .next()
        .unwrap()
        .unwrap();
    assert!(read["Gauges"].is_array(), "{read}");
}

#[tokio::test]
async fn datacenters_are_spelled_one_way() {
    let world = world().await;
    let body = json!({"Node": "n1", "Address": "10.0.0.1", "Datacenter": "DC1"});
    for path in ["/v1/catalog/register", "/v1/catalog/deregister"] {
        assert_eq!(world.put(path, body.to_string()).await.text(), "No path to datacenter", "{path}");
    }
}

//! The registry in its own catalogue.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::{serve, world, world_with};

#[tokio::test]
async fn the_registry_is_a_service_on_its_own_node_and_no_record() {
    let world = world().await;
    let port = world.address.port();
    let rows = world.get("/v1/catalog/service/consul").await.ok();
    assert_eq!((&rows[0]["Node"], &rows[0]["ServicePort"]), (&json!("here"), &json!(port)));
    let health = world.get("/v1/health/service/consul?passing").await;
    assert_eq!(health.ok()[0]["Checks"][0]["CheckID"], "serfHealth");
    assert!(health.index() >= 2);
    let node = world.get("/v1/catalog/node/here").await.ok();
    assert_eq!(node["Services"]["consul"]["Service"], "consul");
    let chosen = world.get("/v1/catalog/services?filter=ServiceName==consul").await.ok();
    assert_eq!(chosen, json!({"consul": []}));
    assert_eq!(world.get("/v1/agent/services").await.ok(), json!({}), "no agent was asked to register it");
    let view = world.registry.view(&switchboard_registry::Caller::internal("test")).unwrap();
    assert!(view.service("default", "consul").is_none(), "other protocols do not see it");
}

#[tokio::test]
async fn who_waits_for_the_registry_hears_of_its_node_and_of_others_that_are_called_so() {
    let world = world().await;
    for (body, expected) in [
        (
            r#"{"Node":"here","Address":"127.0.0.1","Check":{"CheckID":"c","Name":"c","Status":"critical"}}"#,
            1,
        ),
        (r#"{"Node":"n","Address":"10.0.0.1","Service":{"Service":"consul","Port":8300}}"#, 2),
    ] {
        let index = world.get("/v1/health/service/consul").await.index();
        let waiting = {
            let world = world.clone();
            let path = format!("/v1/health/service/consul?index={index}&wait=60s");
            tokio::spawn(async move { world.get(&path).await })
        };
        world.register(r#"{"Name":"other"}"#).await;
        assert_eq!(world.put("/v1/catalog/register", body).await.text(), "true");
        let answer = waiting.await.unwrap();
        assert_eq!(answer.ok().as_array().unwrap().len(), expected, "{body}");
        assert!(answer.index() > index);
    }
    let passing = world.get("/v1/health/service/consul?passing").await.ok();
    let nodes: Vec<&Value> = passing.as_array().unwrap().iter().map(|e| &e["Node"]["Node"]).collect();
    assert_eq!(nodes, ["n"], "a critical check of its node is one of the registry, too");
}

/// Consul's own tools take a server with a smaller index for one that has not started.
#[tokio::test]
async fn a_fresh_registry_has_an_index_of_two_and_restarting_adds_nothing() {
    let world = world().await;
    let first = world.get("/v1/catalog/nodes").await;
    assert_eq!(first.index(), 2);
    world.stop();
    let again = serve(world.registry.clone(), "node_name = 'here'").await;
    assert_eq!(again.get("/v1/catalog/nodes").await.index(), 2);
}

#[tokio::test]
async fn the_own_node_says_what_servers_of_that_version_say() {
    for (version, expected) in [
        ("1.14.11", json!({"consul-network-segment": "", "rack": "r1"})),
        ("1.16.3", json!({"consul-network-segment": "", "consul-version": "1.16.3", "rack": "r1"})),
    ] {
        let settings = format!("node_name = 'here'\nversion = '{version}'\nnode_meta = {{ rack = 'r1' }}");
        let world = world_with(&settings).await;
        assert_eq!(world.get("/v1/catalog/nodes").await.ok()[0]["Meta"], expected);
    }
}

#[tokio::test]
async fn what_a_service_says_of_a_mesh_is_kept_and_said_back() {
    let world = world().await;
    let proxy = json!({"DestinationServiceName": "web", "Upstreams": [{"DestinationName": "db"}]});
    let body =
        json!({"Name": "web-proxy", "Kind": "connect-proxy", "Port": 81, "Proxy": proxy, "Connect": null});
    world.register(body.to_string()).await;
    world.register(r#"{"Name":"web","Connect":{"Native":true}}"#).await;
    let whole = json!({
        "DestinationServiceName": "web", "Upstreams": [{"DestinationName": "db"}],
        "Mode": "", "MeshGateway": {}, "Expose": {},
    });
    let services = world.get("/v1/catalog/node/here").await.ok()["Services"].clone();
    assert_eq!(
        (&services["web-proxy"]["Kind"], &services["web-proxy"]["Proxy"]),
        (&json!("connect-proxy"), &whole)
    );
    assert_eq!(services["web"]["Connect"], json!({"Native": true}));
    let rows = world.get("/v1/catalog/service/web-proxy").await.ok();
    assert_eq!((&rows[0]["ServiceKind"], &rows[0]["ServiceProxy"]), (&json!("connect-proxy"), &whole));
    let own = world.get("/v1/agent/services").await.ok();
    assert_eq!((&own["web-proxy"]["Proxy"], &own["web"]["Proxy"]), (&whole, &Value::Null));
}

#[tokio::test]
async fn the_locality_of_nodes_and_services_is_said_back() {
    let world = world().await;
    let body = r#"{"Node":"n","Address":"10.0.0.1","Locality":{"Region":"eu","Zone":"eu-1"},
        "Service":{"Service":"web","Locality":{"Region":"us"}}}"#;
    assert_eq!(world.put("/v1/catalog/register", body).await.text(), "true");
    let node = world.get("/v1/catalog/node/n").await.ok();
    assert_eq!(node["Node"]["Locality"], json!({"Region": "eu", "Zone": "eu-1"}));
    let rows = world.get("/v1/catalog/service/web").await.ok();
    assert_eq!(rows[0]["ServiceLocality"], json!({"Region": "us", "Zone": ""}));
}

#[tokio::test]
async fn a_socket_in_the_file_system_leads_to_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("consul.sock");
    // Of a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let world = world_with(&format!("node_name = 'here'\nsocket = {path:?}")).await;
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /v1/agent/self HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.contains(r#""NodeName":"here""#), "{answer}");
    world.stop();
    while path.exists() {
        tokio::task::yield_now().await;
    }
}

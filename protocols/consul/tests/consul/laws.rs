use serde_json::{Value, json};
use switchboard_registry::Caller;

use crate::support::{World, world};

fn head(world: &World) -> u64 {
    world.registry.head().0
}

/// What `catalog/register` takes, made of what `health/service` gave.
fn as_registration(element: &Value) -> Value {
    json!({
        "Node": element["Node"]["Node"],
        "ID": element["Node"]["ID"],
        "Address": element["Node"]["Address"],
        "TaggedAddresses": element["Node"]["TaggedAddresses"],
        "NodeMeta": element["Node"]["Meta"],
        "Service": element["Service"],
        "Checks": element["Checks"],
    })
}

#[tokio::test]
async fn writing_back_what_was_read_makes_no_commit() {
    let world = world().await;
    world
        .register(
            r#"{"ID":"a","Name":"web","Tags":["v1","v2"],"Address":"10.0.0.1","Port":80,"Meta":{"k":"v"},
                "Weights":{"Passing":5,"Warning":2},"EnableTagOverride":true,"SocketPath":"/run/web.sock",
                "TaggedAddresses":{"lan":{"Address":"10.0.0.1","Port":81}},"Locality":{"Region":"eu","Zone":"eu-1"}}"#,
        )
        .await;
    world.register(r#"{"Name":"bare"}"#).await;
    world
        .register(
            r#"{"Name":"checked","Checks":[{"HTTP":"http://127.0.0.1:9/","Interval":"10s"},{"TTL":"9s"}]}"#,
        )
        .await;
    world.put("/v1/agent/check/warn/service:checked:2?note=slow", "").await;
    world.register(r#"{"Name":"out"}"#).await;
    world.put("/v1/agent/service/maintenance/out?enable=true&reason=disk", "").await;
    world.register(r#"{"Name":"ports","Ports":[{"Name":"admin","Port":81},{"Name":"http","Port":80,"Default":true}]}"#).await;
    world
        .put("/v1/catalog/register", r#"{"Node":"ext","Address":"db.example.com","NodeMeta":{"a":"b"},"Service":{"Service":"db","Port":5432}}"#)
        .await;
    for service in ["web", "bare", "checked", "out", "ports", "db"] {
        let read = world.get(&format!("/v1/health/service/{service}")).await.ok();
        let before = head(&world);
        let answer = world.put("/v1/catalog/register", as_registration(&read[0]).to_string()).await;
        assert_eq!(answer.text(), "true", "{service}");
        assert_eq!(head(&world), before, "{service}: {}", read[0]);
        assert_eq!(world.get(&format!("/v1/health/service/{service}")).await.ok(), read);
    }
}

#[tokio::test]
async fn registering_twice_is_registering_once() {
    let world = world().await;
    let body = r#"{"ID":"a","Name":"web","Port":80,"Checks":[{"HTTP":"http://127.0.0.1:9/","Interval":"10s"},{"TTL":"5s"}]}"#;
    world.register(body).await;
    let before = head(&world);
    world.register(body).await;
    assert_eq!(head(&world), before);
}

#[tokio::test]
async fn an_instance_without_a_node_is_on_the_node_that_stands_for_them() {
    use std::sync::Arc;

    use switchboard_model::*;
    use switchboard_registry::plan::{Keep, Register};

    let world = world().await;
    let key = InstanceKey {
        namespace: Name::default_namespace(),
        service: Name::parse("service", "User-Service").unwrap(),
        node: None,
        id: Id::parse("id", "u1").unwrap(),
    };
    let instance = Instance {
        key: Arc::new(key),
        address: "192.168.1.100".into(),
        ports: [Port { name: "http".into(), number: 8080 }].into(),
        tags: Tags::default(),
        metadata: Metadata::new([("version".into(), "v1.2".into())]).unwrap(),
        weight: 1,
        warning_weight: None,
        zone: Some("east-1".into()),
        lifecycle: Lifecycle::Draining,
        lease: None,
        origin: "native".into(),
        annex: Annex::default(),
    };
    let wish = Register { instance, checks: None, keep: Keep::Forever };
    world.registry.submit(&Caller::internal("test"), wish).await.unwrap();
    let read = world.get("/v1/health/service/user-service").await.ok();
    assert_eq!(read[0]["Node"]["Node"], "switchboard");
    assert_eq!(
        (&read[0]["Service"]["Address"], &read[0]["Service"]["Port"]),
        (&json!("192.168.1.100"), &json!(8080))
    );
    assert_eq!(read[0]["Checks"][0]["CheckID"], "_service_maintenance:u1");
    assert_eq!(world.get("/v1/health/service/user-service?passing").await.ok(), json!([]));
    let before = head(&world);
    let answer = world.put("/v1/catalog/register", as_registration(&read[0]).to_string()).await;
    assert_eq!((answer.text(), head(&world)), ("true", before));
    let gone = r#"{"Node":"switchboard","ServiceID":"u1"}"#;
    assert_eq!(world.put("/v1/catalog/deregister", gone).await.text(), "true");
    assert_eq!(world.get("/v1/health/service/user-service").await.ok(), json!([]));
}

#[tokio::test]
async fn other_namespaces_are_not_shown() {
    use switchboard_model::*;
    use switchboard_registry::plan::PutNode;

    let world = world().await;
    let namespace = Name::parse("namespace", "other").unwrap();
    let key = NodeKey { namespace, node: Name::parse("node", "hidden").unwrap() };
    let node =
        Node { key, address: "10.0.0.9".into(), metadata: Metadata::default(), annex: Annex::default() };
    world.registry.submit(&Caller::internal("test"), PutNode { node }).await.unwrap();
    let nodes = world.get("/v1/catalog/nodes").await.ok();
    let names: Vec<&Value> = nodes.as_array().unwrap().iter().map(|node| &node["Node"]).collect();
    assert_eq!(names, ["here"]);
}

#[tokio::test]
async fn a_report_through_the_catalogue_keeps_the_definition_of_a_check() {
    let world = world().await;
    world.register(r#"{"Name":"web","Check":{"HTTP":"http://127.0.0.1:9/","Interval":"10s"}}"#).await;
    let body = r#"{"Node":"here","SkipNodeUpdate":true,"Check":{"CheckID":"service:web","ServiceID":"web","Name":"x","Status":"passing"}}"#;
    assert_eq!(world.put("/v1/catalog/register", body).await.text(), "true");
    let check = &world.get("/v1/health/checks/web").await.ok()[0];
    assert_eq!((&check["Status"], &check["Type"]), (&json!("passing"), &json!("http")));
}

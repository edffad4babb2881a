use std::io::Read;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{World, world};

const ID: &str = "11111111-2222-3333-4444-555555555555";

async fn register(world: &World, body: Value) {
    let answer = world.put("/v1/catalog/register", body.to_string()).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "true"), "{body}");
}

async fn nodes(world: &World) -> Vec<String> {
    let nodes = world.get("/v1/catalog/nodes").await.ok();
    nodes.as_array().unwrap().iter().map(|node| node["Node"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_node_that_nobody_has_described_is_made_where_its_service_is_written_first() {
    let world = world().await;
    register(
        &world,
        json!({ "Node": "n", "SkipNodeUpdate": true, "Service": { "Service": "web", "Port": 80 } }),
    )
    .await;
    let found = world.get("/v1/health/service/web").await.ok();
    assert_eq!((&found[0]["Node"]["Node"], &found[0]["Node"]["Address"]), (&json!("n"), &json!("")));
    assert_eq!(found[0]["Service"]["Address"], "");
    register(&world, json!({ "Node": "n", "Address": "10.0.0.1" })).await;
    assert_eq!(world.get("/v1/health/service/web").await.ok()[0]["Node"]["Address"], "10.0.0.1");
    register(&world, json!({ "Node": "n", "SkipNodeUpdate": true })).await;
    assert_eq!(world.get("/v1/catalog/node/n").await.ok()["Node"]["Address"], "10.0.0.1");
}

#[tokio::test]
async fn a_node_of_the_same_id_under_another_name_is_renamed() {
    let world = world().await;
    let service = json!({ "Service": "web" });
    register(&world, json!({ "Node": "old", "ID": ID, "Address": "10.0.0.1", "Service": service })).await;
    register(&world, json!({ "Node": "other", "Address": "10.0.0.2", "Service": service })).await;
    register(&world, json!({ "Node": "new", "ID": ID, "Address": "10.0.0.1" })).await;
    assert_eq!(nodes(&world).await, ["here", "new", "other"]);
    assert_eq!(world.get("/v1/catalog/node/new").await.ok()["Node"]["ID"], ID);
    // What was on it went with its name.
    assert_eq!(world.get("/v1/health/service/web").await.ok().as_array().unwrap().len(), 1);
    // Also an id that it was given here.
    let given = world.get("/v1/catalog/node/other").await.ok()["Node"]["ID"].clone();
    register(&world, json!({ "Node": "another", "ID": given, "Address": "10.0.0.2" })).await;
    assert_eq!(nodes(&world).await, ["another", "here", "new"]);
    let own = world.get("/v1/catalog/node/here").await.ok()["Node"]["ID"].clone();
    let body = json!({ "Node": "thief", "ID": own, "Address": "10.0.0.3" }).to_string();
    assert_eq!(world.put("/v1/catalog/register", body).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(nodes(&world).await, ["another", "here", "new"]);
}

#[tokio::test]
async fn instances_without_a_node_have_one_in_the_list() {
    let world = world().await;
    let seen = world.get("/v1/catalog/nodes").await;
    let index = seen.index();
    assert_eq!(nodes(&world).await, ["here"]);
    let waiting = tokio::spawn({
        let world = world.clone();
        async move { world.get(&format!("/v1/catalog/nodes?index={index}&wait=60s")).await.ok() }
    });
    let body = json!({ "Node": "switchboard", "Service": { "Service": "web", "Address": "10.0.0.1" } });
    register(&world, body).await;
    let nodes = waiting.await.unwrap();
    assert_eq!((&nodes[0]["Node"], &nodes[1]["Node"]), (&json!("here"), &json!("switchboard")));
    assert_eq!(nodes[1], world.get("/v1/catalog/node/switchboard").await.ok()["Node"]);
    assert_eq!(world.get("/v1/health/node/switchboard").await.ok(), json!([]));
    let check =
        json!({ "Node": "switchboard", "Check": { "Name": "up", "Status": "passing", "ServiceID": "web" } });
    register(&world, check).await;
    assert_eq!(world.get("/v1/health/node/switchboard").await.ok()[0]["CheckID"], "up");
}

#[tokio::test]
async fn more_tags_than_anyone_wants() {
    let world = world().await;
    let tags = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
    let body = |count| json!({ "Name": "web", "Tags": tags(count) }).to_string();
    world.register(body(1024)).await;
    assert_eq!(world.get("/v1/agent/services").await.ok()["web"]["Tags"], json!(tags(1024)));
    let answer = world.put("/v1/agent/service/register", body(1025)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.text().contains("tags") && answer.text().contains("1024"), "{answer:?}");
}

#[tokio::test]
async fn smaller_answers_are_the_same_answers_also_after_a_change() {
    let world = world().await;
    for n in 0..20 {
        world
            .register(json!({ "ID": format!("w{n}"), "Name": "web", "Check": { "TTL": "1h" } }).to_string())
            .await;
    }
    for path in ["/v1/health/service/web", "/v1/health/service/web?passing", "/v1/catalog/services"] {
        for step in ["first", "again", "after a report", "after a registration"] {
            match step {
                "after a report" => _ = world.put("/v1/agent/check/pass/service:w3?note=fine", "").await,
                "after a registration" => {
                    world.register(json!({ "Name": path.len().to_string() }).to_string()).await
                }
                _ => {}
            }
            let plain = world.get(path).await.body;
            let zipped = world.get_with(path, "accept-encoding", "gzip").await;
            let mut read = Vec::new();
            match zipped.headers.get("content-encoding") {
                Some(_) => _ = flate2::read::GzDecoder::new(&*zipped.body).read_to_end(&mut read).unwrap(),
                None => read.extend_from_slice(&zipped.body),
            }
            assert_eq!(read, plain, "{path} {step}");
        }
    }
    let pretty = world.get_with("/v1/health/service/web?pretty", "accept-encoding", "gzip").await;
    let mut read = String::new();
    flate2::read::GzDecoder::new(&*pretty.body).read_to_string(&mut read).unwrap();
    assert!(read.starts_with("[\n    {"), "{read}");
}

#[tokio::test]
async fn a_provider_says_as_much_as_its_check_wants() {
    let world = world().await;
    world.register(r#"{"Name":"web","Check":{"TTL":"1h","OutputMaxSize":5}}"#).await;
    world.put("/v1/agent/check/pass/service:web?note=four", "").await;
    let output = || async { world.get("/v1/agent/checks").await.ok()["service:web"]["Output"].clone() };
    assert_eq!(output().await, "four");
    world.put("/v1/agent/check/update/service:web", r#"{"Status":"passing","Output":"a lot more"}"#).await;
    assert_eq!(output().await, "a lot ... (captured 5 of 10 bytes)");
}

#[tokio::test]
async fn what_consuls_own_pages_ask_for() {
    let world = world().await;
    world.register(r#"{"ID":"a","Name":"web","Tags":["v1"],"Meta":{"external-source":"nomad"}}"#).await;
    world.register(r#"{"ID":"b","Name":"web","Tags":["v2"],"Check":{"TTL":"1h"}}"#).await;
    register(&world, json!({ "Node": "switchboard", "Service": { "Service": "db", "Address": "10.0.0.1" } }))
        .await;
    let services = world.get("/v1/internal/ui/services").await;
    assert!(services.index() > 1);
    let services = services.ok();
    let web = services.as_array().unwrap().iter().find(|one| one["Name"] == "web").unwrap();
    let said = |key: &str| web[key].clone();
    assert_eq!((said("InstanceCount"), said("Nodes")), (json!(2), json!(["here"])));
    assert_eq!((said("Tags"), said("ExternalSources")), (json!(["v1", "v2"]), json!(["nomad"])));
    // That the node is there counts once.
    assert_eq!((said("ChecksPassing"), said("ChecksCritical")), (json!(1), json!(1)));
    let nodes = world.get("/v1/internal/ui/nodes").await.ok();
    assert_eq!((&nodes[0]["Node"], &nodes[1]["Node"]), (&json!("here"), &json!("switchboard")));
    assert_eq!(
        (&nodes[0]["Checks"][0]["CheckID"], &nodes[1]["Services"][0]["ID"]),
        (&json!("serfHealth"), &json!("db"))
    );
    assert_eq!(world.get("/v1/internal/ui/node/here").await.ok(), nodes[0]);
    let missing = world.get("/v1/internal/ui/node/nobody").await;
    assert_eq!((missing.status, missing.text()), (StatusCode::NOT_FOUND, ""));
    assert_eq!(
        world.get("/v1/internal/ui/node/here?filter=Node==here").await.status,
        StatusCode::BAD_REQUEST
    );
    let overview = world.get("/v1/internal/ui/catalog-overview").await.ok();
    let web = json!({ "Name": "web", "Total": 2, "Passing": 1, "Warning": 0, "Critical": 1 });
    assert!(overview["Services"].as_array().unwrap().contains(&web), "{overview}");
    for path in ["exported-services", "gateway-services-nodes/x", "gateway-intentions/x"] {
        assert_eq!(world.get(&format!("/v1/internal/ui/{path}")).await.ok(), json!([]), "{path}");
    }
    assert_eq!(world.get("/v1/internal/ui/service-topology/web?kind=").await.ok()["Upstreams"], json!([]));
}

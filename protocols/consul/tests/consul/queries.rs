use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use switchboard_facade::Asker;
use switchboard_registry::Caller;

use crate::support::{World, world};

impl World {
    async fn create(&self, body: Value) -> String {
        let answer = self.call(Method::POST, "/v1/query", body.to_string()).await;
        answer.ok()["ID"].as_str().unwrap().to_owned()
    }

    /// The nodes that a query comes to, in order.
    async fn run(&self, path: &str) -> Vec<String> {
        let said = self.get(path).await.ok();
        let nodes = said["Nodes"].as_array().unwrap().iter();
        nodes.map(|one| one["Node"]["Node"].as_str().unwrap().to_owned()).collect()
    }

    async fn on_node(&self, node: &str, address: &str, service: Value, status: &str) {
        let id = service["Service"].clone();
        let check = json!({ "Name": "c", "CheckID": format!("c-{node}"), "ServiceID": id, "Status": status });
        let body = json!({
            "Node": node, "Address": address, "NodeMeta": { "rack": node }, "Service": service, "Check": check,
        });
        assert_eq!(self.put("/v1/catalog/register", body.to_string()).await.text(), "true");
    }
}

fn service(tags: &[&str]) -> Value {
    json!({ "Service": "db", "Port": 5432, "Tags": tags, "Meta": { "v": tags.first().unwrap_or(&"") } })
}

#[tokio::test]
async fn a_query_is_kept_told_changed_and_deleted() {
    let world = world().await;
    assert_eq!(world.get("/v1/query").await.text(), "[]");
    let body = json!({
        "name": "Near-DB", "Service": { "Service": "db", "Tags": ["a"], "Failover": { "Datacenters": ["dc9"] } },
        "DNS": { "TTL": "10s" },
    });
    let id = world.create(body).await;
    let said = world.get(&format!("/v1/query/{id}")).await;
    let query = &said.ok()[0];
    assert_eq!(
        (&query["ID"], &query["Name"], &query["DNS"]["TTL"]),
        (&json!(id), &json!("Near-DB"), &json!("10s"))
    );
    assert_eq!(
        query["Service"]["Failover"],
        json!({ "NearestN": 0, "Datacenters": ["dc9"], "Targets": null })
    );
    assert_eq!((&query["Service"]["NodeMeta"], &query["Template"]["Type"]), (&Value::Null, &json!("")));
    assert!(query["CreateIndex"].as_u64().unwrap() > 0);
    let same = world.put(&format!("/v1/query/{id}"), query.to_string()).await;
    assert_eq!((same.status, same.text()), (StatusCode::OK, ""));
    assert_eq!(world.get("/v1/query").await.index(), said.index(), "the same again is no change");

    // A watch is woken by a change.
    let path = format!("/v1/query?index={}&wait=1m", said.index());
    let waiting = tokio::spawn({
        let world = world.clone();
        async move { world.get(&path).await.ok() }
    });
    let other = r#"{"Name":"other","Service":{"Service":"web"}}"#;
    assert_eq!(world.put(&format!("/v1/query/{id}"), other).await.status, StatusCode::OK);
    assert_eq!(waiting.await.unwrap()[0]["Name"], "other");

    assert_eq!(world.call(Method::DELETE, &format!("/v1/query/{id}"), "").await.status, StatusCode::OK);
    let gone = world.get(&format!("/v1/query/{id}")).await;
    assert_eq!((gone.status, gone.text()), (StatusCode::NOT_FOUND, "Query not found"));
    let again = world.call(Method::DELETE, &format!("/v1/query/{id}"), "").await;
    assert!(again.text().starts_with("Cannot modify non-existent prepared query: '"), "{again:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_said() {
    let world = world().await;
    world.create(json!({ "Name": "taken", "Service": { "Service": "x" } })).await;
    let template = json!({ "Type": "name_prefix_match" });
    let id = world.create(json!({ "Template": template, "Service": { "Service": "x" } })).await;
    for (body, status, said) in [
        (json!({}), 500, "Invalid prepared query: Must be bound to a session"),
        (json!({ "Name": "a" }), 500, "Invalid prepared query: Must provide a Service name to query"),
        (json!({ "ID": "x", "Name": "a" }), 500, "ID must be empty when creating a new prepared query"),
        (json!({ "Name": "a", "Sevice": {} }), 400, "Request decode failed: json: unknown field \"Sevice\""),
        (json!({ "Name": "TAKEN", "Service": { "Service": "x" } }), 500, "aliases an existing query name"),
        (json!({ "Name": id, "Service": { "Service": "x" } }), 500, "aliases an existing query ID"),
        (
            json!({ "Template": template, "Service": { "Service": "x" } }),
            500,
            "with an empty name already exists",
        ),
        (json!({ "Name": "a", "Session": "s", "Service": { "Service": "x" } }), 500, "invalid session \"s\""),
        (
            json!({ "Name": "a", "DNS": { "TTL": "x" }, "Service": { "Service": "x" } }),
            500,
            "Bad DNS TTL 'x'",
        ),
        (json!({ "Name": "a", "DNS": { "TTL": "-1s" }, "Service": { "Service": "x" } }), 500, "must be >=0"),
        (
            json!({ "Name": "a", "Service": { "Service": "x", "Failover": { "NearestN": -1 } } }),
            500,
            "Bad NearestN",
        ),
        (json!({ "Name": "a", "Service": { "Service": "x", "Peer": "p" } }), 500, "no cluster peering"),
        (json!({ "Name": "a", "Service": { "Service": "x", "Namespace": "n" } }), 500, "no namespace"),
        (
            json!({ "Name": "a", "Service": { "Service": "x", "NodeMeta": { "a b": "" } } }),
            500,
            "metadata pair",
        ),
        (
            json!({ "Name": "a", "Template": { "Type": "y" }, "Service": { "Service": "x" } }),
            500,
            "Bad Template.Type 'y'",
        ),
        (
            json!({ "Name": "a", "Template": { "Type": "name_prefix_match", "Regexp": "(" }, "Service": { "Service": "x" } }),
            500,
            "Bad Regexp",
        ),
        (
            json!({ "Name": "a", "Template": template, "Service": { "Service": "${nope}" } }),
            500,
            "failed compiling template: Bad format '${nope}' in Service.Service",
        ),
    ] {
        let answer = world.call(Method::POST, "/v1/query", body.to_string()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {answer:?}");
        assert!(answer.text().contains(said), "{body}: {answer:?}");
    }
    let by_id = world.get(&format!("/v1/query/{id}/execute")).await;
    assert!(by_id.text().contains("can only be resolved up by name"), "{by_id:?}");
    // It would stand for every name.
    world.call(Method::DELETE, &format!("/v1/query/{id}"), "").await;
    let missing = world.put("/v1/query/none", r#"{"Name":"a","Service":{"Service":"x"}}"#).await;
    assert_eq!(missing.text(), "Cannot modify non-existent prepared query: 'none'");
    for (path, said) in [
        ("/v1/query/none/execute", "Query not found"),
        ("/v1/query/00000000-0000-0000-0000-000000000000", "Query not found"),
        ("/v1/query/none", "UUID must be 36 characters"),
        ("/v1/query/taken/execute?limit=x", "Bad limit: strconv.Atoi: parsing \"x\": invalid syntax"),
        ("/v1/query/taken/execute?connect=x", "Error parsing 'connect' value"),
        ("/v1/query/taken/execute?dc=nowhere", "No path to datacenter"),
    ] {
        let answer = world.get(path).await;
        assert!(answer.status != StatusCode::OK && answer.text().contains(said), "{path}: {answer:?}");
    }
    let method = world.put("/v1/query/taken/execute", "").await;
    assert_eq!((method.status.as_u16(), &method.headers["allow"]), (405, &"GET".parse().unwrap()));
}

#[tokio::test]
async fn executing_gives_what_is_healthy_enough_and_fits() {
    let world = world().await;
    world.on_node("n1", "10.0.0.1", service(&["a", "b"]), "passing").await;
    world.on_node("n2", "10.0.0.2", service(&["A"]), "warning").await;
    world.on_node("n3", "10.0.0.3", service(&["a"]), "critical").await;
    let with = |more: Value| {
        let mut query = json!({ "Name": "q", "Service": { "Service": "DB" } });
        query["Service"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        query
    };
    for (more, expected) in [
        (json!({}), vec!["n1", "n2"]),
        (json!({ "OnlyPassing": true }), vec!["n1"]),
        (json!({ "IgnoreCheckIDs": ["c-n3"] }), vec!["n1", "n2", "n3"]),
        (json!({ "IgnoreCheckIDs": ["c-n3"], "OnlyPassing": true }), vec!["n1", "n3"]),
        (json!({ "Tags": ["a", "!b"] }), vec!["n2"]),
        (json!({ "NodeMeta": { "rack": "n1" } }), vec!["n1"]),
        (json!({ "ServiceMeta": { "v": "A" } }), vec!["n2"]),
        (json!({ "Connect": true }), vec![]),
    ] {
        let id = world.create(with(more.clone())).await;
        let mut found = world.run(&format!("/v1/query/{id}/execute")).await;
        found.sort();
        assert_eq!(found, expected, "{more}");
        assert_eq!(world.run("/v1/query/Q/execute?limit=1").await.len(), expected.len().min(1));
        world.call(Method::DELETE, &format!("/v1/query/{id}"), "").await;
    }
    let id = world.create(with(json!({}))).await;
    let said = world.get(&format!("/v1/query/{id}/execute?stale&cached")).await;
    let body = said.ok();
    assert_eq!(
        (&body["Service"], &body["Datacenter"], &body["Failovers"]),
        (&json!("DB"), &json!("dc1"), &json!(0))
    );
    assert_eq!((&body["KnownLeader"], &body["ConsistencyLevel"]), (&json!(true), &json!("stale")));
    assert_eq!((&said.headers["x-cache"], said.index()), (&"HIT".parse().unwrap(), 1));
}

#[tokio::test]
async fn templates_stand_for_many_names() {
    let world = world().await;
    world.on_node("n1", "10.0.0.1", service(&["eu"]), "passing").await;
    world.on_node("n2", "10.0.0.2", service(&["us"]), "passing").await;
    let template =
        |regexp: &str| json!({ "Type": "name_prefix_match", "Regexp": regexp, "RemoveEmptyTags": true });
    let plain = json!({ "Service": "${name.full}" });
    world.create(json!({ "Name": "", "Template": template(""), "Service": plain })).await;
    let geo = json!({ "Service": "${match(1)}", "Tags": ["${match(2)}"] });
    world
        .create(json!({ "Name": "geo-", "Template": template("^geo-([^-]+)-?(.*)$"), "Service": geo }))
        .await;
    assert_eq!(world.run("/v1/query/geo-db-us/execute").await, ["n2"]);
    assert_eq!(
        world.run("/v1/query/GEO-db-eu/execute").await,
        Vec::<String>::new(),
        "its regexp minds the case"
    );
    assert_eq!(world.run("/v1/query/geo-db/execute").await.len(), 2);
    assert_eq!(world.run("/v1/query/db/execute").await.len(), 2);
    let said = world.get("/v1/query/geo-db-us/explain").await.ok();
    assert_eq!(said["Query"]["Service"]["Tags"], json!(["us"]));
    assert_eq!(said["Query"]["Service"]["Service"], "db");
}

#[tokio::test]
async fn the_nearest_come_first() {
    let world = world().await;
    for (n, away) in [("n1", 3.0), ("n2", 1.0), ("n3", 2.0), ("n4", 9.0)] {
        world.on_node(n, &format!("10.0.0.{}", &n[1..]), service(&[]), "passing").await;
        let vec = [away, 0., 0., 0., 0., 0., 0., 0.];
        let coord = json!({ "Vec": vec, "Error": 1.5, "Adjustment": 0, "Height": 0.001 });
        if n != "n4" {
            let body = json!({ "Node": n, "Segment": "", "Coord": coord }).to_string();
            assert_eq!(world.put("/v1/coordinate/update", body).await.status, StatusCode::OK);
        }
    }
    world.create(json!({ "Name": "q", "Service": { "Service": "db", "Near": "_agent" } })).await;
    // This registry's own node is at the origin; nobody knows where n4 is.
    assert_eq!(world.run("/v1/query/q/execute").await, ["n2", "n3", "n1", "n4"]);
    assert_eq!(world.run("/v1/query/q/execute?near=n1&limit=2").await, ["n1", "n3"]);
    let order = |path: &'static str, key: &'static str| {
        let world = world.clone();
        async move {
            let said = world.get(path).await.ok();
            let all = said.as_array().unwrap().iter().map(|one| {
                let one = if one["Node"].is_object() { &one["Node"] } else { one };
                one[key].as_str().unwrap().to_owned()
            });
            all.filter(|node| node != "here").collect::<Vec<_>>()
        }
    };
    for path in [
        "/v1/health/service/db?near=_agent",
        "/v1/health/checks/db?near=_agent",
        "/v1/catalog/service/db?near=_agent",
        "/v1/catalog/nodes?near=_agent",
        "/v1/health/state/passing?near=_agent",
    ] {
        assert_eq!(order(path, "Node").await, ["n2", "n3", "n1", "n4"], "{path}");
    }
    assert_eq!(order("/v1/health/service/db?near=n1", "Node").await, ["n1", "n3", "n2", "n4"]);
    assert_eq!(order("/v1/health/service/db?near=nobody", "Node").await, ["n1", "n2", "n3", "n4"]);
    // By the address that the client says it has.
    let ip = world.get_with("/v1/catalog/nodes?near=_ip", "x-forwarded-for", "10.0.0.1").await.ok();
    assert_eq!(ip[0]["Node"], "n1");
}

#[tokio::test]
async fn other_protocols_find_queries_by_name_and_by_id() {
    let world = world().await;
    for n in 1..=3 {
        let (node, address) = (format!("n{n}"), format!("10.0.0.{n}"));
        let status = if n == 3 { "critical" } else { "passing" };
        world.on_node(&node, &address, service(&[]), status).await;
    }
    let id =
        world.create(json!({ "Name": "q.x", "Service": { "Service": "db" }, "DNS": { "TTL": "90s" } })).await;
    let near = json!({ "Service": "db", "Near": "_ip" });
    world.create(json!({ "Name": "near", "Service": near })).await;
    let vec = |away: f64| [away, 0., 0., 0., 0., 0., 0., 0.];
    for (node, away) in [("n1", 1.0), ("n2", 9.0)] {
        let body = json!({ "Node": node, "Coord": { "Vec": vec(away), "Height": 0.1 } }).to_string();
        assert_eq!(world.put("/v1/coordinate/update", body).await.status, StatusCode::OK);
    }
    let view = world.registry.view(&Caller::internal("test")).unwrap();
    let find = |name: &str, asker: Asker| {
        let set = world.sets.find(&view, name, &asker)?;
        let nodes: Vec<String> =
            set.instances.iter().map(|view| view.key().node.as_ref().unwrap().as_str().to_owned()).collect();
        Some((nodes, set.ttl, set.in_order))
    };
    for name in ["Q.X", &id] {
        let (mut nodes, ttl, in_order) = find(name, Asker::default()).unwrap();
        nodes.sort();
        assert_eq!(
            (nodes.as_slice(), ttl, in_order),
            (&["n1", "n2"].map(str::to_owned)[..], Some(Duration::from_secs(90)), false)
        );
    }
    let from = |ip: &str| Asker {
        peer: Some("192.0.2.1".parse().unwrap()),
        network: Some((ip.parse().unwrap(), 32)),
    };
    let (nodes, ttl, in_order) = find("near", from("10.0.0.2")).unwrap();
    assert_eq!((nodes.as_slice(), ttl, in_order), (&["n2", "n1"].map(str::to_owned)[..], None, true));
    assert!(!find("near", from("10.9.9.9")).unwrap().2, "nobody is there");
    assert_eq!(find("unknown", Asker::default()), None);
}

#[tokio::test]
async fn a_query_goes_with_its_session() {
    let world = world().await;
    for body in ["{}", r#"{"TTL":"60s"}"#] {
        let session = world.put("/v1/session/create", body).await.ok()["ID"].as_str().unwrap().to_owned();
        // It needs no name.
        let tied = world.create(json!({ "Session": session, "Service": { "Service": "x" } })).await;
        let other = world.create(json!({ "Name": "stays", "Service": { "Service": "x" } })).await;
        let ids = || async {
            let said = world.get("/v1/query").await.ok();
            let ids = said.as_array().unwrap().iter().map(|query| query["ID"].as_str().unwrap().to_owned());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(ids().await.len(), 2);
        assert_eq!(world.put(&format!("/v1/session/destroy/{session}"), "").await.text(), "true");
        assert_eq!(ids().await, [other.as_str()]);
        assert_eq!(world.get(&format!("/v1/query/{tied}")).await.status, StatusCode::NOT_FOUND);
        world.call(Method::DELETE, &format!("/v1/query/{other}"), "").await;
    }
}

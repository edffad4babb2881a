use std::ops::Bound;
use std::sync::Arc;

use http::{Method, StatusCode};
use proptest::prelude::*;
use serde_json::json;
use switchboard_engine_memory::{StoreError, StoreErrorKind};
use switchboard_model::{Check, CheckKey, Id, InstanceKey, Name, Owner, Record};
use switchboard_registry::Caller;
use switchboard_registry::plan::ReplaceAll;

use crate::support::world;

#[tokio::test]
async fn every_kind_of_bad_request_is_told_and_the_server_goes_on() {
    let world = world().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!(r#"{{"Name":"{}"}}"#, "x".repeat(300));
    let huge = format!(r#"{{"Name":"web","Meta":{{"k":"{}"}}}}"#, "x".repeat(2 << 20));
    for (body, status) in [
        (deep.as_str(), 400),
        (&long, 400),
        (&huge, 413),
        (r#"{"Name":"web","Check":{"TTL":"99999999999999h"}}"#, 400),
        (r#"{"Name":"web","Check":{"TTL":-5}}"#, 400),
        (r#"{"Name":"web","Port":70000}"#, 400),
        (r#"{"Name":"web","Port":-1}"#, 400),
        (r#"{"Name":"web","Weights":{"Passing":0,"Warning":1}}"#, 400),
        (r#"{"Name":"web","Meta":{"a b":"c"}}"#, 400),
        (r#"{"Name":"a\u0000b"}"#, 400),
        ("\u{feff}{}", 400),
        ("null", 400),
        ("", 400),
    ] {
        let answer = world.put("/v1/agent/service/register", body.to_owned()).await;
        assert_eq!(answer.status.as_u16(), status, "{:.60}: {:?}", body, answer.body);
    }
    for (path, status) in [
        ("/v1/health/service/%ff", 400),
        ("/v1/health/service/a%00b", 400),
        ("/v1/health/service/", 400),
        ("/v1/health/service/web?index=18446744073709551616", 400),
        ("/v1/health/service/web?%", 500),
        ("/node//v1/agent/services", 307),
    ] {
        assert_eq!(world.get(path).await.status.as_u16(), status, "{path}");
    }
    assert_eq!(world.get("/v1/status/leader").await.status, StatusCode::OK);
}

#[tokio::test]
async fn methods_are_said_and_head_is_none_of_them() {
    let world = world().await;
    let answer = world.call(Method::OPTIONS, "/v1/agent/services", "").await;
    assert_eq!((answer.status, &answer.headers["allow"]), (StatusCode::OK, &"OPTIONS,GET".parse().unwrap()));
    let answer = world.call(Method::POST, "/v1/agent/services", "").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (405, "method POST not allowed"));
    assert_eq!(world.call(Method::HEAD, "/v1/agent/services", "").await.status.as_u16(), 405);
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_a_missing_leader_and_reads_go_on() {
    let world = world().await;
    world.register(r#"{"Name":"web"}"#).await;
    world.script.go_down(StoreError::temporary(StoreErrorKind::Full, "no space left on device"));
    let answer = world.put("/v1/agent/service/register", r#"{"Name":"more"}"#).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.text().starts_with("No cluster leader"), "{answer:?}");
    assert_eq!(world.get("/v1/health/service/web").await.ok().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_one_record_written_twice_the_last_counts_and_is_written_once() {
    let world = world().await;
    world.register(r#"{"Name":"web","Checks":[{"CheckID":"x","TTL":"5s"},{"CheckID":"x","TTL":"9s","Status":"passing"}]}"#).await;
    assert_eq!(world.get("/v1/agent/checks").await.ok()["x"]["Status"], "passing");
    world.put("/node/fresh/v1/agent/check/register", r#"{"ID":"serfHealth","Name":"x","TTL":"5s"}"#).await;
    let twice = r#"{"Node":"n","Address":"10.0.0.1","Checks":[
        {"CheckID":"a","Name":"a","Status":"passing"},{"CheckID":"a","Name":"a","Status":"critical"}]}"#;
    world.put("/v1/catalog/register", twice).await;
    assert_eq!(world.get("/v1/health/node/n").await.ok()[0]["Status"], "critical");
    let view = world.registry.view(&switchboard_registry::Caller::internal("test")).unwrap();
    let nodes = view.nodes(std::ops::Bound::Unbounded);
    let checks = nodes.flat_map(|node| node.facts.checks.iter()).collect::<Vec<_>>();
    assert!(checks.iter().all(|check| check.version == 1), "{checks:?}");
}

#[tokio::test]
async fn a_node_has_room_for_so_many_checks() {
    let world = world().await;
    let checks: Vec<String> = (0..33).map(|n| format!(r#"{{"Name":"c{n}","Status":"passing"}}"#)).collect();
    let body = format!(r#"{{"Node":"n","Address":"10.0.0.1","Checks":[{}]}}"#, checks.join(","));
    assert_eq!(world.put("/v1/catalog/register", body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.get("/v1/health/node/n").await.text(), "[]");
}

/// Each of them on a service of its own, as behind one front that speaks for all. `SWITCHBOARD_FAULT_CHECKS=100000` has more of them.
#[tokio::test]
async fn very_many_checks_on_one_node() {
    let many = std::env::var("SWITCHBOARD_FAULT_CHECKS").map_or(10_000, |many| many.parse().unwrap());
    let last = many - 1;
    let world = world().await;
    world.register(r#"{"ID":"s7","Name":"s7","Check":{"CheckID":"c7","TTL":"1h"}}"#).await;
    let caller = Caller::internal("test");
    let view = world.registry.view(&caller).unwrap();
    let mut records: Vec<Record> = view
        .nodes(Bound::Unbounded)
        .flat_map(|node| {
            let own = node.facts.node.iter().map(|node| Record::Node(node.value.clone()));
            own.chain(node.facts.checks.iter().map(|check| Record::Check(check.value.clone())))
        })
        .collect();
    // As many more like the first.
    let one = view.services(Bound::Unbounded).next().unwrap().instances().next().unwrap().clone();
    for n in 0..many {
        let mut instance = one.instance.value.clone();
        let service = Name::parse("service", &format!("s{n}")).unwrap();
        let id = Id::parse("id", service.as_str()).unwrap();
        instance.key = Arc::new(InstanceKey { service, id, ..(*one.instance.key).clone() });
        let owner = Owner::Instance(instance.key.clone());
        let key = CheckKey { owner, id: Id::parse("id", &format!("c{n}")).unwrap() };
        records.push(Record::Check(Check { key, ..one.checks[0].value.clone() }));
        records.push(Record::Instance(instance));
    }
    world.registry.submit(&caller, ReplaceAll { records: records.into() }).await.unwrap();

    let index = world.get(&format!("/v1/health/service/s{last}")).await.index();
    let waiting = tokio::spawn({
        let world = world.clone();
        async move { world.get(&format!("/v1/health/service/s{last}?index={index}&wait=5m")).await }
    });
    assert_eq!(world.put(&format!("/v1/agent/check/pass/c{last}"), "").await.status, StatusCode::OK);
    assert_eq!(waiting.await.unwrap().ok()[0]["Checks"][1]["Status"], "passing");
    let unknown = world.put(&format!("/v1/agent/check/pass/c{many}"), "").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    for (path, count) in [
        ("/v1/health/state/critical", many - 1),
        ("/v1/health/node/here", many + 1),
        ("/v1/agent/checks", many),
    ] {
        let answer = world.get(path).await;
        assert_eq!(
            (answer.status, answer.text().matches("\"CheckID\"").count()),
            (StatusCode::OK, count),
            "{path}"
        );
    }
    // What is said of the node is said of everything on it, in one commit.
    let head = world.registry.head();
    world.put("/v1/agent/maintenance?enable=true", "").await;
    assert_eq!(world.registry.head(), head.next());
    let answer = world.get("/v1/agent/health/service/id/s5000").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    world.put("/v1/agent/maintenance?enable=false", "").await;
    let gone = world.put(&format!("/v1/agent/service/deregister/s{last}"), "").await;
    assert_eq!(gone.status, StatusCode::OK);
    assert_eq!(world.get(&format!("/v1/health/service/s{last}")).await.ok(), json!([]));
}

#[tokio::test]
async fn no_field_is_read_and_forgotten() {
    let world = world().await;
    for (route, body) in [
        ("catalog/register", r#"{"Node":"n","Address":"10.0.0.1","Namespace":"other"}"#),
        ("catalog/register", r#"{"Node":"n","Address":"10.0.0.1","Check":{"Name":"a","Partition":"p"}}"#),
        ("catalog/deregister", r#"{"Node":"n","Partition":"p"}"#),
        ("agent/check/register", r#"{"Name":"a","TTL":"5s","ProxyHTTP":"x"}"#),
        ("agent/check/register", r#"{"Name":"a","TTL":"5s","OutputMaxSize":70000}"#),
        ("agent/service/register", r#"{"Name":"a","Meta":{"consul-x":"y"}}"#),
    ] {
        let answer = world.put(&format!("/v1/{route}"), body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer:?}");
    }
    // An empty check is none, as Consul has it.
    world.register(r#"{"Name":"a","Check":{}}"#).await;
    assert_eq!(world.get("/v1/agent/checks").await.text(), "{}");
    assert_eq!(world.get("/v1/health/state/strange").await.text(), "[]");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_body_and_no_path_takes_the_server_down(body in any::<Vec<u8>>(), path in "[ -~]{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            for route in ["agent/service/register", "agent/check/register", "catalog/register", "catalog/deregister"] {
                let answer = world.put(&format!("/v1/{route}"), body.clone()).await;
                assert!(answer.status.as_u16() >= 400, "{route} took {body:?}");
            }
            let path: String = percent_encoding::utf8_percent_encode(&path, percent_encoding::NON_ALPHANUMERIC).collect();
            for route in ["health/service", "catalog/node", "agent/health/service/id", "health/state"] {
                world.get(&format!("/v1/{route}/{path}?filter={path}")).await;
            }
            assert_eq!(world.get("/v1/status/leader").await.status, StatusCode::OK);
        });
    }
}

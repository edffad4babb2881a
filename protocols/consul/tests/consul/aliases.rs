use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{World, world};

/// What a check says when it says what it should, or at last.
async fn until(world: &World, check: &str, status: &str, output: &str) {
    let expected = (json!(status), json!(output));
    let mut found = (Value::Null, Value::Null);
    for _ in 0..2000 {
        let checks = world.get("/v1/agent/checks").await.ok();
        found = (checks[check]["Status"].clone(), checks[check]["Output"].clone());
        if found == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(found, expected, "{check}");
}

async fn put(world: &World, path: &str, body: &str) {
    let answer = world.put(path, body.to_owned()).await;
    assert_eq!(answer.status, StatusCode::OK, "{path} {body}: {answer:?}");
}

#[tokio::test]
async fn an_alias_says_what_the_checks_of_a_service_say() {
    let world = world().await;
    put(&world, "/v1/agent/check/register", r#"{"ID":"a","Name":"a","AliasService":"db-1"}"#).await;
    until(&world, "a", "critical", "Service db-1 could not be found on node ").await;
    world.register(r#"{"ID":"db-1","Name":"db","Port":1}"#).await;
    until(&world, "a", "passing", "No checks found.").await;
    world.register(r#"{"ID":"db-1","Name":"db","Port":1,"Check":{"Name":"beat","TTL":"1h"}}"#).await;
    until(&world, "a", "critical", "Aliased check \"beat\" failing: ").await;
    put(&world, "/v1/agent/check/pass/service:db-1", "").await;
    until(&world, "a", "passing", "All checks passing.").await;
    put(&world, "/v1/agent/check/warn/service:db-1?note=slow", "").await;
    until(&world, "a", "warning", "Aliased check \"beat\" failing: slow").await;
    put(&world, "/v1/agent/maintenance?enable=true&reason=disk", "").await;
    until(&world, "a", "critical", "Aliased check \"Node Maintenance Mode\" failing: ").await;
    put(&world, "/v1/agent/maintenance?enable=false", "").await;
    until(&world, "a", "warning", "Aliased check \"beat\" failing: slow").await;
    put(&world, "/v1/agent/service/deregister/db-1", "").await;
    until(&world, "a", "critical", "Service db-1 could not be found on node ").await;
}

#[tokio::test]
async fn an_alias_of_a_service_takes_the_other_out_with_it() {
    let world = world().await;
    world.register(r#"{"Name":"db","Check":{"TTL":"1h","Status":"passing"}}"#).await;
    world.register(r#"{"Name":"proxy","Check":{"Name":"of db","AliasService":"db"}}"#).await;
    until(&world, "service:proxy", "passing", "All checks passing.").await;
    let checks = world.get("/v1/agent/checks").await.ok();
    let proxy = &checks["service:proxy"];
    assert_eq!((&proxy["Type"], &proxy["Name"]), (&json!("alias"), &json!("of db")));
    put(&world, "/v1/agent/check/fail/service:db?note=gone", "").await;
    until(&world, "service:proxy", "critical", "Aliased check \"Service 'db' check\" failing: gone").await;
    assert_eq!(world.get("/v1/health/service/proxy?passing").await.ok(), json!([]));
    // It is nobody's to report.
    let answer = world.put("/v1/agent/check/pass/service:proxy", "").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{answer:?}");
}

#[tokio::test]
async fn an_alias_of_a_node_elsewhere() {
    let world = world().await;
    let alias = r#"{"ID":"n","Name":"n","AliasNode":"far","AliasService":"web"}"#;
    put(&world, "/v1/agent/check/register", alias).await;
    until(&world, "n", "critical", "Service web could not be found on node far").await;
    let up = r#"{"Node":"far","Address":"10.0.0.9","Service":{"Service":"web"},"Check":{"Name":"up","Status":"passing"}}"#;
    put(&world, "/v1/catalog/register", up).await;
    until(&world, "n", "passing", "All checks passing.").await;
    let down = up.replace("passing", "critical");
    put(&world, "/v1/catalog/register", &down).await;
    until(&world, "n", "critical", "Aliased check \"up\" failing: ").await;
    put(&world, "/v1/catalog/deregister", r#"{"Node":"far"}"#).await;
    until(&world, "n", "critical", "Service web could not be found on node far").await;
}

#[tokio::test]
async fn aliases_of_each_other_come_to_rest() {
    let world = world().await;
    world.register(r#"{"Name":"a","Check":{"CheckID":"of-b","AliasService":"b"}}"#).await;
    world.register(r#"{"Name":"b","Check":{"CheckID":"of-a","AliasService":"a"}}"#).await;
    // What else is registered is still answered, and the revision does not run away.
    put(&world, "/v1/agent/check/register", r#"{"ID":"c","Name":"c","AliasService":"none"}"#).await;
    until(&world, "c", "critical", "Service none could not be found on node ").await;
    let before = world.registry.head();
    world.register(r#"{"Name":"other"}"#).await;
    assert!(world.registry.head().0 <= before.0 + 3, "{:?} {before:?}", world.registry.head());
}

#[tokio::test]
async fn an_alias_asks_nobody_and_has_no_ttl() {
    let world = world().await;
    for (check, why) in [
        (
            r#"{"AliasService":"a","TCP":"a:1","Interval":"1s"}"#,
            "Invalid check: Interval cannot be set for Alias checks",
        ),
        (r#"{"AliasNode":"a","TTL":"1s"}"#, "Invalid check: TTL must be not be set for Alias checks"),
    ] {
        let body = format!(r#"{{"Name":"x","Check":{check}}}"#);
        let answer = world.put("/v1/agent/service/register", body).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::BAD_REQUEST, why));
    }
}

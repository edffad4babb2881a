use http::StatusCode;
use serde_json::json;

use crate::support::world;

#[tokio::test]
async fn an_id_is_unique_on_its_node_and_moves_to_another_service() {
    let world = world().await;
    world.register(r#"{"ID":"a","Name":"old","Port":1}"#).await;
    world.register(r#"{"ID":"a","Name":"new","Port":1}"#).await;
    assert_eq!(world.get("/v1/health/service/old").await.ok(), json!([]));
    assert_eq!(world.get("/v1/health/service/new").await.ok()[0]["Service"]["ID"], "a");
    assert_eq!(world.get("/v1/agent/services").await.ok().as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn nodes_by_path_keep_equal_ids_apart_and_deregister_reaches_them() {
    let world = world().await;
    for node in ["n1", "n2"] {
        let answer = world
            .put(&format!("/node/{node}/v1/agent/service/register"), r#"{"Name":"web","Port":80}"#)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    assert_eq!(world.get("/v1/health/service/web").await.ok().as_array().unwrap().len(), 2);
    assert_eq!(world.get("/v1/agent/services").await.ok(), json!({}));
    // From here it could be either.
    assert_eq!(world.put("/v1/agent/service/deregister/web", "").await.status, StatusCode::CONFLICT);
    assert_eq!(world.put("/node/n1/v1/agent/service/deregister/web", "").await.status, StatusCode::OK);
    assert_eq!(world.put("/v1/agent/service/deregister/web", "").await.status, StatusCode::OK);
    assert_eq!(world.get("/v1/health/service/web").await.ok(), json!([]));
}

#[tokio::test]
async fn registering_again_keeps_checks_and_their_status_unless_told_otherwise() {
    let world = world().await;
    world
        .register(r#"{"Name":"web","Checks":[{"CheckID":"one","TTL":"30s"},{"CheckID":"two","TTL":"30s"}]}"#)
        .await;
    world.put("/v1/agent/check/pass/one", "").await;
    world.register(r#"{"Name":"web","Check":{"CheckID":"one","TTL":"30s","Status":"critical"}}"#).await;
    let checks = world.get("/v1/agent/checks").await.ok();
    assert_eq!((&checks["one"]["Status"], &checks["two"]["Status"]), (&json!("passing"), &json!("critical")));
    let again = r#"{"Name":"web","Check":{"CheckID":"one","TTL":"30s"}}"#;
    world.put("/v1/agent/service/register?replace-existing-checks=true", again).await;
    assert_eq!(world.get("/v1/agent/checks").await.ok().as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn maintenance_of_a_service_and_of_a_node() {
    let world = world().await;
    world.register(r#"{"Name":"web"}"#).await;
    let health = || async { world.get("/v1/agent/health/service/name/web").await.status };
    assert_eq!(health().await, StatusCode::OK);
    world.put("/v1/agent/service/maintenance/web?enable=true&reason=disk", "").await;
    // Registering again does not end it.
    world.register(r#"{"Name":"web","Port":81}"#).await;
    assert_eq!(health().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.get("/v1/health/checks/web").await.ok()[0]["Notes"], "disk");
    world.put("/v1/agent/service/maintenance/web?enable=false", "").await;
    assert_eq!(health().await, StatusCode::OK);
    world.put("/v1/agent/maintenance?enable=true", "").await;
    assert_eq!(world.get("/v1/health/service/web?passing").await.ok(), json!([]));
    assert_eq!(health().await, StatusCode::SERVICE_UNAVAILABLE);
    world.put("/v1/agent/maintenance?enable=false", "").await;
    assert_eq!(health().await, StatusCode::OK);
}

#[tokio::test]
async fn what_is_not_done_is_refused_aloud() {
    let world = world().await;
    for (check, said) in [
        (r#"{"ScriptArgs":["true"],"Interval":"10s"}"#, "Scripts are disabled on this agent"),
        (
            r#"{"DockerContainerID":"x","ScriptArgs":["true"],"Interval":"10s"}"#,
            "Scripts are disabled on this agent",
        ),
        (r#"{"H2PING":"a:1","Interval":"10s"}"#, "H2PING checks are not supported"),
        (r#"{"OSService":"a","Interval":"10s"}"#, "OSService checks are not supported"),
        (r#"{"TTL":"10s","OutputMaxSize":5000}"#, "OutputMaxSize must be at most 4096"),
        (r#"{"TTL":"10s","OutputMaxSize":-1}"#, "MaxOutputMaxSize must be positive"),
        (
            r#"{"HTTP":"http://a/","Interval":"1s","FailuresBeforeCritical":3,"FailuresBeforeWarning":1}"#,
            "not supported",
        ),
        (r#"{"TTL":"10s","Interval":"10s"}"#, "cannot both be specified"),
    ] {
        let body = format!(r#"{{"Name":"web","Check":{check}}}"#);
        let answer = world.put("/v1/agent/service/register", body).await;
        assert!(answer.text().contains(said), "{check}: {answer:?}");
    }
    for body in [r#"{"Name":"p","Kind":"connect-proxy"}"#, r#"{"Name":"p","Connect":{"Native":true}}"#] {
        assert_eq!(
            world.put("/v1/agent/service/register", body).await.status,
            StatusCode::BAD_REQUEST,
            "{body}"
        );
    }
    assert_eq!(world.get("/v1/agent/services").await.ok(), json!({}));
}

#[tokio::test]
async fn an_empty_address_is_the_nodes() {
    let world = world().await;
    world.register(r#"{"Name":"web","Port":80}"#).await;
    let said = world.get("/v1/health/service/web").await.ok();
    assert_eq!(
        (&said[0]["Service"]["Address"], &said[0]["Node"]["Address"]),
        (&json!(""), &json!("127.0.0.1"))
    );
    let view = world.registry.view(&switchboard_registry::Caller::internal("test")).unwrap();
    let instance = view.find_instance("default", "web", None, None).unwrap();
    assert_eq!(&*instance.instance.address, "127.0.0.1");
}

#[tokio::test]
async fn weights_of_zero_are_none_in_the_catalogue_and_wrong_for_an_agent() {
    let world = world().await;
    let zeros = r#"{"Name":"web","Weights":{"Passing":0,"Warning":0}}"#;
    assert_eq!(world.put("/v1/agent/service/register", zeros).await.status, StatusCode::BAD_REQUEST);
    let body = r#"{"Node":"n","Address":"10.0.0.1","Service":{"Service":"web","Weights":{"Passing":0,"Warning":0}}}"#;
    assert_eq!(world.put("/v1/catalog/register", body).await.text(), "true");
    let said = world.get("/v1/health/service/web").await.ok();
    assert_eq!(said[0]["Service"]["Weights"], json!({ "Passing": 1, "Warning": 1 }));
}

#[tokio::test]
async fn an_http_check_asks_what_its_words_say() {
    let world = world().await;
    let check = |header: &str| {
        format!(
            r#"{{"Name":"web","Port":80,"Check":{{"HTTP":"https://localhost:8443/deep?x=1","Interval":"10s","Timeout":"5s",
            "Method":"POST","Body":"ping","Header":{header},"TLSServerName":"web.example","TLSSkipVerify":true}}}}"#
        )
    };
    let probe = |world: &crate::support::World| {
        let view = world.registry.view(&switchboard_registry::Caller::internal("test")).unwrap();
        let checks = view.find_instance("default", "web", None, None).unwrap().checks[0].clone();
        let switchboard_model::Probe::Http(probe) = checks.probe.clone() else {
            panic!("{:?}", checks.probe)
        };
        *probe
    };
    world.register(check("{}")).await;
    let asked = probe(&world);
    assert_eq!((&*asked.method, &*asked.path, &*asked.body), ("POST", "/deep?x=1", "ping"));
    assert_eq!((asked.tls.as_deref(), asked.tls_skip_verify), (Some("web.example"), true));
    let headers: Vec<(&str, &str)> = asked.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let usual = [("User-Agent", "Consul Health Check"), ("Accept", "text/plain, text/*, */*")];
    assert_eq!(headers, usual);
    world.register(check(r#"{"user-agent":["mine"],"X-Two":["a","b"]}"#)).await;
    let asked = probe(&world);
    let headers: Vec<(&str, &str)> = asked.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(headers, [usual[1], ("X-Two", "a"), ("X-Two", "b"), ("user-agent", "mine")]);
}

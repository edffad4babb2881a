use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};
use switchboard_facade::LogTap;
use tracing_subscriber::prelude::*;

use crate::support::world;

#[tokio::test]
async fn the_host_and_the_metrics_are_told() {
    let world = world().await;
    let host = world.get("/v1/agent/host").await.ok();
    assert!(host["CollectionTime"].as_u64().unwrap() > 0);
    assert!(host["Memory"]["total"].as_u64().unwrap() > 0, "{host}");
    assert!(!host["CPU"].as_array().unwrap().is_empty());
    let metrics = world.get("/v1/agent/metrics").await.ok();
    let gauges = metrics["Gauges"].as_array().unwrap();
    assert!(gauges.iter().any(|gauge| gauge["Name"] == "consul.runtime.alloc_bytes"), "{metrics}");
    assert!(
        metrics["Counters"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["Name"] == "switchboard_consul_requests_total")
    );
    let text = world.get("/v1/agent/metrics?format=prometheus").await;
    assert!(text.text().contains("# TYPE switchboard_consul_requests_total counter"), "{text:?}");
    assert!(text.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let mut stream = world.stream("/v1/agent/metrics/stream").await.into_body();
    let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(serde_json::from_slice::<Value>(&first).unwrap()["Gauges"].is_array());
}

/// The first whole line that contains this.
async fn line_with(stream: &mut Incoming, wanted: &str) -> String {
    let mut text = String::new();
    loop {
        let frame = stream.frame().await.unwrap().unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&frame).unwrap());
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if let Some(line) = text[..whole].lines().find(|line| line.contains(wanted)) {
            return line.to_owned();
        }
        text.drain(..whole);
    }
}

#[tokio::test]
async fn the_log_is_streamed_at_the_level_that_is_asked_for() {
    let subscriber = tracing_subscriber::registry().with(LogTap::of_process().layer());
    // Other tests of this process log, too.
    let _ = subscriber.try_init();
    let world = world().await;
    assert_eq!(world.get("/v1/agent/monitor?loglevel=loud").await.text(), "Unknown log level: loud");
    let mut plain = world.stream("/v1/agent/monitor?loglevel=debug").await.into_body();
    let mut as_json = world.stream("/v1/agent/monitor?loglevel=debug&logjson").await.into_body();
    let mut quiet = world.stream("/v1/agent/monitor?loglevel=err").await.into_body();
    // A listener that is far behind misses lines: this one is told until it is heard.
    let told = tokio::spawn({
        let world = world.clone();
        async move {
            loop {
                world.get("/v1/status/leader").await;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    });
    let said = line_with(&mut plain, "path=/v1/status/leader").await;
    assert!(said.contains(" [DEBUG] switchboard_protocol_consul"), "{said}");
    let read: Value =
        serde_json::from_str(&line_with(&mut as_json, r#""path":"/v1/status/leader""#).await).unwrap();
    assert_eq!((&read["@level"], &read["@message"]), (&json!("debug"), &json!("Request finished")));
    told.abort();
    world.stop();
    assert!(quiet.frame().await.is_none(), "it ends with the server, and nothing was that loud");
}

#[tokio::test]
async fn agents_join_and_leave_as_far_as_they_can_here() {
    let world = world().await;
    assert_eq!(world.put("/v1/agent/join/127.0.0.1:8301", "").await.status, StatusCode::OK);
    let elsewhere = world.put("/v1/agent/join/10.9.9.9", "").await;
    assert!(elsewhere.status == 500 && elsewhere.text().contains("Failed to join 10.9.9.9"), "{elsewhere:?}");
    let own = world.put("/v1/agent/leave", "").await;
    assert!(own.status == 500 && own.text().contains("does not leave itself"), "{own:?}");
    world.put("/node/n1/v1/agent/service/register", r#"{"Name":"web"}"#).await;
    assert_eq!(world.put("/node/n1/v1/agent/leave", "").await.status, StatusCode::OK);
    assert_eq!(world.get("/v1/catalog/node/n1").await.text(), "null");
    assert_eq!(world.put("/node/n1/v1/agent/leave", "").await.status, StatusCode::OK, "it is gone already");

    let unknown = world.put("/v1/agent/force-leave/nobody", "").await;
    assert_eq!(unknown.text(), "agent: No node found with name 'nobody'");
    let alive = world.put("/v1/agent/force-leave/here", "").await;
    assert!(alive.text().contains("is alive"), "{alive:?}");
    let failed = r#"{"Node":"n2","Address":"10.0.0.2","Service":{"Service":"db"},
        "Check":{"CheckID":"serfHealth","Name":"Serf Health Status","Status":"critical"}}"#;
    world.put("/v1/catalog/register", failed).await;
    assert_eq!(world.put("/v1/agent/force-leave/n2?prune", "").await.status, StatusCode::OK);
    assert_eq!(world.get("/v1/catalog/node/n2").await.text(), "null");
    assert_eq!(world.get("/v1/health/service/db").await.text(), "[]");
}

#[tokio::test]
async fn the_one_server_is_shown_as_a_cluster_of_one() {
    let world = world().await;
    let raft = world.get("/v1/operator/raft/configuration").await.ok();
    assert_eq!((&raft["Servers"][0]["Node"], &raft["Servers"][0]["Voter"]), (&json!("here"), &json!(true)));
    let health = world.get("/v1/operator/autopilot/health").await.ok();
    assert_eq!((&health["Healthy"], &health["Servers"][0]["Leader"]), (&json!(true), &json!(true)));
    let state = world.get("/v1/operator/autopilot/state").await.ok();
    let leader = state["Leader"].as_str().unwrap();
    assert_eq!(state["Servers"][leader]["Status"], "leader");
    assert_eq!(world.get("/v1/operator/autopilot/configuration").await.ok()["CleanupDeadServers"], true);
    world.register(r#"{"Name":"web"}"#).await;
    let usage = world.get("/v1/operator/usage").await.ok();
    assert_eq!(
        (&usage["Usage"]["dc1"]["Services"], &usage["Usage"]["dc1"]["ServiceInstances"]),
        (&json!(2), &json!(2))
    );
    for (method, path, status) in [
        (Method::POST, "/v1/operator/raft/transfer-leader", 500),
        (Method::DELETE, "/v1/operator/raft/peer", 400),
        (Method::DELETE, "/v1/operator/raft/peer?id=x", 500),
        (Method::PUT, "/v1/operator/autopilot/configuration", 501),
        (Method::GET, "/v1/operator/keyring", 500),
    ] {
        let answer = world.call(method, path, "").await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert!(!answer.text().is_empty());
    }
}

#[tokio::test]
async fn what_there_is_none_of_says_so() {
    let world = world().await;
    for (method, path, status, said) in [
        (Method::GET, "/v1/acl/tokens", 401, "ACL support disabled"),
        (Method::GET, "/v1/acl/token/self", 401, "ACL support disabled"),
        (Method::PUT, "/v1/acl/bootstrap", 401, "ACL support disabled"),
        (Method::PUT, "/v1/agent/token/default", 401, "ACL support disabled"),
        (
            Method::GET,
            "/v1/connect/ca/configuration",
            500,
            "Connect must be enabled in order to use this endpoint",
        ),
        (Method::GET, "/v1/agent/connect/ca/leaf/web", 500, "Connect must be enabled"),
        (Method::GET, "/v1/connect/intentions", 500, "Connect must be enabled"),
        (Method::GET, "/v1/discovery-chain/web", 500, "Connect must be enabled"),
        (Method::PUT, "/v1/config", 501, "keeps no configuration entries"),
        (Method::DELETE, "/v1/config/proxy-defaults/global", 501, "keeps no configuration entries"),
        (
            Method::GET,
            "/v1/config/proxy-defaults/global",
            404,
            "Config entry not found for \"proxy-defaults\" / \"global\"",
        ),
        (Method::POST, "/v1/peering/token", 501, "no cluster peering"),
        (Method::GET, "/v1/internal/federation-states", 501, "no federation"),
        (Method::GET, "/v1/acl/nonsense", 404, "Invalid URL path: not a recognized HTTP API endpoint"),
        (Method::GET, "/v1/internal/ui/nothing", 404, "Invalid URL path: not a recognized HTTP API endpoint"),
    ] {
        let answer = world.call(method, path, "").await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert!(answer.text().contains(said), "{path}: {answer:?}");
    }
    for path in [
        "/v1/health/connect/web",
        "/v1/health/ingress/web",
        "/v1/catalog/connect/web",
        "/v1/catalog/gateway-services/gate",
        "/v1/config/service-defaults",
        "/v1/peerings",
    ] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "[]"), "{path}");
        assert!(answer.index() >= 1);
    }
    for path in ["/v1/agent/connect/ca/roots", "/v1/connect/ca/roots"] {
        let roots = world.get(path).await.ok();
        assert_eq!(roots["Roots"][0]["ID"], roots["ActiveRootID"]);
        assert_ne!(roots["ActiveRootID"], "");
    }
}

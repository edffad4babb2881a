use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{World, world_with};

/// Above what any step takes; nothing waits for it when all is well.
const LONG: Duration = Duration::from_secs(30);

impl World {
    /// Waits until the agent has exactly these services.
    async fn until_services(&self, expected: &[&str]) -> Value {
        let waiting = async {
            loop {
                let said = self.get("/v1/agent/services").await.ok();
                if said.as_object().unwrap().keys().eq(expected.iter().copied()) {
                    return said;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(LONG, waiting).await {
            Ok(said) => said,
            Err(_) => panic!("{expected:?} never came: {:?}", self.get("/v1/agent/services").await),
        }
    }
}

async fn world_of(place: &Path) -> World {
    world_with(&format!("node_name = 'here'\nservices = '{}'", place.display())).await
}

fn write(folder: &Path, name: &str, text: &str) {
    let unfinished = folder.join(format!(".{name}"));
    std::fs::write(&unfinished, text).unwrap();
    std::fs::rename(&unfinished, folder.join(name)).unwrap();
}

#[tokio::test]
async fn files_are_registered_followed_and_deregistered() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "user.json",
        r#"{"service":{"name":"user-service","id":"user-1","port":8080,"tags":["v1"],
            "check":{"id":"up","ttl":"30s","status":"passing"}}, "check":{"id":"mem","name":"Memory","ttl":"10s"}}"#,
    );
    write(folder.path(), "web.hcl", "service {\n  name = \"web\"\n  port = 80\n}\n");
    write(folder.path(), "notes.txt", "no definitions");
    let world = world_of(folder.path()).await;
    let said = world.until_services(&["user-1", "web"]).await;
    assert_eq!(
        (&said["user-1"]["Service"], &said["user-1"]["Tags"]),
        (&json!("user-service"), &json!(["v1"]))
    );
    let checks = world.get("/v1/agent/checks").await.ok();
    assert_eq!(
        checks["service:user-1"]["Status"].as_str().or(checks["up"]["Status"].as_str()),
        Some("passing")
    );
    assert_eq!(checks["mem"]["Status"], "critical");

    // What clients register beside them is theirs.
    world.register(r#"{"Name":"own"}"#).await;
    write(
        folder.path(),
        "web.hcl",
        "service {\n  name = \"web\"\n  port = 81\n}\nservice {\n  name = \"more\"\n}\n",
    );
    world.until_services(&["more", "own", "user-1", "web"]).await;
    assert_eq!(world.get("/v1/agent/services").await.ok()["web"]["Port"], 81);
    // Under another name it is the same services, which are never gone in between.
    let created =
        || async { world.get("/v1/health/service/web").await.ok()[0]["Service"]["CreateIndex"].clone() };
    let before = created().await;
    std::fs::rename(folder.path().join("web.hcl"), folder.path().join("net.hcl")).unwrap();
    std::fs::remove_file(folder.path().join("user.json")).unwrap();
    world.until_services(&["more", "own", "web"]).await;
    assert_eq!(created().await, before);
    assert_eq!(world.get("/v1/agent/checks").await.ok(), json!({}));
    std::fs::remove_file(folder.path().join("net.hcl")).unwrap();
    world.until_services(&["own"]).await;
}

#[tokio::test]
async fn a_broken_file_is_named_and_what_it_brought_stays() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", r#"{"service":{"name":"a","port":1}}"#);
    let world = world_of(folder.path()).await;
    world.until_services(&["a"]).await;
    for (text, said) in [
        ("{\n \"service\": {", "a.json: line 2 column 13: EOF"),
        (
            "{\"service\":{\"name\":\"a\",\n\"prot\":1}}",
            "a.json: service \"a\", line 2: unknown field \"prot\"",
        ),
        ("{\"service\":{\"port\":1}}", "a.json: service: Missing service name"),
        (
            "{\"service\":{\"name\":\"a\",\"check\":{\"args\":[\"x\"],\"interval\":\"1s\"}}}",
            "Scripts are disabled",
        ),
        ("{\"services\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "service \"a\" is in it twice"),
        ("{\"check\":{\"ttl\":\"1s\"}}", "a.json: check: Missing check name"),
    ] {
        write(folder.path(), "a.json", text);
        let answer = world.put("/v1/agent/reload", "").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{text}");
        assert!(answer.text().contains(said), "{text}: {answer:?}");
        assert_eq!(world.get("/v1/agent/services").await.ok()["a"]["Port"], 1);
    }
    // The others go on.
    write(folder.path(), "b.json", r#"{"service":{"name":"b"}}"#);
    assert_eq!(world.put("/v1/agent/reload", "").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    world.until_services(&["a", "b"]).await;
    write(folder.path(), "a.json", r#"{"service":{"name":"b","port":2}}"#);
    let answer = world.put("/v1/agent/reload", "").await;
    assert!(answer.text().contains("b.json: service \"b\" is in a.json, too"), "{answer:?}");
    write(folder.path(), "a.json", "{}");
    assert_eq!(world.put("/v1/agent/reload", "").await.status, StatusCode::OK);
    world.until_services(&["b"]).await;
}

#[tokio::test]
async fn checks_come_and_go_and_keep_their_status_while_they_stay() {
    let folder = tempfile::tempdir().unwrap();
    let text = |more: &str| {
        format!(
            r#"{{"service":{{"name":"a","checks":[{{"id":"one","ttl":"30s"}}{more}]}},
            "checks":[{{"id":"three","name":"three","service_id":"a","ttl":"30s"}}]}}"#
        )
    };
    write(folder.path(), "a.json", &text(r#",{"id":"two","ttl":"30s"}"#));
    let world = world_of(folder.path()).await;
    world.until_services(&["a"]).await;
    let ids = || async {
        let said = world.get("/v1/agent/checks").await.ok();
        said.as_object()
            .unwrap()
            .iter()
            .map(|(id, check)| format!("{id} {}", check["Status"]))
            .collect::<Vec<_>>()
    };
    world.put("/v1/agent/check/pass/three", "").await;
    let before = ids().await;
    assert_eq!(before.len(), 3, "{before:?}");
    let index = world.get("/v1/health/service/a").await.index();
    assert_eq!(world.put("/v1/agent/reload", "").await.status, StatusCode::OK);
    assert_eq!((ids().await, world.get("/v1/health/service/a").await.index()), (before, index));
    write(folder.path(), "a.json", &text(""));
    assert_eq!(world.put("/v1/agent/reload", "").await.status, StatusCode::OK);
    let after = ids().await;
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(after.contains(&"three \"passing\"".to_owned()), "{after:?}");
}

#[tokio::test]
async fn one_file_is_followed_also_before_it_says_anything_and_sighup_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reload.json");
    std::fs::write(&file, "").unwrap();
    let world = world_of(&file).await;
    std::fs::write(&file, r#"{"service":{"name":"redis","port":1234,"Meta":{"some":"meta"}}}"#).unwrap();
    assert_eq!(world.put("/v1/agent/reload", "").await.status, StatusCode::OK);
    let said = world.get("/v1/agent/services").await.ok();
    assert_eq!((&said["redis"]["Port"], &said["redis"]["Meta"]["some"]), (&json!(1234), &json!("meta")));
    // A client takes it away; being told by SIGHUP, the registry brings it back.
    world.put("/v1/agent/service/deregister/redis", "").await;
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::HUP).unwrap();
    world.until_services(&["redis"]).await;
}

#[tokio::test]
async fn what_a_file_brought_goes_also_when_it_vanished_while_nobody_looked() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", r#"{"service":{"name":"a"}}"#);
    write(folder.path(), "b.json", r#"{"service":{"name":"b"}}"#);
    let world = world_of(folder.path()).await;
    world.until_services(&["a", "b"]).await;
    let registry = world.registry.clone();
    world.stop();
    std::fs::remove_file(folder.path().join("b.json")).unwrap();
    let settings = format!("node_name = 'here'\nservices = '{}'", folder.path().display());
    let again = crate::support::serve(registry, &settings).await;
    again.until_services(&["a"]).await;
}

#[tokio::test]
async fn without_files_there_is_nothing_to_reload_and_a_place_that_is_not_there_is_said() {
    let world = world_with("node_name = 'here'").await;
    assert_eq!(world.put("/v1/agent/reload", "").await.status, StatusCode::OK);
    let world = world_of(Path::new("/nowhere/at/all")).await;
    let answer = world.put("/v1/agent/reload", "").await;
    assert!(answer.text().starts_with("/nowhere/at/all: "), "{answer:?}");
}

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Answer, World, world};

impl World {
    async fn txn(&self, ops: &Value) -> Answer {
        self.put("/v1/txn", ops.to_string()).await
    }
}

fn set(key: &str, value: &str) -> Value {
    json!({"KV": {"Verb": "set", "Key": key, "Value": value}})
}

fn kv(verb: &str, key: &str) -> Value {
    json!({"KV": {"Verb": verb, "Key": key}})
}

#[tokio::test]
async fn later_operations_see_earlier_ones_and_all_is_one_commit() {
    let world = world().await;
    let head = world.registry.head();
    let ops = json!([
        set("a", "MQ=="),
        kv("get", "a"),
        set("a", "Mg=="),
        set("b", "Mw=="),
        kv("delete", "b"),
        kv("get-or-empty", "b"),
        kv("get-tree", "a"),
        kv("check-not-exists", "b"),
    ]);
    let answer = world.txn(&ops).await.ok();
    let told: Vec<_> =
        answer["Results"].as_array().unwrap().iter().map(|it| it["KV"]["Value"].clone()).collect();
    assert_eq!(told, [json!(null), json!("MQ=="), json!(null), json!(null), json!(null), json!("Mg==")]);
    assert_eq!(world.registry.head(), head.next());
    let index = answer["Results"][0]["KV"]["ModifyIndex"].as_u64();
    assert_eq!(index, Some(head.next().0), "the index is that of the commit");
    assert_eq!(world.get("/v1/kv/?keys").await.ok(), json!(["a"]));
}

#[tokio::test]
async fn all_of_it_happens_or_nothing() {
    let world = world().await;
    world.put("/v1/kv/there", "x").await;
    let head = world.registry.head();
    for (op, what) in [
        (kv("get", "none"), "key \"none\" doesn't exist"),
        (kv("check-not-exists", "there"), "key \"there\" exists"),
        (
            json!({"KV": {"Verb": "cas", "Key": "there", "Value": "eA==", "Index": 1}}),
            "failed to set key \"there\", index is stale",
        ),
        (
            json!({"KV": {"Verb": "delete-cas", "Key": "there", "Index": 1}}),
            "failed to delete key \"there\", index is stale",
        ),
        (json!({"KV": {"Verb": "lock", "Key": "l", "Session": "x"}}), "invalid session \"x\""),
        (
            json!({"KV": {"Verb": "unlock", "Key": "there", "Session": "x"}}),
            "failed to unlock key \"there\", lock isn't held, or is held by another session",
        ),
        (json!({"Node": {"Verb": "get", "Node": {"Node": "none"}}}), "node \"none\" doesn't exist"),
        (
            json!({"Service": {"Verb": "set", "Node": "none", "Service": {"Service": "s"}}}),
            "Missing node registration",
        ),
        (
            json!({"Check": {"Verb": "set", "Check": {"Node": "none", "CheckID": "c", "Name": "c"}}}),
            "Missing node registration",
        ),
    ] {
        let answer = world.txn(&json!([set("new", "eA=="), op])).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{what}");
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(said, json!({"Results": null, "Errors": [{"OpIndex": 1, "What": what}]}));
        assert_eq!(world.registry.head(), head, "{what}");
    }
}

#[tokio::test]
async fn reads_and_what_is_there_already_make_no_commit() {
    let world = world().await;
    world.txn(&json!([set("a", "MQ==")])).await.ok();
    let head = world.registry.head();
    let read = world.txn(&json!([kv("get", "a"), kv("get-tree", "a")])).await;
    assert_eq!(read.ok()["Results"].as_array().unwrap().len(), 2);
    assert_eq!(read.headers["x-consul-knownleader"], "true");
    assert!(!read.headers.contains_key("x-consul-index"));
    world.txn(&json!([set("a", "MQ==")])).await.ok();
    world.txn(&json!([set("a", "Mg=="), set("a", "MQ==")])).await.ok();
    world.txn(&json!([set("b", "Mg=="), kv("delete", "b")])).await.ok();
    assert_eq!(world.registry.head(), head);
}

#[tokio::test]
async fn the_catalogue_is_written_and_read_in_the_same_transaction() {
    let world = world().await;
    let ops = json!([
        {"Node": {"Verb": "set", "Node": {"Node": "n1", "Address": "10.0.0.1", "Meta": {"rack": "r1"}}}},
        {"Service": {"Verb": "set", "Node": "n1", "Service": {"ID": "web-1", "Service": "web", "Port": 80}}},
        {"Check": {"Verb": "set", "Check": {"Node": "n1", "CheckID": "c", "Name": "c", "Status": "warning", "ServiceID": "web-1"}}},
        {"Check": {"Verb": "get", "Check": {"Node": "n1", "CheckID": "c"}}},
    ]);
    let answer = world.txn(&ops).await.ok();
    assert_eq!(answer["Results"][0]["Node"]["Meta"]["rack"], "r1");
    assert_eq!(answer["Results"][1]["Service"]["Port"], 80);
    assert_eq!(answer["Results"][3]["Check"]["ServiceName"], "web");
    let found = world.get("/v1/health/service/web").await.ok();
    assert_eq!(found[0]["Checks"][0]["Status"], "warning");
    let index = answer["Results"][2]["Check"]["ModifyIndex"].clone();
    let cas = |status: &str| {
        json!([{"Check": {"Verb": "cas", "Check": {
            "Node": "n1", "CheckID": "c", "Name": "c", "Status": status, "ServiceID": "web-1", "ModifyIndex": index,
        }}}])
    };
    assert_eq!(world.txn(&cas("passing")).await.status, StatusCode::OK);
    assert_eq!(world.txn(&cas("critical")).await.status, StatusCode::CONFLICT);
    let gone = json!([
        {"Check": {"Verb": "delete", "Check": {"Node": "n1", "CheckID": "c"}}},
        {"Node": {"Verb": "delete", "Node": {"Node": "n1"}}},
    ]);
    assert_eq!(world.txn(&gone).await.ok()["Results"], json!([]));
    assert_eq!(world.get("/v1/catalog/node/n1").await.text(), "null");
}

#[tokio::test]
async fn a_lock_is_taken_and_freed_by_transactions() {
    let world = world().await;
    let session = world.session(json!({"LockDelay": "0s"})).await;
    let op = |verb: &str, session: &str| json!([{"KV": {"Verb": verb, "Key": "l", "Value": "eA==", "Session": session}}]);
    assert_eq!(world.txn(&op("lock", &session)).await.ok()["Results"][0]["KV"]["LockIndex"], 1);
    let rival = world.session(json!({})).await;
    let refused = world.txn(&op("lock", &rival)).await;
    assert!(
        refused.text().contains("failed to lock key \\\"l\\\", lock is already held"),
        "{}",
        refused.text()
    );
    assert_eq!(world.txn(&op("check-session", &session)).await.status, StatusCode::OK);
    assert_eq!(
        world.txn(&json!([{"Session": {"Verb": "delete", "Session": {"ID": session}}}])).await.status,
        StatusCode::OK
    );
    assert_eq!(world.txn(&op("lock", &rival)).await.status, StatusCode::OK);
    assert_eq!(world.txn(&op("unlock", &rival)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_transaction_is_refused() {
    let world = world().await;
    let head = world.registry.head();
    let many = json!(vec![kv("get-or-empty", "k"); 129]).to_string();
    for (body, status, text) in [
        ("", 400, "Failed to parse body: EOF"),
        (r#"[{"Nonsense":{}}]"#, 400, "Failed to parse body: json: unknown field \"Nonsense\""),
        (
            r#"[{"KV":{"Verb":"set","Key":"a","Value":"not base64!"}}]"#,
            400,
            "Failed to parse body: illegal base64 data at input byte 3",
        ),
        (&many, 413, "Transaction contains too many operations (129 > 128)"),
    ] {
        let answer = world.put("/v1/txn", body.to_owned()).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (status, text), "{body:.60}");
    }
    for (body, what) in [
        (r#"[{"KV":{"Verb":"set"}}]"#, "Must provide key"),
        (r#"[{"KV":{"Verb":"x","Key":"a"}}]"#, "unknown KV verb \"x\""),
        (r#"[{"Node":{"Verb":"x","Node":{"Node":"n"}}}]"#, "unknown Node verb \"x\""),
        (
            r#"[{"Service":{"Verb":"set","Node":"n","Service":{"ID":"x"}}}]"#,
            "Must provide service name (Service.Service) when service ID is provided",
        ),
    ] {
        let answer = world.put("/v1/txn", body).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{body}");
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(said["Errors"], json!([{"OpIndex": 0, "What": what}]), "{body}");
    }
    assert_eq!(world.registry.head(), head);
}

/// Every operation may ask for a tree, and every tree may be all that is kept: the answer had no end.
#[tokio::test]
async fn trees_told_again_and_again_come_to_an_end() {
    let world = world().await;
    let value = "x".repeat(512 * 1024);
    for n in 0..16 {
        assert_eq!(world.put(&format!("/v1/kv/tree/{n}"), value.clone()).await.text(), "true");
    }
    let head = world.registry.head();
    // As much as 128 of the largest values come to is told, and no more; what else was to be done is not.
    let mut ops = vec![set("also", "eA==")];
    ops.extend((0..9).map(|_| kv("get-tree", "tree/")));
    let answer = world.txn(&json!(ops)).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    let errors = told["Errors"].as_array().unwrap();
    assert!(told["Results"].is_null());
    let at: Vec<_> = errors.iter().map(|error| error["OpIndex"].as_u64().unwrap()).collect();
    assert_eq!(at, [8, 9]);
    assert!(errors[0]["What"].as_str().unwrap().contains("more than 67108864 bytes"), "{errors:?}");
    assert_eq!(world.registry.head(), head);
    assert_eq!(world.txn(&json!([kv("get-tree", "tree/")])).await.status, StatusCode::OK);
}

fn node(verb: &str, node: &Value) -> Value {
    json!({"Node": {"Verb": verb, "Node": node}})
}

/// A transaction once made a second node of one id, where `catalog/register` renames it.
#[tokio::test]
async fn a_node_of_a_known_id_and_another_name_is_renamed() {
    let world = world().await;
    let id = "11111111-2222-3333-4444-555555555555";
    let old = json!({"ID": id, "Node": "old", "Address": "10.0.0.1"});
    world.txn(&json!([node("set", &old)])).await.ok();
    let service = r#"{"Node":"old","SkipNodeUpdate":true,"Service":{"Service":"web"}}"#;
    assert_eq!(world.put("/v1/catalog/register", service).await.text(), "true");
    let new = json!({"ID": id, "Node": "new", "Address": "10.0.0.2"});
    let answer = world.txn(&json!([node("set", &new)])).await.ok();
    assert_eq!(answer["Results"][0]["Node"]["Node"], "new");
    assert_eq!(world.get("/v1/catalog/node/old").await.text(), "null");
    assert_eq!(world.get("/v1/catalog/node/new").await.ok()["Services"], json!({}));
    assert_eq!(world.get("/v1/catalog/service/web").await.ok(), json!([]), "it goes with all on it");

    // By its id alone, and by its id whatever the name is.
    for by in [json!({"ID": id}), json!({"ID": id, "Node": "other"})] {
        let answer = world.txn(&json!([node("get", &by)])).await.ok();
        assert_eq!(answer["Results"][0]["Node"]["Node"], "new", "{by}");
    }
    let other = json!({"ID": "11111111-2222-3333-4444-666666666666", "Node": "new"});
    let answer = world.txn(&json!([node("get", &other)])).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{:?}", answer.body);
    let own = json!({"ID": world.get("/v1/agent/self").await.ok()["Config"]["NodeID"], "Node": "thief"});
    assert_eq!(world.txn(&json!([node("set", &own)])).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_name_whose_agent_is_there_is_taken() {
    let world = world().await;
    let id = |n: u8| format!("21111111-2222-3333-4444-00000000000{n}");
    let register = async |name: &str, n: u8, status: &str| {
        let check = json!({"CheckID": "serfHealth", "Name": "s", "Status": status});
        let body = json!({"Node": name, "ID": id(n), "Address": "10.0.0.1", "Check": check});
        world.put("/v1/catalog/register", body.to_string()).await
    };
    assert_eq!(register("n1", 1, "passing").await.text(), "true");
    assert_eq!(
        register("n1", 2, "passing").await.text(),
        format!(
            "failed inserting node: Error while renaming Node ID: \"{}\": Node name n1 is reserved by node {} with name n1 (10.0.0.1)",
            id(2),
            id(1)
        )
    );
    assert_eq!(register("n2", 3, "critical").await.text(), "true");
    assert_eq!(register("n2", 4, "critical").await.text(), "true", "nobody is there");
    assert_eq!(world.get("/v1/catalog/node/n2").await.ok()["Node"]["ID"], json!(id(4)));
}

#[tokio::test]
async fn what_is_wrong_with_one_operation_is_said_of_that_one() {
    let world = world().await;
    world.txn(&json!([node("set", &json!({"Node": "n1", "Address": "10.0.0.1"}))])).await.ok();
    let service = |verb: &str, node: &str, body: Value| json!({"Service": {"Verb": verb, "Node": node, "Service": body}});
    let check = |verb: &str, body: Value| json!({"Check": {"Verb": verb, "Check": body}});
    let no_value = "index error: object is missing a value for this index";
    for (op, what) in [
        (node("set", &json!({})), "Must provide node".to_owned()),
        (node("delete", &json!({})), "Must provide node".to_owned()),
        (node("get", &json!({})), "node \"\" doesn't exist".to_owned()),
        (
            node("set", &json!({"Node": "a", "ID": "xx"})),
            "Bad node ID: uuid string is wrong length".to_owned(),
        ),
        (node("odd", &json!({"Node": "a"})), "unknown Node verb \"odd\"".to_owned()),
        (service("set", "", json!({"Service": "x"})), "Missing node registration".to_owned()),
        (service("get", "", json!({"Service": "x"})), "service \"\" on node \"\" doesn't exist".to_owned()),
        (
            service("get", "n1", json!({"Service": "x"})),
            "service \"\" on node \"n1\" doesn't exist".to_owned(),
        ),
        (check("set", json!({"Name": "c"})), format!("failed health check lookup: {no_value}")),
        (check("get", json!({"Name": "c", "Node": "n1"})), format!("failed check lookup: {no_value}")),
        (check("delete", json!({"Name": "c"})), format!("check lookup failed: {no_value}")),
    ] {
        let answer = world.txn(&json!([kv("get-tree", "a"), op])).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{op}: {:?}", answer.body);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["Errors"], json!([{"OpIndex": 1, "What": what}]), "{op}");
    }
    assert_eq!(
        world.txn(&json!([service("delete", "", json!({"Service": "x"}))])).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_node_may_be_elsewhere_and_nowhere() {
    let world = world().await;
    let wish = json!({"Node": "far", "Address": "", "Datacenter": "dc9"});
    let told = world.txn(&json!([node("set", &wish)])).await.ok()["Results"][0]["Node"].clone();
    assert_eq!((&told["Address"], &told["Datacenter"]), (&json!(""), &json!("dc9")));
    let told = world.get("/v1/catalog/node/far").await.ok()["Node"].clone();
    assert_eq!((&told["Address"], &told["Datacenter"]), (&json!(""), &json!("dc9")));
    let here = json!({"Node": "near", "Address": "10.0.0.1", "Datacenter": "dc1"});
    let told = world.txn(&json!([node("set", &here)])).await.ok();
    assert_eq!(told["Results"][0]["Node"]["Datacenter"], "dc1");
}

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{World, world};

impl World {
    pub(crate) async fn session(&self, body: Value) -> String {
        self.put("/v1/session/create", body.to_string()).await.ok()["ID"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn delete(&self, path: &str) -> Value {
        self.call(Method::DELETE, path, "").await.ok()
    }

    /// The value, the session, the lock index and the flags of a key.
    async fn pair(&self, key: &str) -> Option<Pair> {
        let answer = self.get(&format!("/v1/kv/{key}")).await;
        if answer.status == StatusCode::NOT_FOUND {
            assert_eq!(answer.text(), "");
            assert!(answer.index() > 0, "a miss has an index, too");
            return None;
        }
        let pair = &answer.ok()[0];
        let value = pair["Value"].as_str().map(|text| STANDARD.decode(text).unwrap()).unwrap_or_default();
        Some(Pair {
            value,
            session: pair["Session"].as_str().map(str::to_owned),
            lock_index: pair["LockIndex"].as_u64().unwrap(),
            flags: pair["Flags"].as_u64().unwrap(),
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Pair {
    value: Vec<u8>,
    session: Option<String>,
    lock_index: u64,
    flags: u64,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Put { flags: u64 },
    Cas { fits: bool },
    Acquire { session: usize },
    Release { session: usize },
    Delete,
    DeleteCas { fits: bool },
    End { session: usize },
}

fn op() -> impl Strategy<Value = (usize, u8, Op)> {
    let session = 0..2_usize;
    let what = prop_oneof![
        (0..3_u64).prop_map(|flags| Op::Put { flags }),
        any::<bool>().prop_map(|fits| Op::Cas { fits }),
        session.clone().prop_map(|session| Op::Acquire { session }),
        session.clone().prop_map(|session| Op::Acquire { session }),
        session.clone().prop_map(|session| Op::Release { session }),
        Just(Op::Delete),
        any::<bool>().prop_map(|fits| Op::DeleteCas { fits }),
        session.prop_map(|session| Op::End { session }),
    ];
    (0..2_usize, any::<u8>(), what)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What the documentation says of a key and its lock, in thirty lines, against the registry.
    #[test]
    fn keys_and_locks_are_as_the_documentation_says(ops in prop::collection::vec(op(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(against_the_model(ops));
    }
}

async fn against_the_model(ops: Vec<(usize, u8, Op)>) {
    const KEYS: [&str; 2] = ["a", "a/b"];
    let world = world().await;
    let behaviors = ["release", "delete"];
    let mut sessions: Vec<Option<String>> = Vec::new();
    for behavior in behaviors {
        sessions.push(Some(world.session(json!({"LockDelay": "0s", "Behavior": behavior})).await));
    }
    let mut model: BTreeMap<&str, Pair> = BTreeMap::new();
    for (key, value, op) in ops {
        let key = KEYS[key];
        let value = vec![value];
        let now = model.get(key).cloned();
        let index = world.get(&format!("/v1/kv/{key}")).await;
        let index = if now.is_some() { index.ok()[0]["ModifyIndex"].as_u64().unwrap() } else { 0 };
        let put = async |query: String| world.put(&format!("/v1/kv/{key}{query}"), value.clone()).await;
        let done = match op {
            Op::Put { flags } => {
                let session = now.as_ref().and_then(|pair| pair.session.clone());
                model.insert(key, Pair { value: value.clone(), session, lock_index: 0, flags });
                put(format!("?flags={flags}")).await.ok() == json!(true)
            }
            Op::Cas { fits } => {
                let answer = put(format!("?cas={}", if fits { index } else { index + 1 })).await.ok();
                if fits {
                    let session = now.and_then(|pair| pair.session);
                    model.insert(key, Pair { value: value.clone(), session, ..Pair::default() });
                }
                answer == json!(fits)
            }
            Op::Acquire { session } => {
                let Some(id) = &sessions[session] else { continue };
                let holder = now.as_ref().and_then(|pair| pair.session.clone());
                let expected = holder.is_none() || holder.as_ref() == Some(id);
                if expected {
                    let lock_index = now.map_or(0, |pair| pair.lock_index) + u64::from(holder.is_none());
                    let session = Some(id.clone());
                    model.insert(key, Pair { value: value.clone(), session, lock_index, flags: 0 });
                }
                put(format!("?acquire={id}")).await.ok() == json!(expected)
            }
            Op::Release { session } => {
                let Some(id) = &sessions[session] else { continue };
                let expected = now.as_ref().is_some_and(|pair| pair.session.as_ref() == Some(id));
                if expected {
                    let lock_index = now.map_or(0, |pair| pair.lock_index);
                    model.insert(key, Pair { value: value.clone(), session: None, lock_index, flags: 0 });
                }
                put(format!("?release={id}")).await.ok() == json!(expected)
            }
            Op::Delete => {
                model.remove(key);
                world.delete(&format!("/v1/kv/{key}")).await == json!(true)
            }
            Op::DeleteCas { fits } => {
                if now.is_none() {
                    continue;
                }
                if fits {
                    model.remove(key);
                }
                let index = if fits { index } else { index + 1 };
                world.delete(&format!("/v1/kv/{key}?cas={index}")).await == json!(fits)
            }
            Op::End { session } => {
                let Some(id) = sessions[session].take() else { continue };
                if behaviors[session] == "delete" {
                    model.retain(|_, pair| pair.session.as_ref() != Some(&id));
                }
                model
                    .values_mut()
                    .filter(|pair| pair.session.as_ref() == Some(&id))
                    .for_each(|pair| pair.session = None);
                world.put(&format!("/v1/session/destroy/{id}"), "").await.ok() == json!(true)
            }
        };
        assert!(done, "{op:?} of {key}");
        for key in KEYS {
            assert_eq!(world.pair(key).await.as_ref(), model.get(key), "{key} after {op:?}");
        }
    }
}

#[tokio::test]
async fn what_is_there_already_is_not_written() {
    let world = world().await;
    let session = world.session(json!({})).await;
    for path in ["/v1/kv/a".to_owned(), "/v1/kv/a?flags=3".to_owned(), format!("/v1/kv/l?acquire={session}")]
    {
        world.put(&path, "x").await;
        let head = world.registry.head();
        assert_eq!(world.put(&path, "x").await.text(), "true");
        assert_eq!(world.registry.head(), head, "{path}");
    }
}

#[tokio::test]
async fn lists_are_of_what_begins_so_and_end_at_the_separator() {
    let world = world().await;
    for key in ["a", "dir/one", "dir/two/x", "dir/two/y", "dir2"] {
        world.put(&format!("/v1/kv/{key}"), key.to_owned()).await;
    }
    for (path, keys) in [
        ("/v1/kv/?keys", json!(["a", "dir/one", "dir/two/x", "dir/two/y", "dir2"])),
        ("/v1/kv/?keys&separator=/", json!(["a", "dir/", "dir2"])),
        ("/v1/kv/dir/?keys&separator=/", json!(["dir/one", "dir/two/"])),
        ("/v1/kv/dir?keys&separator=wo", json!(["dir/one", "dir/two", "dir2"])),
    ] {
        assert_eq!(world.get(path).await.ok(), keys, "{path}");
    }
    assert_eq!(world.get("/v1/kv/nothing?keys").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/v1/kv/dir/?recurse").await.ok().as_array().unwrap().len(), 3);
    assert_eq!(world.delete("/v1/kv/dir/?recurse").await, json!(true));
    assert_eq!(world.get("/v1/kv/?keys").await.ok(), json!(["a", "dir2"]));
}

#[tokio::test]
async fn a_watch_of_a_folder_is_not_woken_by_its_neighbours() {
    let world = world().await;
    world.put("/v1/kv/mine/a", "1").await;
    let index = world.get("/v1/kv/mine/?recurse").await.index();
    let waiting = {
        let world = world.clone();
        tokio::spawn(async move { world.get(&format!("/v1/kv/mine/?recurse&index={index}&wait=60s")).await })
    };
    for other in ["theirs/a", "min", "mine0", "mine"] {
        world.put(&format!("/v1/kv/{other}"), "1").await;
    }
    assert_eq!(world.get("/v1/kv/mine/?recurse").await.index(), index, "neighbours do not move it");
    assert!(!waiting.is_finished());
    world.put("/v1/kv/mine/b", "2").await;
    let answer = waiting.await.unwrap();
    assert!(answer.index() > index);
    assert_eq!(answer.ok().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_consuls_words() {
    let world = world().await;
    let large = "x".repeat(512 * 1024 + 1);
    for (path, body, status, text) in [
        ("/v1/kv/", "x", 400, "Missing key name"),
        ("/v1/kv/a?cas=1&acquire=x", "x", 400, "Conflicting flags: acquire=x&cas=1"),
        ("/v1/kv/a?flags=x", "x", 500, "strconv.ParseUint: parsing \"x\": invalid syntax"),
        ("/v1/kv/a?cas=-1", "x", 500, "strconv.ParseUint: parsing \"-1\": invalid syntax"),
        (
            "/v1/kv/a?flags=99999999999999999999",
            "x",
            500,
            "strconv.ParseUint: parsing \"99999999999999999999\": value out of range",
        ),
        ("/v1/kv/a?acquire=", "x", 500, "raft apply failed: missing session"),
        ("/v1/kv/a?acquire=x", "x", 500, "raft apply failed: invalid session \"x\""),
        (
            "/v1/kv/a",
            &large,
            413,
            "Request body(524289 bytes) too large, max size: 524288 bytes. See https://www.consul.io/docs/agent/config/config-files#kv_max_value_size.",
        ),
    ] {
        let answer = world.put(path, body.to_owned()).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (status, text), "{path}");
    }
    assert_eq!(world.get("/v1/kv/?keys").await.text(), "[]");
}

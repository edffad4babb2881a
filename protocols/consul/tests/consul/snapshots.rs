use std::io::Read;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{world, world_with};

#[tokio::test]
async fn what_was_saved_is_all_there_is_after_it_is_restored() {
    let world = world().await;
    world.register(r#"{"Name":"web","Port":80,"Tags":["a"],"Check":{"TTL":"30s","Status":"passing"}}"#).await;
    world
        .put("/v1/catalog/register", r#"{"Node":"n1","Address":"10.0.0.1","Service":{"Service":"db"}}"#)
        .await;
    world.call(http::Method::POST, "/v1/query", r#"{"Name":"q","Service":{"Service":"db"}}"#).await;
    let saved = world.get("/v1/snapshot").await;
    assert_eq!(
        (saved.status, &saved.headers["x-consul-knownleader"]),
        (StatusCode::OK, &"true".parse().unwrap())
    );
    let before =
        [world.get("/v1/health/service/web").await.ok(), world.get("/v1/health/service/db").await.ok()];
    assert!(saved.index() > 1);

    world.put("/v1/agent/service/deregister/web", "").await;
    world.put("/v1/catalog/deregister", r#"{"Node":"n1"}"#).await;
    world.register(r#"{"Name":"late"}"#).await;
    let restored = world.put("/v1/snapshot", saved.body.clone()).await;
    assert_eq!((restored.status, restored.text()), (StatusCode::OK, ""));
    assert_eq!(world.get("/v1/health/service/late").await.ok(), json!([]));
    let after =
        [world.get("/v1/health/service/web").await.ok(), world.get("/v1/health/service/db").await.ok()];
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before[0]["Service"]["Tags"], after[0]["Service"]["Tags"]);
        assert_eq!(
            before[0]["Checks"].as_array().unwrap().len(),
            after[0]["Checks"].as_array().unwrap().len()
        );
        assert_eq!(before[0]["Node"]["Address"], after[0]["Node"]["Address"]);
    }
    assert_eq!(world.get("/v1/query").await.ok()[0]["Name"], "q");
    // Once more is no change, and into another registry it is a move.
    let index = world.get("/v1/catalog/services").await.index();
    assert_eq!(world.put("/v1/snapshot", saved.body.clone()).await.status, StatusCode::OK);
    assert_eq!(world.get("/v1/catalog/services").await.index(), index);
    let other = world_with("node_name = 'there'").await;
    let head = other.registry.head();
    assert_eq!(other.put("/v1/snapshot", saved.body.clone()).await.status, StatusCode::OK);
    assert_eq!(other.get("/v1/health/service/web").await.ok()[0]["Node"]["Node"], "here");
    assert!(other.get("/v1/catalog/node/there").await.ok()["Node"].is_object(), "it has its own node still");
    assert_eq!(other.get("/v1/health/node/there").await.ok()[0]["CheckID"], "serfHealth");
    assert_eq!(other.registry.head(), head.next(), "all of it is one commit, its own node included");
}

#[tokio::test]
async fn what_is_no_snapshot_changes_nothing() {
    let world = world_with("node_name = 'here'\nsnapshot_records = 6\nsnapshot_bytes = 9000").await;
    world.register(r#"{"Name":"web"}"#).await;
    let saved = world.get("/v1/snapshot").await.body;
    let mut damaged = saved.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let index = world.get("/v1/catalog/services").await.index();
    let damaged = Bytes::from(damaged);
    let foreign = wrapped(&[("meta.json", b"{}"), ("state.bin", b"of another server")]);
    for (body, status, said) in [
        (Bytes::new(), 500, "failed to decompress snapshot: EOF"),
        (Bytes::from_static(b"no snapshot"), 500, "failed to decompress snapshot: gzip: invalid header"),
        (Bytes::from_static(b"\x1f\x8b\x08\x00 some tar"), 500, "failed to restore snapshot: "),
        (foreign, 500, "this is no archive of this registry"),
        (wrapped(&[("meta.json", b"{}")]), 500, "there is no state.bin in it"),
        (wrapped(&[("state.bin", b""), ("state.bin", b"")]), 500, "comes twice"),
        (wrapped(&[("etc/passwd", b"x")]), 500, "unexpected file"),
        // A little that unpacks to a lot.
        (wrapped(&[("state.bin", &[0; 100_000])]), 413, "consul.snapshot_bytes"),
        (saved.slice(..saved.len() / 2), 500, "cut short"),
        (saved.slice(..saved.len() - 3), 500, "failed to restore snapshot: "),
        (damaged, 500, "failed to restore snapshot: "),
        ([&saved[..], b"more"].concat().into(), 500, "something follows the end"),
        ([b"switchboard archive 1\n", &[0x61; 9900][..]].concat().into(), 413, "consul.snapshot_bytes"),
    ] {
        let answer = world.put("/v1/snapshot", body).await;
        assert_eq!(answer.status.as_u16(), status, "{said}: {answer:?}");
        assert!(answer.text().contains(said), "{said}: {answer:?}");
    }
    assert_eq!(world.get("/v1/catalog/services").await.index(), index);
    for n in 0..5 {
        world.register(format!(r#"{{"Name":"web{n}"}}"#)).await;
    }
    let larger = world.get("/v1/snapshot").await.body;
    let answer = world.put("/v1/snapshot", larger).await;
    assert!(answer.text().contains("more than 6 records"), "{answer:?}");
}

/// These files in the form that a snapshot has.
fn wrapped(files: &[(&str, &[u8])]) -> Bytes {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap().into()
}

#[tokio::test]
async fn a_snapshot_is_what_consuls_tools_take_for_one() {
    let world = world().await;
    for n in 0..300 {
        world
            .register(
                json!({ "ID": n.to_string(), "Name": "web", "Meta": { "n": n.to_string() } }).to_string(),
            )
            .await;
    }
    let answer = world.get("/v1/snapshot").await;
    assert_eq!(answer.headers["content-type"], "application/x-gzip");
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&*answer.body));
    let mut files = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.push((entry.path().unwrap().to_string_lossy().into_owned(), bytes));
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["meta.json", "state.bin", "SHA256SUMS"]);
    let meta: serde_json::Value = serde_json::from_slice(&files[0].1).unwrap();
    assert_eq!((&meta["Index"], &meta["Size"]), (&json!(answer.index()), &json!(files[1].1.len())));
    let sum =
        |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sums = format!("{}  meta.json\n{}  state.bin\n", sum(&files[0].1), sum(&files[1].1));
    assert_eq!(String::from_utf8_lossy(&files[2].1), sums);
    // The archive alone is taken, too: snapshots were that once.
    world.put("/v1/agent/service/deregister/7", "").await;
    assert_eq!(world.put("/v1/snapshot", files[1].1.clone()).await.status, StatusCode::OK);
    assert_eq!(world.get("/v1/health/service/web").await.ok().as_array().unwrap().len(), 300);
}

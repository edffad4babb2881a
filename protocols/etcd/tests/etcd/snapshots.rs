//! Snapshots as they are told and brought in again. That etcd reads them is for `etcd/snapshot` to say.

use std::sync::Arc;

use switchboard_engine_memory::Memory;
use switchboard_facade::Section;
use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_protocol_etcd::etcdserverpb::maintenance_client::MaintenanceClient;
use switchboard_protocol_etcd::import;
use switchboard_registry::{OpenGate, Options, Registry};
use tonic::{Code, Status};

use crate::support::*;
use crate::users::{CHEAP, guarded, refused, with};

const SUM: usize = 32;

/// The file, with the sum behind it.
async fn saved(world: &World, token: Option<&str>) -> Result<Vec<u8>, Status> {
    let mut maintenance = MaintenanceClient::new(world.channel.clone());
    let mut told = maintenance.snapshot(with(token, pb::SnapshotRequest {})).await?.into_inner();
    let (mut file, mut left) = (Vec::new(), None);
    while let Some(piece) = told.message().await? {
        assert_eq!(piece.version, "3.6.0");
        if let Some(left) = left {
            let sum = if piece.remaining_bytes == left { 0 } else { piece.blob.len() as u64 };
            assert_eq!(piece.remaining_bytes + sum, left);
        }
        left = Some(piece.remaining_bytes);
        file.extend_from_slice(&piece.blob);
    }
    assert_eq!(left, Some(0));
    Ok(file)
}

#[tokio::test]
async fn it_is_whole_pages_and_their_sum() {
    let world = world().await;
    let empty = saved(&world, None).await.unwrap();
    for i in 0..50 {
        world.put(&format!("k{i}"), &"v".repeat(i * 500)).await;
    }
    let file = saved(&world, None).await.unwrap();
    assert!(file.len() > empty.len());
    for file in [&empty, &file] {
        let (pages, sum) = file.split_at(file.len() - SUM);
        assert_eq!(pages.len() % 4096, 0);
        assert_eq!(sum, ring::digest::digest(&ring::digest::SHA256, pages).as_ref());
    }
    assert_eq!(saved(&world, None).await.unwrap(), file, "nothing of it is by chance");
}

#[tokio::test]
async fn only_root_is_told() {
    let world = guarded().await;
    let alice = world.user("alice", &[], &[]).await;
    refused(saved(&world, None).await, Code::InvalidArgument, "etcdserver: user name is empty");
    refused(saved(&world, Some(&alice)).await, Code::PermissionDenied, "etcdserver: permission denied");
    let root = world.root().await;
    saved(&world, root.token.as_deref()).await.unwrap();
}

fn engine() -> (Arc<Memory>, Registry) {
    let engine = Arc::new(Memory::new());
    (engine.clone(), Registry::open(engine, Options::default(), Arc::new(OpenGate)))
}

#[tokio::test]
async fn what_was_saved_is_brought_into_another_registry() {
    let world = guarded().await;
    let root = world.root().await.token.unwrap();
    let alice = world.user("alice", &[("r", "s")], &[]).await;
    let put = |key: &str, value: &str, lease: i64| {
        let request = pb::PutRequest { key: b(key), value: b(value), lease, ..Default::default() };
        let (mut kv, request) = (world.kv(), with(Some(&root), request));
        async move { kv.put(request).await.unwrap() }
    };
    let lease = world.grant_as(Some(&root), 500).await;
    put("r/1", "one", lease).await;
    put("r/2", "gone", 0).await;
    put("long", &"x".repeat(100_000), 0).await;
    put("/services/web/1", "10.0.0.1:80", lease).await;
    let delete = pb::DeleteRangeRequest { key: b("r/2"), ..Default::default() };
    world.kv().delete_range(with(Some(&root), delete)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.db");
    std::fs::write(&file, saved(&world, Some(&root)).await.unwrap()).unwrap();
    let (engine, registry) = engine();
    registry.loaded().await.unwrap();
    let imported = import(&registry, &Section::default(), &file).await.unwrap();
    assert_eq!((imported.keys, imported.leases, imported.users, imported.roles), (3, 1, 2, 1));
    assert!(imported.guarded);
    let again = import(&registry, &Section::default(), &file).await.unwrap_err();
    assert!(again.to_string().contains("--data-dir"), "{again}");
    let other = open(CHEAP, Options::default(), engine).await;
    // With the password of before, and what it permits.
    let alices = other.auth().sign_in("alice").await;
    let range = |token: &str, key: &str, end: &str| {
        let request = pb::RangeRequest { key: b(key), range_end: b(end), ..Default::default() };
        let (mut kv, request) = (other.kv(), with(Some(token), request));
        async move { kv.range(request).await.map(|found| found.into_inner().kvs) }
    };
    let found = range(&alices, "r", "s").await.unwrap();
    let found: Vec<_> = found.iter().map(|kv| (&kv.key[..], &kv.value[..], kv.lease)).collect();
    assert_eq!(found, [(&b"r/1"[..], &b"one"[..], lease)]);
    refused(range(&alices, "long", "").await, Code::PermissionDenied, "etcdserver: permission denied");
    let root = other.root().await.token.unwrap();
    assert_eq!(range(&root, "long", "").await.unwrap()[0].value.len(), 100_000);
    let view = other.registry.view(&caller()).unwrap();
    let web = view.service("default", "web").unwrap();
    assert_eq!(web.instances().count(), 1, "what was an instance is one");
    drop(alice);
}

#[tokio::test]
async fn what_is_no_snapshot_is_refused_and_changes_nothing() {
    let world = world().await;
    world.put("a", "1").await;
    let good = saved(&world, None).await.unwrap();
    let mut changed = good.clone();
    changed[9000] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.db");
    for (bytes, why) in [
        (&changed[..], "SHA-256"),
        (&good[..good.len() - SUM - 1], "shorter than it says"),
        (&b""[..], "no file of etcd's"),
        (&[7; 70_000][..], "no file of etcd's"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let (_, registry) = engine();
        registry.loaded().await.unwrap();
        let refused = format!("{:#}", import(&registry, &Section::default(), &file).await.unwrap_err());
        assert!(refused.contains(why) && refused.contains("saved.db"), "{refused}");
        assert_eq!(registry.head().0, 0);
    }
    // The file that etcd itself has open has no sum behind it.
    std::fs::write(&file, &good[..good.len() - SUM]).unwrap();
    let (_, registry) = engine();
    registry.loaded().await.unwrap();
    assert_eq!(import(&registry, &Section::default(), &file).await.unwrap().keys, 1);
}

/// It began, and said half-way that a part was imported: no plain key was there, and so it seemed to be empty.
#[tokio::test]
async fn nothing_is_brought_in_beside_instances_or_leases_that_are_there() {
    let world = world().await;
    let lease = world.grant_as(None, 500).await;
    let put =
        pb::PutRequest { key: b("/services/web/1"), value: b("10.0.0.1:80"), lease, ..Default::default() };
    world.kv().put(put).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.db");
    std::fs::write(&file, saved(&world, None).await.unwrap()).unwrap();
    let (_, registry) = engine();
    registry.loaded().await.unwrap();
    assert_eq!(import(&registry, &Section::default(), &file).await.unwrap().keys, 1);
    let head = registry.head();
    let again = import(&registry, &Section::default(), &file).await.unwrap_err();
    assert!(again.to_string().contains("leases of etcd already"), "{again}");
    assert_eq!(registry.head(), head);
}

/// Whoever asks and goes leaves nobody working for it: others are told.
#[tokio::test]
async fn who_goes_on_the_way_makes_room_for_others() {
    let world = world().await;
    for i in 0..20 {
        world.put(&format!("k{i}"), &"v".repeat(100_000)).await;
    }
    for _ in 0..10 {
        let mut maintenance = MaintenanceClient::new(world.channel.clone());
        loop {
            let Ok(told) = maintenance.snapshot(pb::SnapshotRequest {}).await else {
                tokio::task::yield_now().await;
                continue;
            };
            told.into_inner().message().await.unwrap();
            break;
        }
    }
}

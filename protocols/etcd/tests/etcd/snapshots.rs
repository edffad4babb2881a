//! Snapshots as they are told. That etcd reads them is for `etcd/snapshot` to say.

use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_protocol_etcd::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::{Code, Status};

use crate::support::*;
use crate::users::{guarded, refused, with};

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

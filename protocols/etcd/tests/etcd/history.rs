//! Revisions: of answers, of the past, and of what was compacted.

use switchboard_protocol_etcd::etcdserverpb as pb;

use crate::support::*;

#[tokio::test]
async fn the_first_revision_is_one_and_every_put_is_one_more() {
    let world = world().await;
    let empty = world.kv().range(pb::RangeRequest { key: b("a"), ..Default::default() }).await.unwrap();
    assert_eq!(empty.into_inner().header.unwrap().revision, 1);
    assert_eq!(world.put("a", "1").await, 2);
    assert_eq!(world.put("a", "1").await, 3, "the same again is a new version to etcd's clients");
    assert_eq!(world.delete("a").await, 1);
    assert_eq!(world.delete("a").await, 0);
    assert_eq!(world.put("a", "2").await, 5);
}

#[tokio::test]
async fn any_revision_since_compaction_can_be_read() {
    let world = world().await;
    for i in 0..10 {
        world.put("a", &i.to_string()).await;
    }
    assert_eq!(world.all("a", 5).await.unwrap(), ["a=3@5"]);
    let compact = |revision| pb::CompactionRequest { revision, physical: true };
    world.kv().compact(compact(6)).await.unwrap();
    assert_eq!(world.all("a", 6).await.unwrap(), ["a=4@6"]);
    let gone = world.all("a", 5).await.unwrap_err();
    assert_eq!(gone.message(), "etcdserver: mvcc: required revision has been compacted");
    assert_eq!(gone.code(), tonic::Code::OutOfRange);
    assert_eq!(world.kv().compact(compact(6)).await.unwrap_err().message(), gone.message());
    let future = world.all("a", 100).await.unwrap_err();
    assert_eq!(future.message(), "etcdserver: mvcc: required revision is a future revision");
}

#[tokio::test]
async fn a_range_told_in_pieces_is_the_same_range() {
    let world = world().await;
    let value = "x".repeat(400 * 1024);
    for i in 0..6 {
        world.put(&format!("big/{i}"), &value).await;
    }
    let request = pb::RangeRequest { key: b("big/"), range_end: b("big0"), ..Default::default() };
    let mut pieces =
        world.kv().max_decoding_message_size(1 << 30).range_stream(request).await.unwrap().into_inner();
    let (mut keys, mut last) = (0, None);
    while let Some(piece) = pieces.message().await.unwrap() {
        let piece = piece.range_response.unwrap();
        keys += piece.kvs.len();
        assert!(last.replace(piece.count).is_none_or(|count| count == 0), "the count comes last");
    }
    assert_eq!((keys, last), (6, Some(6)));
}

/// A short range came in one piece, and whoever lists much waited for a megabyte before the first key.
#[tokio::test]
async fn a_range_in_pieces_begins_with_a_few_keys() {
    let world = world().await;
    for i in 0..25 {
        world.put(&format!("k{i:02}"), "v").await;
    }
    let lengths = async |limit| {
        let request = pb::RangeRequest { key: b("k"), range_end: b("l"), limit, ..Default::default() };
        let mut pieces = world.kv().range_stream(request).await.unwrap().into_inner();
        let mut lengths = Vec::new();
        while let Some(piece) = pieces.message().await.unwrap() {
            lengths.push(piece.range_response.unwrap().kvs.len());
        }
        lengths
    };
    assert_eq!(lengths(0).await, [10, 15]);
    assert_eq!(lengths(10).await, [10]);
    assert_eq!(lengths(12).await, [10, 2]);
}

/// The hash of no keys was 0, which clients take for an answer without one.
#[tokio::test]
async fn the_hash_of_nothing_is_one_too() {
    let world = world().await;
    let mut client = pb::maintenance_client::MaintenanceClient::new(world.channel.clone());
    assert_ne!(client.hash(pb::HashRequest {}).await.unwrap().into_inner().hash, 0);
}

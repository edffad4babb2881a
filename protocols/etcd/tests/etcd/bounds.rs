//! Hostile input: etcd's own error, or a clean end.

use switchboard_protocol_etcd::etcdserverpb as pb;

use crate::support::*;

#[tokio::test]
async fn what_is_too_large_is_refused_in_etcds_words() {
    let world = world().await;
    let put =
        |bytes: usize| pb::PutRequest { key: b("k"), value: vec![b'x'; bytes].into(), ..Default::default() };
    // What a real server told, to the byte: it measures the request with what it puts around it.
    world.kv().put(put(1536 * 1024 - 25)).await.unwrap();
    let status = world.kv().put(put(1536 * 1024 - 24)).await.unwrap_err();
    assert_eq!(status.message(), "etcdserver: request is too large");
    let status = world.kv().put(put(4 * 1024 * 1024)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status:?}");
    assert!(status.message().starts_with("grpc: received message larger than max ("), "{status:?}");
    // A key is part of the request like everything else; what only reads is not measured.
    let key = |bytes: usize| bytes::Bytes::from(vec![b'k'; bytes]);
    let long = |bytes| pb::PutRequest { key: key(bytes), ..Default::default() };
    world.kv().put(long(1024 * 1024)).await.unwrap();
    let get = |bytes| pb::RangeRequest { key: key(bytes), ..Default::default() };
    assert_eq!(world.kv().range(get(1024 * 1024)).await.unwrap().into_inner().count, 1);
    assert_eq!(world.kv().range(get(1_800_000)).await.unwrap().into_inner().count, 0);
    let delete = pb::DeleteRangeRequest { key: key(1_800_000), ..Default::default() };
    let status = world.kv().delete_range(delete).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (tonic::Code::InvalidArgument, "etcdserver: request is too large")
    );
}

#[tokio::test]
async fn what_nests_too_deep_or_is_no_message_is_refused_in_etcds_words() {
    use pb::request_op::Request;
    let world = world().await;
    let nested = |depth| {
        (0..depth).fold(pb::TxnRequest::default(), |within, _| {
            let op = pb::RequestOp { request: Some(Request::RequestTxn(within)) };
            pb::TxnRequest { success: vec![op], ..Default::default() }
        })
    };
    world.kv().txn(nested(49)).await.unwrap();
    let status = world.kv().txn(nested(60)).await.unwrap_err();
    let too_many = "etcdserver: too many operations in txn request";
    assert_eq!((status.code(), status.message()), (tonic::Code::InvalidArgument, too_many));
    let json =
        |depth| (0..depth).fold("{}".to_owned(), |t, _| format!(r#"{{"success":[{{"request_txn":{t}}}]}}"#));
    assert_eq!(world.post("/v3/kv/txn", &json(41)).await.0, http::StatusCode::OK);
    assert_eq!(world.post("/v3/kv/txn", &json(60)).await.1["message"], too_many);
    // A message of another kind: what is a text there is a number here.
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<pb::CompactionRequest, pb::RangeResponse>::default();
    let request = tonic::Request::new(pb::CompactionRequest { revision: 7, physical: true });
    let path = "/etcdserverpb.KV/Range".parse().unwrap();
    let status = client.unary(request, path, codec).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Internal);
    assert!(status.message().starts_with("grpc: error unmarshalling request: "), "{status:?}");
}

/// etcd has a setting for it, and those who need more have set it.
#[tokio::test]
async fn how_many_operations_a_transaction_has_is_a_setting() {
    use pb::request_op::Request;
    let world = world_with("max_txn_ops = 200", switchboard_registry::Options::default()).await;
    let put = |key: usize| pb::RequestOp {
        request: Some(Request::RequestPut(pb::PutRequest { key: b(&key.to_string()), ..Default::default() })),
    };
    let txn = |ops| pb::TxnRequest { success: (0..ops).map(put).collect(), ..Default::default() };
    assert_eq!(world.kv().txn(txn(200)).await.unwrap().into_inner().responses.len(), 200);
    let status = world.kv().txn(txn(201)).await.unwrap_err();
    assert_eq!(status.message(), "etcdserver: too many operations in txn request");
}

#[tokio::test]
async fn a_stream_that_is_never_read_holds_nobody_up() {
    let world = world().await;
    let mut deaf = world.watches().await;
    deaf.create(watch("\0", "\0", 0)).await;
    let mut heard = world.watches().await;
    heard.create(watch("last", "", 0)).await;
    let value = "x".repeat(64 * 1024);
    for i in 0..200 {
        world.put(&format!("k{i}"), &value).await;
    }
    let revision = world.put("last", "1").await;
    assert_eq!(heard.told().await, [format!("PUT last=1@{revision}")]);
    // And when it is read after all, nothing is missing.
    let mut told = 0;
    while told < 201 {
        told += deaf.next().await.events.len();
    }
}

#[tokio::test]
async fn unknown_services_and_methods_are_unimplemented() {
    let world = world().await;
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    for path in ["/no.such/Thing", "/etcdserverpb.KV/Nothing"] {
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<pb::RangeRequest, pb::RangeResponse>::default();
        let request = tonic::Request::new(pb::RangeRequest::default());
        let status = client.unary(request, path.parse().unwrap(), codec).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unimplemented, "{path}");
    }
}

//! What dashboards and alerts of etcd look for.

use http::{Method, StatusCode};
use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_registry::Options;

use crate::support::*;

impl World {
    /// What follows the name in the page.
    async fn metric(&self, name: &str) -> Option<f64> {
        let (status, page) = self.http(Method::GET, "/metrics", "").await;
        assert_eq!(status, StatusCode::OK);
        let page = String::from_utf8(page.to_vec()).unwrap();
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    async fn handled(&self, method: &str, code: &str) -> Option<f64> {
        let [service, kind] = match method {
            "Watch" => ["Watch", "bidi_stream"],
            _ => ["KV", "unary"],
        };
        let labels = format!(
            r#"grpc_type="{kind}",grpc_service="etcdserverpb.{service}",grpc_method="{method}",grpc_code="{code}""#
        );
        self.metric(&format!("grpc_server_handled_total{{{labels}}}")).await
    }
}

#[tokio::test]
async fn calls_are_counted_by_what_came_of_them() {
    let world = world().await;
    assert_eq!(world.handled("Put", "OK").await, Some(0.0));
    assert_eq!(world.handled("Put", "InvalidArgument").await, None);
    world.put("a", "1").await;
    world.put("a", "2").await;
    world.kv().put(pb::PutRequest::default()).await.unwrap_err();
    assert_eq!(world.handled("Put", "OK").await, Some(2.0));
    assert_eq!(world.handled("Put", "InvalidArgument").await, Some(1.0));
    let started =
        r#"grpc_server_started_total{grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put"}"#;
    assert_eq!(world.metric(started).await, Some(3.0));
    // A stream is counted at its end, here because its client goes.
    let mut watches = world.watches().await;
    watches.create(watch("a", "", 0)).await;
    assert_eq!(world.handled("Watch", "OK").await, Some(0.0));
    assert_eq!(world.metric("etcd_debugging_mvcc_watch_stream_total").await, Some(1.0));
    drop(watches);
    while [world.handled("Watch", "OK").await, world.handled("Watch", "Canceled").await]
        .into_iter()
        .flatten()
        .sum::<f64>()
        < 1.0
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn numbers_are_those_of_the_store() {
    let world = world_with("quota_bytes = 123456", Options::default()).await;
    world.put("a", "1").await;
    let newest = world.put("b", "2").await;
    world.delete("a").await;
    let two = r#"{"success":[{"request_put":{"key":"Yw=="}},{"request_range":{"key":"Yw=="}}]}"#;
    assert_eq!(world.post("/v3/kv/txn", two).await.0, StatusCode::OK);
    world.kv().compact(pb::CompactionRequest { revision: newest, physical: false }).await.unwrap();
    let (status, answer) = world.post("/v3/maintenance/status", "{}").await;
    assert_eq!(status, StatusCode::OK);
    let size: f64 = answer["dbSize"].as_str().unwrap().parse().unwrap();
    for (name, value) in [
        ("etcd_server_has_leader", 1.0),
        ("etcd_server_is_leader", 1.0),
        ("etcd_server_quota_backend_bytes", 123_456.0),
        ("etcd_mvcc_db_total_size_in_bytes", size),
        ("etcd_mvcc_db_total_size_in_use_in_bytes", size),
        ("etcd_debugging_mvcc_keys_total", 2.0),
        ("etcd_debugging_mvcc_current_revision", 5.0),
        ("etcd_debugging_mvcc_compact_revision", 3.0),
        ("etcd_server_proposals_committed_total", 5.0),
        ("etcd_server_proposals_applied_total", 5.0),
        ("etcd_mvcc_put_total", 3.0),
        ("etcd_mvcc_delete_total", 1.0),
        ("etcd_mvcc_range_total", 1.0),
        ("etcd_mvcc_txn_total", 1.0),
        ("etcd_debugging_auth_revision", 1.0),
        (r#"etcd_server_version{server_version="3.6.14"}"#, 1.0),
    ] {
        assert_eq!(world.metric(name).await, Some(value), "{name}");
    }
    for name in [
        "etcd_disk_wal_fsync_duration_seconds_count",
        "etcd_disk_backend_commit_duration_seconds_count",
        "etcd_network_client_grpc_received_bytes_total",
        "etcd_network_client_grpc_sent_bytes_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(world.metric(name).await.is_some_and(|value| value > 0.0), "{name}");
    }
}

#[tokio::test]
async fn without_a_quota_nothing_is_a_share_of_it() {
    let world = world_with("quota_bytes = 0", Options::default()).await;
    assert_eq!(world.metric("etcd_server_quota_backend_bytes").await, None);
}

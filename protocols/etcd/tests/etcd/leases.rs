//! Leases, and what lives by them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use switchboard_protocol_etcd::etcdserverpb as pb;

use crate::support::*;

#[tokio::test]
async fn all_of_a_lease_goes_in_one_revision() {
    let world = world().await;
    let lease = world.grant(60).await;
    world.put_under("l/b", "1", lease).await;
    world.put_under("l/a", "1", lease).await;
    world.put_under("/services/leased/1", "10.0.0.1:80", lease).await;
    let asked = pb::LeaseTimeToLiveRequest { id: lease, keys: true };
    let left = world.lease().lease_time_to_live(asked).await.unwrap().into_inner();
    assert_eq!(left.keys, [b("/services/leased/1"), b("l/a"), b("l/b")]);
    assert_eq!(left.granted_ttl, 60);
    // What is left was rounded up, and a session just opened had as much left as it was given.
    assert!(left.ttl < 60, "{left:?}");
    let mut watches = world.watches().await;
    watches.create(watch("\0", "\0", 0)).await;
    world.revoke(lease).await;
    let told = watches.next().await;
    assert_eq!(told.events.len(), 3);
    assert!(
        told.events
            .iter()
            .all(|event| event.kv.as_ref().unwrap().mod_revision == told.header.unwrap().revision)
    );
}

#[tokio::test]
async fn a_put_without_the_lease_detaches_the_key() {
    let world = world().await;
    let lease = world.grant(60).await;
    world.put_under("k", "1", lease).await;
    world.put("k", "2").await;
    world.revoke(lease).await;
    assert_eq!(world.all("k", 0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_unknown_is_said_as_etcd_says_it() {
    let world = world().await;
    let request = pb::PutRequest { key: b("k"), lease: 77, ..Default::default() };
    let status = world.kv().put(request).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (tonic::Code::NotFound, "etcdserver: requested lease not found")
    );
    let revoked = world.lease().lease_revoke(pb::LeaseRevokeRequest { id: 77 }).await.unwrap_err();
    assert_eq!(revoked.message(), status.message());
    let asked = pb::LeaseTimeToLiveRequest { id: 77, keys: false };
    assert_eq!(world.lease().lease_time_to_live(asked).await.unwrap().into_inner().ttl, -1);
    let beats = tokio_stream::iter([pb::LeaseKeepAliveRequest { id: 77 }]);
    let mut beats = world.lease().lease_keep_alive(beats).await.unwrap().into_inner();
    assert_eq!(beats.message().await.unwrap().unwrap().ttl, 0);
    let long =
        world.lease().lease_grant(pb::LeaseGrantRequest { ttl: 9_000_000_001, id: 0 }).await.unwrap_err();
    assert_eq!(long.message(), "etcdserver: too large lease TTL");
    world.lease().lease_grant(pb::LeaseGrantRequest { ttl: -5, id: 5 }).await.unwrap();
    let twice = world.lease().lease_grant(pb::LeaseGrantRequest { ttl: 5, id: 5 }).await.unwrap_err();
    assert_eq!(twice.message(), "etcdserver: lease already exists");
}

#[tokio::test]
async fn a_lease_that_nobody_renews_ends_and_one_that_is_renewed_stays() {
    let world = world().await;
    let (silent, heard) = (world.grant(2).await, world.grant(2).await);
    world.put_under("silent", "1", silent).await;
    world.put_under("heard", "1", heard).await;
    let mut watches = world.watches().await;
    watches.create(watch("silent", "", 0)).await;
    let beats = tokio::spawn({
        let mut client = world.lease();
        async move {
            loop {
                let beat = tokio_stream::iter([pb::LeaseKeepAliveRequest { id: heard }]);
                client.lease_keep_alive(beat).await.unwrap().into_inner().message().await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    });
    assert!(watches.told().await[0].starts_with("DELETE silent="));
    assert_eq!(world.all("heard", 0).await.unwrap().len(), 1);
    beats.abort();
}

#[tokio::test]
async fn thousands_that_end_at_once_let_others_write_in_between() {
    let world = world().await;
    let mut watches = world.watches().await;
    watches
        .create(pb::WatchCreateRequest {
            filters: vec![pb::watch_create_request::FilterType::Noput.into()],
            ..watch("gone/", "gone0", 0)
        })
        .await;
    let over = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (mut kv, over) = (world.kv(), over.clone());
        async move {
            let mut revisions = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let put = pb::PutRequest { key: b("other"), ..Default::default() };
                revisions.push(kv.put(put).await.unwrap().into_inner().header.unwrap().revision);
            }
            revisions
        }
    });
    let granted = (0..3000).map(|i| {
        let (mut lease, mut kv) = (world.lease(), world.kv());
        async move {
            let id =
                lease.lease_grant(pb::LeaseGrantRequest { ttl: 2, id: 0 }).await.unwrap().into_inner().id;
            let key = b(&format!("gone/{i}"));
            // On a slow machine one may have ended before anything lives by it.
            kv.put(pb::PutRequest { key, lease: id, ..Default::default() }).await.is_ok()
        }
    });
    let held = futures_util::future::join_all(granted).await.into_iter().filter(|held| *held).count();
    let mut ended = std::collections::BTreeSet::new();
    while ended.len() < held {
        ended.extend(watches.next().await.events.iter().map(|event| event.kv.as_ref().unwrap().mod_revision));
    }
    over.store(true, Ordering::Relaxed);
    let (first, last) = (*ended.first().unwrap(), *ended.last().unwrap());
    let between = writing.await.unwrap().into_iter().filter(|at| (first..last).contains(at)).count();
    assert!(between >= 10, "{between} writes while {held} leases ended");
}

#[tokio::test]
async fn a_keepalive_brings_back_an_ended_lease_with_its_instances_if_that_is_asked_for() {
    let world = world_with("revive_within = '1m'", Default::default()).await;
    let lease = world.grant(2).await;
    let created = world.put_under("/services/web/1", "10.0.0.1:80", lease).await;
    world.put_under("lock/1", "1", lease).await;
    let mut watches = world.watches().await;
    watches.create(watch("/services/", "/services0", 0)).await;
    assert!(watches.told().await[0].starts_with("DELETE /services/web/1="));
    // As if the lease were not there any more.
    let asked = pb::LeaseTimeToLiveRequest { id: lease, keys: true };
    assert_eq!(world.lease().lease_time_to_live(asked).await.unwrap().into_inner().ttl, -1);
    assert!(
        world.lease().lease_leases(pb::LeaseLeasesRequest {}).await.unwrap().into_inner().leases.is_empty()
    );
    let put = pb::PutRequest { key: b("k"), lease, ..Default::default() };
    assert_eq!(world.kv().put(put).await.unwrap_err().message(), "etcdserver: requested lease not found");
    let beats = tokio_stream::iter([pb::LeaseKeepAliveRequest { id: lease }]);
    let mut beats = world.lease().lease_keep_alive(beats).await.unwrap().into_inner();
    assert_eq!(beats.message().await.unwrap().unwrap().ttl, 2);
    assert!(watches.told().await[0].starts_with("PUT /services/web/1=10.0.0.1:80@"));
    assert_eq!(world.all("lock/", 0).await.unwrap(), Vec::<String>::new());
    assert!(world.put_under("k", "1", lease).await > created);
}

//! Leases, and what lives by them.

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

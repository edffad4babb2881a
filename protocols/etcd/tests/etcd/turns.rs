//! Locks and elections.

use switchboard_protocol_etcd::v3electionpb as election;
use switchboard_protocol_etcd::v3electionpb::election_client::ElectionClient;
use switchboard_protocol_etcd::v3lockpb as lock;
use switchboard_protocol_etcd::v3lockpb::lock_client::LockClient;

use crate::support::*;

#[tokio::test]
async fn a_lock_is_one_holders_until_it_is_given_back() {
    let world = world().await;
    let mut client = LockClient::new(world.channel.clone());
    let lease = world.grant(60).await;
    let first = client.lock(lock::LockRequest { name: b("l"), lease }).await.unwrap().into_inner();
    assert_eq!(first.key, b(&format!("l/{lease:x}")));
    let other = world.grant(60).await;
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { client.lock(lock::LockRequest { name: b("l"), lease: other }).await }
    });
    while world.all("l/", 0).await.unwrap().len() < 2 {}
    assert!(!waiting.is_finished());
    client.unlock(lock::UnlockRequest { key: first.key }).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().into_inner().key, b(&format!("l/{other:x}")));
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_the_line() {
    let world = world().await;
    let mut client = LockClient::new(world.channel.clone());
    client.lock(lock::LockRequest { name: b("l"), lease: 0 }).await.unwrap();
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { client.lock(lock::LockRequest { name: b("l"), lease: 0 }).await }
    });
    while world.all("l/", 0).await.unwrap().len() < 2 {}
    waiting.abort();
    while world.all("l/", 0).await.unwrap().len() > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_oldest_candidate_leads() {
    let world = world().await;
    let mut client = ElectionClient::new(world.channel.clone());
    let nobody = client.leader(election::LeaderRequest { name: b("e") }).await.unwrap_err();
    assert_eq!((nobody.code(), nobody.message()), (tonic::Code::Unknown, "election: no leader"));
    let unnamed = client.resign(election::ResignRequest { leader: None }).await.unwrap_err();
    assert_eq!(unnamed.message(), "\"leader\" field must be provided");
    let lease = world.grant(60).await;
    let campaign = election::CampaignRequest { name: b("e"), lease, value: b("one") };
    let leader = client.campaign(campaign).await.unwrap().into_inner().leader;
    let mut seen = client.observe(election::LeaderRequest { name: b("e") }).await.unwrap().into_inner();
    assert_eq!(seen.message().await.unwrap().unwrap().kv.unwrap().value, b("one"));
    let proclaim = election::ProclaimRequest { leader: leader.clone(), value: b("two") };
    client.proclaim(proclaim).await.unwrap();
    assert_eq!(seen.message().await.unwrap().unwrap().kv.unwrap().value, b("two"));
    client.resign(election::ResignRequest { leader }).await.unwrap();
    assert!(client.leader(election::LeaderRequest { name: b("e") }).await.is_err());
}

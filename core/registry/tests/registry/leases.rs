use std::time::Duration;

use switchboard_model::*;
use switchboard_registry::Options;
use switchboard_registry::plan::*;

use crate::support::*;

const TICK: Duration = Duration::from_millis(250);
/// Long enough for a proposal to be committed once it is made.
const SOON: Duration = Duration::from_millis(20);

#[tokio::test(start_paused = true)]
async fn a_silent_instance_is_out_within_its_ttl_and_a_tick_and_then_goes() {
    let world = world().await;
    world.submit(with_ttl("web", "a")).await;
    world.pass(TTL - TICK).await;
    assert_eq!(world.health("web", "a"), Some(Health::Passing));
    world.pass(TICK * 2 + Duration::from_millis(50) + SOON).await;
    assert_eq!(world.health("web", "a"), Some(Health::Lapsed));
    let view = world.find("web", "a").unwrap();
    assert_eq!(view.reasons(), ["no heartbeat for its TTL of 10 s"]);
    assert_eq!(world.view().tally().served, 0);
    let history = world.registry.history(&key("web", "a"));
    assert_eq!(
        history.last().map(|it| (it.from, it.to)),
        Some((Some(Health::Passing), Some(Health::Lapsed)))
    );
    world.pass(LINGER + TICK * 2 + SOON).await;
    assert_eq!(world.health("web", "a"), None, "it lingers for ever");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_an_instance_and_make_no_commits() {
    let world = world().await;
    world.submit(with_ttl("web", "a")).await;
    let head = world.registry.head();
    for _ in 0..20 {
        world.pass(TTL / 2).await;
        world.beat("web", "a").await;
    }
    assert_eq!(world.health("web", "a"), Some(Health::Passing));
    assert_eq!(world.registry.head(), head);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_brings_a_lapsed_instance_back() {
    let world = world().await;
    world.submit(with_ttl("web", "a")).await;
    world.pass(TTL * 2).await;
    assert_eq!(world.health("web", "a"), Some(Health::Lapsed));
    world.beat("web", "a").await;
    assert_eq!(world.health("web", "a"), Some(Health::Passing));
    world.pass(TTL - TICK).await;
    assert_eq!(world.health("web", "a"), Some(Health::Passing), "it came back without its full TTL");
    world.pass(TTL).await;
    assert_eq!(world.health("web", "a"), Some(Health::Lapsed), "it came back for ever");
}

#[tokio::test(start_paused = true)]
async fn everything_under_an_exact_lease_goes_in_one_revision() {
    let world = world().await;
    let granted = world.submit(Grant { id: None, ttl: TTL, on_expiry: OnExpiry::Delete }).await;
    let lease = granted.reply;
    for id in ["a", "b"] {
        world.submit(Register { keep: Keep::Lease(lease), ..forever("web", id) }).await;
    }
    let entry = Entry {
        key: EntryKey { keyspace: "test".into(), key: "k".into() },
        value: "v".into(),
        lease: Some(lease),
        flags: 0,
        annex: Annex::default(),
    };
    world.submit(PutEntry { entry: entry.clone(), if_revision: None }).await;
    assert_eq!(world.view().lease(lease).unwrap().holds.len(), 3);
    let head = world.registry.head();
    world.pass(TTL + TICK * 2 + SOON).await;
    assert_eq!(world.registry.head(), head.next());
    let view = world.view();
    assert!(view.service("default", "web").is_none() && view.entry(&entry.key).is_none());
    assert!(view.lease(lease).is_none());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_every_lease_has_its_full_ttl_again() {
    let world = world().await;
    world.submit(with_ttl("web", "a")).await;
    world.pass(TTL - TICK * 2).await;
    let again = open(world.engine.clone(), Options::default()).await;
    tokio::time::sleep(TTL - TICK * 2).await;
    let health = again.view(&caller()).unwrap().instance(&key("web", "a")).unwrap().health;
    assert_eq!(health, Health::Passing);
}

/// A stopped process, as far as the clock can see: real time jumps and nothing was heard in between.
#[tokio::test(start_paused = true)]
async fn a_pause_of_ten_ttls_expires_nobody_who_then_renews() {
    let world = world().await;
    world.submit(with_ttl("web", "a")).await;
    world.pass(TTL - TICK).await;
    tokio::time::advance(TTL * 10).await;
    // Even the slowest of providers beats within its TTL.
    world.pass(TTL - TICK * 2).await;
    assert_eq!(world.health("web", "a"), Some(Health::Passing));
    world.beat("web", "a").await;
    world.pass(TTL - TICK).await;
    assert_eq!(world.health("web", "a"), Some(Health::Passing));
    world.pass(TTL).await;
    assert_eq!(world.health("web", "a"), Some(Health::Lapsed), "the pause is still being forgiven");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_store_takes_no_time_from_anyone() {
    let world = world().await;
    world.submit(with_ttl("web", "a")).await;
    let held = world.script.hold();
    let registry = world.registry.clone();
    let stuck = tokio::spawn(async move { registry.submit(&caller(), forever("web", "b")).await });
    world.pass(TTL * 3).await;
    assert!(!stuck.is_finished());
    drop(held);
    stuck.await.unwrap().unwrap();
    world.pass(TTL - TICK * 2).await;
    assert_eq!(world.health("web", "a"), Some(Health::Passing), "it lapsed while nobody could have listened");
}

#[tokio::test(start_paused = true)]
async fn a_ttl_check_turns_critical_in_silence_and_passes_when_heard_again() {
    let world = world().await;
    let owner = Owner::Instance(key("web", "a"));
    let check = ttl_check(owner, "alive");
    world.submit(Register { checks: Some(vec![check.clone()]), ..forever("web", "a") }).await;
    for _ in 0..5 {
        world.pass(TTL / 2).await;
        world.registry.report(&caller(), &check.key, Status::Passing, "").await.unwrap();
    }
    assert_eq!(world.health("web", "a"), Some(Health::Passing));
    world.pass(TTL + TICK * 2 + SOON).await;
    assert_eq!(world.health("web", "a"), Some(Health::Critical));
    world.registry.report(&caller(), &check.key, Status::Passing, "").await.unwrap();
    assert_eq!(world.health("web", "a"), Some(Health::Passing));
    world.pass(TTL + TICK * 2 + SOON).await;
    assert_eq!(world.health("web", "a"), Some(Health::Critical), "its deadline was not started again");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_stays_critical_is_deregistered_when_it_asked_for_that() {
    let world = world().await;
    let owner = Owner::Instance(key("web", "a"));
    let check = Check { deregister_after: Some(Duration::from_secs(30)), ..ttl_check(owner, "alive") };
    world.submit(Register { checks: Some(vec![check]), ..forever("web", "a") }).await;
    world.pass(TTL + Duration::from_secs(29)).await;
    assert_eq!(world.health("web", "a"), Some(Health::Critical));
    world.pass(Duration::from_secs(3)).await;
    assert_eq!(world.health("web", "a"), None);
}

#[tokio::test(start_paused = true)]
async fn a_refused_expiry_costs_nobody_their_instance() {
    let world = world().await;
    world.submit(with_ttl("web", "a")).await;
    let full =
        switchboard_store::StoreError::temporary(switchboard_store::StoreErrorKind::Full, "no space left");
    world.script.fail_next(full);
    world.pass(TTL + TICK * 2).await;
    assert_eq!(world.health("web", "a"), Some(Health::Passing));
    // The store is back; the silence goes on, and counts from then.
    world.pass(TTL + Duration::from_secs(2)).await;
    assert_eq!(world.health("web", "a"), Some(Health::Lapsed));
}

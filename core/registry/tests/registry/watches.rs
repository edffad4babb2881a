use std::time::Duration;

use switchboard_model::*;
use switchboard_registry::plan::*;
use switchboard_registry::{Options, Watch, WatchEnd, What};

use crate::support::*;

fn service(name: &str) -> Selector {
    Selector::Service(ServiceKey {
        namespace: Name::default_namespace(),
        service: Name::parse("service", name).unwrap(),
    })
}

/// What a watch delivers until it is up to date: each revision with the ids of its instances.
async fn drain(watch: &mut Watch) -> Vec<(u64, Vec<String>)> {
    let mut seen = Vec::new();
    while let Some(delivery) = watch.try_next().await.unwrap() {
        let ids = delivery.items().filter_map(|it| it.what.instance().map(|view| view.key().id.to_string()));
        seen.push((delivery.revision().0, ids.collect()));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_each_matching_change_once_in_order() {
    let world = world().await;
    let mut watch = world.registry.watch(&caller(), &service("web"), Revision::ZERO).unwrap();
    for id in ["a", "b"] {
        world.submit(forever("web", id)).await;
        world.submit(forever("other", id)).await;
    }
    let seen = drain(&mut watch).await;
    assert_eq!(seen, [(1, vec!["a".to_owned()]), (3, vec!["b".to_owned()])]);
    assert_eq!(watch.cursor(), Revision(4), "what does not match still moves the cursor");
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_watch_is_woken_by_its_own_service_only() {
    let world = world().await;
    let mut watch = world.registry.watch(&caller(), &service("web"), Revision::ZERO).unwrap();
    let woken = tokio::spawn(async move { watch.next().await.unwrap().revision() });
    world.submit(forever("other", "a")).await;
    world.pass(Duration::from_secs(1)).await;
    assert!(!woken.is_finished());
    world.submit(forever("web", "a")).await;
    assert_eq!(woken.await.unwrap(), Revision(2));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_health_is_a_change_of_the_instance() {
    let world = world().await;
    world.submit(with_ttl("web", "a")).await;
    let mut watch = world.registry.watch(&caller(), &service("web"), world.registry.head()).unwrap();
    world.pass(TTL * 2).await;
    let delivery = watch.next().await.unwrap();
    let Some(What::Instance { before: Some(before), after: Some(after) }) =
        delivery.items().next().map(|it| &it.what)
    else {
        panic!("not a change of an instance");
    };
    assert_eq!((before.health, after.health), (Health::Passing, Health::Lapsed));
}

/// The ring is small and the watcher is far behind: it must read the engine's history, and see the same.
#[tokio::test(start_paused = true)]
async fn a_watch_that_fell_behind_the_ring_reads_on_from_history() {
    let mut options = Options::default();
    options.bounds.ring = 8;
    let world = world_with(options).await;
    for n in 0..50 {
        world.submit(with_ttl("web", &format!("i{}", n % 5))).await;
        world
            .submit(SetLifecycle {
                key: key("web", &format!("i{}", n % 5)),
                lifecycle: if n % 2 == 0 { Lifecycle::Draining } else { Lifecycle::Up },
            })
            .await;
    }
    for after in [0, 1, 7, 30, world.registry.head().0 - 3] {
        let mut watch = world.registry.watch(&caller(), &service("web"), Revision(after)).unwrap();
        let seen: Vec<u64> = drain(&mut watch).await.into_iter().map(|(revision, _)| revision).collect();
        assert_eq!(seen, ((after + 1)..=world.registry.head().0).collect::<Vec<_>>(), "after {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_over_a_restart() {
    let world = world().await;
    for id in ["a", "b", "c"] {
        world.submit(forever("web", id)).await;
    }
    let again = open(world.engine.clone(), Options::default()).await;
    let mut watch = again.watch(&caller(), &service("web"), Revision(1)).unwrap();
    assert_eq!(drain(&mut watch).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn compacted_history_is_said_to_be_compacted() {
    let world = world().await;
    for n in 0..20 {
        world.submit(forever("web", &format!("i{n}"))).await;
    }
    switchboard_store::Engine::compact(&*world.engine, Revision(10)).await.unwrap();
    let again = open(world.engine.clone(), Options::default()).await;
    let mut watch = again.watch(&caller(), &service("web"), Revision(5)).unwrap();
    assert_eq!(watch.next().await.unwrap_err(), WatchEnd::Compacted { floor: Revision(10) });
    let mut watch = again.watch(&caller(), &service("web"), Revision(10)).unwrap();
    assert_eq!(drain(&mut watch).await.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_watch_too_far_behind_is_told_so() {
    let mut options = Options::default();
    options.bounds.ring = 4;
    options.bounds.catch_up = 10;
    let world = world_with(options).await;
    for n in 0..30 {
        world.submit(forever("web", &format!("i{n}"))).await;
    }
    let mut watch = world.registry.watch(&caller(), &service("web"), Revision(1)).unwrap();
    assert_eq!(watch.next().await.unwrap_err(), WatchEnd::Lagged { head: Revision(30) });
}

#[tokio::test(start_paused = true)]
async fn all_changes_of_one_revision_come_together() {
    let world = world().await;
    let granted = world.submit(Grant { id: None, ttl: TTL, on_expiry: OnExpiry::Delete }).await;
    for id in ["a", "b", "c"] {
        world.submit(Register { keep: Keep::Lease(granted.reply), ..forever("web", id) }).await;
    }
    let mut watch = world.registry.watch(&caller(), &service("web"), world.registry.head()).unwrap();
    world.submit(Revoke { id: granted.reply }).await;
    let seen = drain(&mut watch).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].1, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn watches_beyond_the_limit_are_refused_and_leaving_makes_room() {
    let mut options = Options::default();
    options.bounds.watches = 2;
    let world = world_with(options).await;
    let open = || world.registry.watch(&caller(), &Selector::Everything, Revision::ZERO);
    let first = open().unwrap();
    let _second = open().unwrap();
    assert!(matches!(open(), Err(Rejection::Limit { .. })));
    drop(first);
    assert!(open().is_ok());
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_every_watch() {
    let world = world().await;
    let mut watch = world.registry.watch(&caller(), &Selector::Everything, Revision::ZERO).unwrap();
    let ended = tokio::spawn(async move { watch.next().await.unwrap_err() });
    world.pass(Duration::from_millis(1)).await;
    world.registry.stop().await.unwrap();
    assert_eq!(ended.await.unwrap(), WatchEnd::Stopping);
}

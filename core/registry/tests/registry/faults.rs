use std::time::Duration;

use switchboard_model::*;
use switchboard_registry::plan::*;
use switchboard_registry::{Intent, Now, Planned, Snapshot};
use switchboard_store::{StoreError, StoreErrorKind};

use crate::support::*;

fn full() -> StoreError {
    StoreError::temporary(StoreErrorKind::Full, "no space left on device")
}

#[tokio::test(start_paused = true)]
async fn a_failed_store_refuses_writes_serves_reads_and_comes_back() {
    let world = world().await;
    world.submit(forever("web", "a")).await;
    world.script.go_down(full());
    let refused = world.registry.submit(&caller(), forever("web", "b")).await.unwrap_err();
    assert!(
        matches!(&refused, Rejection::Unavailable(Unavailable::Store { why }) if why.contains("no space"))
    );
    assert!(world.find("web", "a").is_some() && world.find("web", "b").is_none());
    assert!(world.registry.waiting_for().unwrap().contains("no space"));
    world.script.come_back();
    world.pass(Duration::from_secs(15)).await;
    assert_eq!(world.registry.waiting_for(), None);
    world.submit(forever("web", "b")).await;
    assert!(world.find("web", "b").is_some());
}

/// The disk kept the commit and the answer was lost: the writer must not forget what others may find on disk.
#[tokio::test(start_paused = true)]
async fn a_commit_that_was_kept_without_an_answer_shows_up_when_the_store_is_back() {
    let world = world().await;
    world.script.lose_ack_next();
    let lost = world.registry.submit(&caller(), forever("web", "a")).await;
    assert!(matches!(lost, Err(Rejection::Unavailable(Unavailable::Store { .. }))));
    world.pass(Duration::from_secs(15)).await;
    assert!(world.find("web", "a").is_some());
    let next = world.submit(forever("web", "b")).await;
    assert_eq!(next.revision, Revision(2));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_planned_again_and_nobody_notices() {
    let world = world().await;
    world.script.conflict_next();
    let committed = world.submit(forever("web", "a")).await;
    assert_eq!(committed.revision, Revision(1));
    assert!(world.find("web", "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_seen_before_the_engine_has_kept_it() {
    let world = world().await;
    let held = world.script.hold();
    let registry = world.registry.clone();
    let first = tokio::spawn(async move { registry.submit(&caller(), forever("web", "a")).await });
    world.pass(Duration::from_millis(100)).await;
    // Planned on accepted state, this changes nothing; but the answer must not outrun the disk.
    let registry = world.registry.clone();
    let same = tokio::spawn(async move { registry.submit(&caller(), forever("web", "a")).await });
    let registry = world.registry.clone();
    let refused = tokio::spawn(async move {
        registry
            .submit(&caller(), Grant { id: Some(LeaseId(0)), ttl: TTL, on_expiry: OnExpiry::Delete })
            .await
    });
    world.pass(Duration::from_millis(100)).await;
    assert!(world.find("web", "a").is_none());
    assert!(!first.is_finished() && !same.is_finished() && !refused.is_finished());
    drop(held);
    assert!(first.await.unwrap().unwrap().changed);
    assert!(!same.await.unwrap().unwrap().changed);
    assert!(refused.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn writes_beyond_the_queue_are_refused_at_once() {
    let mut options = switchboard_registry::Options::default();
    options.bounds.queue = 4;
    options.bounds.group = 2;
    let world = world_with(options).await;
    let _held = world.script.hold();
    let mut waiting = Vec::new();
    for n in 0..20 {
        let registry = world.registry.clone();
        waiting.push(tokio::spawn(async move {
            registry.submit(&caller(), forever("web", &format!("i{n}"))).await
        }));
        world.pass(Duration::from_millis(1)).await;
    }
    let refused = waiting.iter().filter(|it| it.is_finished()).count();
    assert!((10..20).contains(&refused), "{refused} of 20 were refused");
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_what_was_taken_and_refuses_the_rest() {
    let world = world().await;
    let registry = world.registry.clone();
    let taken = tokio::spawn(async move { registry.submit(&caller(), forever("web", "a")).await });
    world.pass(Duration::from_millis(1)).await;
    world.registry.stop().await.unwrap();
    taken.await.unwrap().unwrap();
    let late = world.registry.submit(&caller(), forever("web", "b")).await;
    assert!(matches!(late, Err(Rejection::Unavailable(Unavailable::Stopping))));
}

/// An empty answer would look like an empty registry, and consumers would drop everything they know.
#[tokio::test(start_paused = true)]
async fn a_registry_that_has_not_loaded_answers_unavailable_and_never_empty() {
    let world = world().await;
    world.submit(forever("web", "a")).await;
    let damaged = StoreError::permanent(StoreErrorKind::Damaged, "record 7 does not match its checksum");
    world.script.fail_next_load(damaged);
    let engine: std::sync::Arc<dyn switchboard_store::Engine> = world.engine.clone();
    let gate = std::sync::Arc::new(switchboard_registry::OpenGate);
    let again = switchboard_registry::Registry::open(engine, switchboard_registry::Options::default(), gate);
    assert!(matches!(again.view(&caller()), Err(Rejection::Unavailable(Unavailable::Loading))));
    assert!(again.loaded().await.unwrap_err().contains("checksum"));
    assert!(matches!(again.view(&caller()), Err(Rejection::Unavailable(Unavailable::Loading))));
    assert!(again.watch(&caller(), &Selector::Everything, Revision::ZERO).is_err());
    assert!(again.waiting_for().unwrap().contains("checksum"));
}

struct Crashing;

impl Intent for Crashing {
    type Reply = ();

    fn plan(&self, _: &Snapshot, _: Now) -> Result<Planned<()>, Rejection> {
        panic!("on purpose")
    }
}

/// It took the writer with it, and nobody could write any more.
#[tokio::test]
async fn a_wish_that_crashes_is_refused_and_the_next_one_is_heard() {
    let world = world().await;
    for _ in 0..2 {
        let refused = world.registry.submit(&caller(), Crashing).await;
        assert!(matches!(refused, Err(Rejection::Invalid { .. })));
        assert!(world.registry.submit(&caller(), forever("web", "a")).await.is_ok());
    }
    assert_eq!(world.registry.waiting_for(), None);
}

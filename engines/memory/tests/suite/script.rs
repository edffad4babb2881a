use std::sync::Arc;
use std::time::Duration;

use switchboard_engine_memory::Memory;
use switchboard_model::Revision;
use switchboard_store::suite::entry;
use switchboard_store::{ChangesError, CommitError, Engine, Plan, StoreError, StoreErrorKind};

fn put(key: &str) -> Vec<Plan> {
    let mut plan = Plan::default();
    plan.put(entry(key, "v"));
    vec![plan]
}

fn full() -> StoreError {
    StoreError::temporary(StoreErrorKind::Full, "no space left")
}

#[tokio::test]
async fn a_failure_comes_after_its_grace_and_lasts_until_load() {
    let memory = Memory::new();
    memory.script().fail_after(1, full());
    assert_eq!(memory.commit(put("a")).await, [Ok(Revision(1))]);
    for _ in 0..2 {
        assert_eq!(memory.commit(put("b")).await, [Err(CommitError::Store(full()))]);
    }
    assert_eq!(memory.load().await.unwrap().revision, Revision(1));
    assert_eq!(memory.commit(put("b")).await, [Ok(Revision(2))]);
}

#[tokio::test]
async fn readers_do_not_see_a_commit_whose_answer_was_lost_before_load_does() {
    let memory = Memory::new();
    memory.script().lose_ack_next();
    assert!(matches!(memory.commit(put("a")).await[..], [Err(CommitError::Store(_))]));
    assert_eq!(memory.barrier().await.unwrap(), Revision::ZERO);
    let early = tokio::time::timeout(Duration::from_millis(20), memory.changes(Revision::ZERO, 1)).await;
    assert!(early.is_err(), "saw {early:?}");
    assert_eq!(memory.load().await.unwrap().revision, Revision(1));
    assert_eq!(memory.changes(Revision::ZERO, 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_held_commit_waits_for_its_release() {
    let memory = Arc::new(Memory::new());
    let held = memory.script().hold();
    let commit = tokio::spawn({
        let memory = memory.clone();
        async move { memory.commit(put("a")).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!commit.is_finished());
    drop(held);
    assert_eq!(commit.await.unwrap(), [Ok(Revision(1))]);
}

#[tokio::test]
async fn a_scripted_conflict_takes_no_revision() {
    let memory = Memory::new();
    memory.script().conflict_next();
    assert!(matches!(memory.commit(put("a")).await[..], [Err(CommitError::Conflict { .. })]));
    assert_eq!(memory.commit(put("a")).await, [Ok(Revision(1))]);
}

#[tokio::test]
async fn an_engine_that_is_down_comes_back() {
    let memory = Memory::new();
    let script = memory.script();
    script.go_down(full());
    assert_eq!(memory.load().await.unwrap_err(), full());
    assert_eq!(memory.barrier().await.unwrap_err(), full());
    assert_eq!(memory.commit(put("a")).await, [Err(CommitError::Store(full()))]);
    script.come_back();
    assert_eq!(memory.commit(put("a")).await, [Ok(Revision(1))]);
    script.fail_next_load(full());
    assert_eq!(memory.load().await.unwrap_err(), full());
    assert_eq!(memory.load().await.unwrap().revision, Revision(1));
}

#[tokio::test]
async fn history_beyond_its_bound_is_compacted_and_not_lost_silently() {
    let memory = Memory::with_history(3);
    for key in ["a", "b", "c", "d", "e"] {
        assert!(memory.commit(put(key)).await[0].is_ok());
    }
    let floor = Revision(2);
    assert_eq!(memory.changes(Revision(1), 9).await.unwrap_err(), ChangesError::Compacted { floor });
    assert_eq!(memory.changes(floor, 9).await.unwrap().len(), 3);
    assert_eq!(memory.load().await.unwrap().records.len(), 5);
}

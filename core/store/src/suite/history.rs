//! Reading commits again, and forgetting them.

use switchboard_model::Revision;

use super::{
    Harness, assert_compacted, assert_waits, changes_between, commit, commit_one, entry, has_history, open,
    patiently, puts,
};
use crate::{Engine, Plan};

pub async fn changes_page_without_a_gap(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    if !has_history(&*engine, "changes_page_without_a_gap") {
        return;
    }
    for i in 0..25 {
        commit_one(&*engine, puts([entry(&format!("k{i}"), "v")])).await;
    }
    assert_pages(&*engine, start, 25, 10).await;
    assert_pages(&*engine, start, 25, 1).await;
    assert_pages(&*engine, start, 25, 1000).await;
}

pub async fn changes_page_through_the_middle_of_a_batch(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    if !has_history(&*engine, "changes_page_through_the_middle_of_a_batch") {
        return;
    }
    commit(&*engine, numbered(0..17)).await;
    commit(&*engine, numbered(17..25)).await;
    assert_pages(&*engine, start, 25, 7).await;
    assert_pages(&*engine, Revision(start.0 + 9), 16, 5).await;
}

pub async fn changes_wait_for_the_next_commit(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    if !has_history(&*engine, "changes_wait_for_the_next_commit") {
        return;
    }
    assert_waits(engine.changes(start, 10)).await;
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.changes(start, 10).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let head = commit_one(&*engine, puts([entry("k", "v")])).await;
    for reader in readers {
        let page = patiently(reader).await.unwrap().unwrap();
        assert_eq!(page.iter().map(|commit| commit.revision).collect::<Vec<_>>(), [head]);
    }
    assert_waits(engine.changes(head, 10)).await;
}

pub async fn compaction_moves_the_floor_and_nothing_else(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    if !has_history(&*engine, "compaction_moves_the_floor_and_nothing_else") {
        return;
    }
    for i in 0..10 {
        commit_one(&*engine, puts([entry(&format!("k{i}"), "v")])).await;
    }
    let (floor, head) = (Revision(start.0 + 4), Revision(start.0 + 10));
    let before = engine.load().await.unwrap();
    patiently(engine.compact(floor)).await.unwrap();
    let after = engine.load().await.unwrap();
    assert_eq!((after.revision, after.floor), (head, floor));
    assert_eq!(after.records.len(), before.records.len());
    assert_compacted(&*engine, start, floor).await;
    assert_compacted(&*engine, Revision(floor.0 - 1), floor).await;
    assert_eq!(changes_between(&*engine, floor, head).await.len(), 6);

    // The floor never goes back.
    patiently(engine.compact(Revision(start.0 + 2))).await.unwrap();
    assert_eq!(engine.load().await.unwrap().floor, floor);
    assert_compacted(&*engine, Revision(start.0 + 2), floor).await;
}

pub async fn compaction_in_the_middle_of_a_batch_is_exact(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    if !has_history(&*engine, "compaction_in_the_middle_of_a_batch_is_exact") {
        return;
    }
    let head = *commit(&*engine, numbered(0..10)).await.last().unwrap();
    let floor = Revision(start.0 + 5);
    patiently(engine.compact(floor)).await.unwrap();
    assert_compacted(&*engine, Revision(floor.0 - 1), floor).await;
    assert_eq!(changes_between(&*engine, floor, head).await.len(), 5);
}

pub async fn compaction_stops_at_the_newest_commit(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    if !has_history(&*engine, "compaction_stops_at_the_newest_commit") {
        return;
    }
    let head = *commit(&*engine, numbered(0..3)).await.last().unwrap();
    patiently(engine.compact(Revision(u64::MAX))).await.unwrap();
    let checkpoint = engine.load().await.unwrap();
    assert_eq!((checkpoint.revision, checkpoint.floor, checkpoint.records.len()), (head, head, 3));
    assert_compacted(&*engine, start, head).await;
    assert_waits(engine.changes(head, 10)).await;
    let next = commit_one(&*engine, puts([entry("k", "v")])).await;
    assert_eq!(next, head.next());
    assert_eq!(changes_between(&*engine, head, next).await.len(), 1);
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<Plan> {
    numbers.map(|i| puts([entry(&format!("k{i}"), "v")])).collect()
}

/// Asserts that `total` commits follow `after`, read `limit` at a time.
async fn assert_pages(engine: &dyn Engine, after: Revision, total: usize, limit: usize) {
    let mut at = after;
    let mut left = total;
    while left > 0 {
        let page = patiently(engine.changes(at, limit)).await.unwrap();
        assert!(!page.is_empty() && page.len() <= limit.min(left), "a page of {} for {limit}", page.len());
        for commit in &page {
            assert_eq!(commit.revision, at.next());
            at = commit.revision;
        }
        left -= page.len();
    }
}

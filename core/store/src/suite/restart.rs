//! What a durable engine still knows after it was closed and opened again.

use std::sync::Arc;

use switchboard_model::Revision;

use super::model::{Model, walk};
use super::records::every_kind;
use super::{
    Harness, assert_compacted, changes_between, commit_one, does_not_apply, entry, has_history, open,
    patiently, puts,
};
use crate::{Engine, Plan};

pub async fn everything_acknowledged_is_there_after_reopening(harness: &dyn Harness) {
    let (mut engine, start) = open(harness).await;
    if !is_durable(&*engine, "everything_acknowledged_is_there_after_reopening") {
        return;
    }
    let mut model = Model::new(start);
    for plan in [puts(every_kind()), puts([entry("k", "1")]), puts([entry("k", "2")])] {
        assert_eq!(Ok(commit_one(&*engine, plan.clone()).await), model.commit(&plan));
        engine = restart(harness, engine).await;
        model.assert_matches(&*engine).await;
    }
}

pub async fn revisions_do_not_go_back_when_everything_was_deleted(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    if !is_durable(&*engine, "revisions_do_not_go_back_when_everything_was_deleted") {
        return;
    }
    commit_one(&*engine, puts([entry("k", "1")])).await;
    let mut gone = Plan::default();
    gone.delete(entry("k", "").key());
    let head = commit_one(&*engine, gone).await;
    if engine.facts().history {
        patiently(engine.compact(head)).await.unwrap();
    }
    let engine = restart(harness, engine).await;
    let checkpoint = engine.load().await.unwrap();
    assert_eq!((checkpoint.revision, checkpoint.records.len()), (Revision(start.0 + 2), 0));
    assert_eq!(engine.barrier().await.unwrap(), head);
    assert_eq!(commit_one(&*engine, puts([entry("k", "2")])).await, Revision(start.0 + 3));
}

pub async fn history_and_floor_survive_reopening(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let name = "history_and_floor_survive_reopening";
    if !is_durable(&*engine, name) || !has_history(&*engine, name) {
        return;
    }
    for i in 0..10 {
        commit_one(&*engine, puts([entry(&format!("k{i}"), "v")])).await;
    }
    let (floor, head) = (Revision(start.0 + 3), Revision(start.0 + 10));
    let written = changes_between(&*engine, floor, head).await;
    patiently(engine.compact(floor)).await.unwrap();
    let engine = restart(harness, engine).await;
    assert_eq!(engine.load().await.unwrap().floor, floor);
    assert_eq!(changes_between(&*engine, floor, head).await, written);
    assert_compacted(&*engine, start, floor).await;
}

pub async fn a_random_walk_survives_reopening(harness: &dyn Harness) {
    let (mut engine, start) = open(harness).await;
    if !is_durable(&*engine, "a_random_walk_survives_reopening") {
        return;
    }
    let mut model = Model::new(start);
    for seed in 1..=5 {
        walk(&*engine, &mut model, seed, 8).await;
        engine = restart(harness, engine).await;
        model.assert_matches(&*engine).await;
    }
}

async fn restart(harness: &dyn Harness, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
    patiently(engine.close()).await.unwrap();
    drop(engine);
    let engine = harness.reopen().await;
    engine.load().await.unwrap();
    engine
}

fn is_durable(engine: &dyn Engine, behaviour: &str) -> bool {
    let durable = engine.facts().durable;
    if !durable {
        does_not_apply(behaviour, "the engine is not durable");
    }
    durable
}

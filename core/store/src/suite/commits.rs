//! What a batch does.

use std::collections::HashSet;

use switchboard_model::{Kept, Record, Revision};

use super::model::{Model, walk};
use super::records::every_kind;
use super::{
    Harness, changes_between, commit, commit_one, entry, has_history, instance, lease, open, patiently, puts,
    try_commit,
};
use crate::{CommitError, Expectation, Plan};

pub async fn revisions_are_consecutive_and_in_order(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let batch = (0..5).map(|i| puts([entry(&format!("k{i}"), "v")])).collect();
    let revisions = commit(&*engine, batch).await;
    let expected: Vec<_> = (1..=5).map(|i| Revision(start.0 + i)).collect();
    assert_eq!(revisions, expected);
    assert_eq!(commit_one(&*engine, puts([entry("k0", "w")])).await, Revision(start.0 + 6));
}

pub async fn an_empty_batch_is_answered_with_nothing(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    assert_eq!(try_commit(&*engine, Vec::new()).await, []);
    assert_eq!(engine.load().await.unwrap().revision, start);
}

pub async fn one_batch_may_write_a_record_again_and_again(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let mut model = Model::new(start);
    let mut gone = Plan::default();
    gone.delete(entry("k", "").key());
    let batch = vec![
        puts([entry("k", "1")]),
        puts([entry("k", "2"), entry("other", "x")]),
        gone.clone(),
        puts([entry("k", "3")]),
        gone,
        puts([entry("k", "4")]),
        puts([entry("k", "5")]),
    ];
    let expected: Vec<_> = batch.iter().map(|plan| model.commit(plan)).collect();
    assert_eq!(try_commit(&*engine, batch).await, expected);
    let kept = &model.records[&entry("k", "").key()];
    assert_eq!((kept.created().0, kept.version()), (start.0 + 6, 2), "a deleted record starts anew");
    model.assert_matches(&*engine).await;
}

pub async fn places_in_history_are_right_everywhere(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    for i in 1..=3 {
        commit_one(&*engine, puts([instance("users", "a"), entry(&format!("k{i}"), "v")])).await;
    }
    let records = engine.load().await.unwrap().records;
    let kept = records.iter().find(|kept| matches!(kept, Kept::Instance(_))).unwrap();
    assert_eq!((kept.created().0, kept.modified().0, kept.version()), (start.0 + 1, start.0 + 3, 3));
    if has_history(&*engine, "places_in_history_are_right_everywhere (history)") {
        let history = changes_between(&*engine, start, Revision(start.0 + 3)).await;
        let edit = &history[2].edits[0];
        assert_eq!(edit.after.as_ref(), Some(kept));
        let before = edit.before.as_ref().unwrap();
        assert_eq!(
            (before.created().0, before.modified().0, before.version()),
            (start.0 + 1, start.0 + 2, 2)
        );
        assert_eq!(history[0].edits[0].before, None);
    }
}

pub async fn edits_keep_the_order_of_writes(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    if !has_history(&*engine, "edits_keep_the_order_of_writes") {
        return;
    }
    let written = ["m", "z", "a", "q", "b"].map(|key| entry(key, "v"));
    let mut plan = puts(written.clone());
    plan.put(lease(1));
    plan.at_ms = 1_234_567_890_123;
    let head = commit_one(&*engine, plan).await;
    let history = changes_between(&*engine, start, head).await;
    assert_eq!(history[0].at_ms, 1_234_567_890_123);
    let order: Vec<_> =
        history[0].edits.iter().map(|edit| edit.after.as_ref().unwrap().to_record()).collect();
    assert_eq!(order, written.into_iter().chain([lease(1)]).collect::<Vec<_>>());
}

pub async fn a_conflict_fails_only_its_plan(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let mut model = Model::new(start);
    let first = puts([entry("held", "1")]);
    assert_eq!(Ok(commit_one(&*engine, first.clone()).await), model.commit(&first));
    let at = model.head;

    let expecting = |key: &str, modified: Option<Revision>, record: Record| Plan {
        expects: vec![Expectation { key: entry(key, "").key(), modified }],
        // The first write would be wanted by nobody: it shows when half a plan was kept.
        ..puts([entry("half", "x"), record])
    };
    let batch = vec![
        puts([entry("a", "1")]),
        expecting("held", Some(Revision(at.0 + 77)), entry("held", "wrong revision")),
        expecting("held", None, entry("held", "expected to be absent")),
        puts([entry("b", "1")]),
        expecting("absent", Some(at), entry("absent", "expected to be there")),
        expecting("held", Some(at), entry("held", "2")),
        expecting("held", Some(at), entry("held", "too late")),
        expecting("absent", None, entry("absent", "1")),
    ];
    let answers = try_commit(&*engine, batch.clone()).await;
    let expected: Vec<_> = batch.iter().map(|plan| model.commit(plan)).collect();
    assert_eq!(answers, expected);
    let failed: Vec<_> =
        answers.iter().map(|answer| matches!(answer, Err(CommitError::Conflict { .. }))).collect();
    assert_eq!(failed, [false, true, true, false, true, false, true, false]);
    model.assert_matches(&*engine).await;

    // A batch of nothing but conflicts takes no revision.
    let answers = try_commit(&*engine, vec![expecting("held", None, entry("held", "x"))]).await;
    assert!(matches!(answers[0], Err(CommitError::Conflict { .. })));
    model.assert_matches(&*engine).await;
}

pub async fn an_expectation_may_name_a_revision_of_its_own_batch(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let after = |modified: u64, value: &'static str| Plan {
        expects: vec![Expectation { key: entry("k", "").key(), modified: Some(Revision(modified)) }],
        ..puts([entry("k", value)])
    };
    let batch = vec![puts([entry("k", "1")]), after(start.0 + 1, "2"), after(start.0 + 2, "3")];
    assert_eq!(commit(&*engine, batch).await.last(), Some(&Revision(start.0 + 3)));
}

/// A plan that changes nothing still takes its revision: whoever sends it is owed a place in the one order.
/// The registry never does.
pub async fn deleting_what_is_absent_leaves_no_edit(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let mut model = Model::new(start);
    let mut nothing = Plan::default();
    nothing.delete(entry("absent", "").key());
    let mut some = puts([entry("k", "1")]);
    some.delete(entry("absent", "").key());
    let batch = vec![nothing, some];
    let expected: Vec<_> = batch.iter().map(|plan| model.commit(plan)).collect();
    assert_eq!(try_commit(&*engine, batch).await, expected);
    assert_eq!(model.head, Revision(start.0 + 2));
    assert_eq!(model.history.iter().map(|commit| commit.edits.len()).collect::<Vec<_>>(), [0, 1]);
    model.assert_matches(&*engine).await;
}

pub async fn names_that_differ_in_case_are_one_record(harness: &dyn Harness) {
    let (engine, _) = open(harness).await;
    commit(
        &*engine,
        vec![puts([instance("Users", "a")]), puts([instance("uSERS", "a"), instance("users", "A")])],
    )
    .await;
    let records = engine.load().await.unwrap().records;
    assert_eq!(records.len(), 2, "the id's case counts, the name's does not: {records:?}");
    let newest = records.iter().find(|kept| kept.version() == 2).unwrap();
    assert_eq!(newest.to_record(), instance("uSERS", "a"));
}

pub async fn every_kind_of_record_comes_back(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let mut model = Model::new(start);
    let mut plans = vec![puts(every_kind()), puts(every_kind())];
    let mut delete = Plan::default();
    every_kind().into_iter().step_by(2).for_each(|record| delete.delete(record.key()));
    plans.push(delete);
    for plan in plans {
        assert_eq!(Ok(commit_one(&*engine, plan.clone()).await), model.commit(&plan));
        model.assert_matches(&*engine).await;
    }
}

pub async fn large_values_come_back(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let mut model = Model::new(start);
    let large = |key: &str, fill: u8| entry(key, vec![fill; switchboard_model::Entry::MAX_VALUE]);
    let batch = vec![
        puts([large("a", 1), large("b", 2), large("c", 3)]),
        puts([large("a", 4)]),
        puts([large("d", 5)]),
    ];
    let expected: Vec<_> = batch.iter().map(|plan| model.commit(plan)).collect();
    assert_eq!(try_commit(&*engine, batch).await, expected);
    model.assert_matches(&*engine).await;
}

pub async fn a_thousand_plans_are_one_batch(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let mut model = Model::new(start);
    let batch: Vec<_> =
        (0..1000).map(|i| puts([instance("users", &format!("{:03}", i * 7 % 1000)), lease(i + 1)])).collect();
    let expected: Vec<_> = batch.iter().map(|plan| model.commit(plan)).collect();
    assert_eq!(try_commit(&*engine, batch).await, expected);
    model.assert_matches(&*engine).await;
}

pub async fn batches_from_several_tasks_do_not_mix(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let engine = engine.clone();
            tokio::spawn(async move {
                let mut revisions = Vec::new();
                for i in 0..20 {
                    let batch = (0..3).map(|j| puts([entry(&format!("{task}-{i}-{j}"), "v")])).collect();
                    revisions.push(commit(&*engine, batch).await);
                }
                revisions
            })
        })
        .collect();
    let mut seen = HashSet::new();
    for task in tasks {
        for batch in patiently(task).await.unwrap() {
            assert!(batch.windows(2).all(|pair| pair[1] == pair[0].next()), "{batch:?} is not consecutive");
            seen.extend(batch);
        }
    }
    assert_eq!(seen.len(), 240, "a revision was given twice");
    let checkpoint = engine.load().await.unwrap();
    assert_eq!((checkpoint.revision, checkpoint.records.len()), (Revision(start.0 + 240), 240));
}

pub async fn a_random_walk_agrees_with_the_model(harness: &dyn Harness) {
    for seed in 1..=3 {
        let (engine, start) = open(harness).await;
        let mut model = Model::new(start);
        walk(&*engine, &mut model, seed, 30).await;
        model.assert_matches(&*engine).await;
    }
}

pub async fn a_barrier_is_at_least_the_newest_commit(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    assert_eq!(engine.barrier().await.unwrap(), start);
    let head = commit_one(&*engine, puts([entry("k", "v")])).await;
    assert_eq!(engine.barrier().await.unwrap(), head);
}

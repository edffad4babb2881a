//! What an engine answers when it cannot.

use switchboard_model::Revision;

use super::model::Model;
use super::{
    Failure, Harness, commit_one, does_not_apply, entry, has_history, is_closed, open, patiently, puts,
    try_commit,
};
use crate::{ChangesError, CommitError};

pub async fn a_failed_batch_acknowledges_nothing(harness: &dyn Harness) {
    fails(harness, Failure::Write, "a_failed_batch_acknowledges_nothing").await;
}

pub async fn a_lost_acknowledgement_is_found_by_load(harness: &dyn Harness) {
    fails(harness, Failure::LostAck, "a_lost_acknowledgement_is_found_by_load").await;
}

/// A failed batch is answered as failed for every plan, `load` then says what of it was kept, and commits go on.
async fn fails(harness: &dyn Harness, failure: Failure, behaviour: &str) {
    let (engine, start) = open(harness).await;
    let mut without = Model::new(start);
    let mut with = Model::new(start);
    let first = puts([entry("held", "1")]);
    assert_eq!(Ok(commit_one(&*engine, first.clone()).await), without.commit(&first));
    with.commit(&first).unwrap();

    if !harness.fail_next(failure) {
        return does_not_apply(behaviour, "the harness cannot make a commit fail");
    }
    let batch = vec![puts([entry("held", "2"), entry("a", "1")]), puts([entry("b", "1")])];
    for plan in &batch {
        with.commit(plan).unwrap();
    }
    for answer in try_commit(&*engine, batch).await {
        assert!(matches!(answer, Err(CommitError::Store(_))), "a failed batch was answered {answer:?}");
    }

    let found = patiently(engine.load()).await.unwrap();
    // All of the batch or nothing of it: it was one write.
    let mut model = if found.revision == with.head { with } else { without };
    match failure {
        Failure::Write => assert_eq!(model.head, Revision(start.0 + 1), "a batch that failed was kept"),
        Failure::LostAck => {}
    }
    model.assert_matches(&*engine).await;
    assert_eq!(patiently(engine.barrier()).await.unwrap(), model.head);

    for plan in [puts([entry("held", "3")]), puts([entry("c", "1")])] {
        assert_eq!(Ok(commit_one(&*engine, plan.clone()).await), model.commit(&plan));
    }
    model.assert_matches(&*engine).await;
}

pub async fn a_closed_engine_answers_closed(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    commit_one(&*engine, puts([entry("k", "v")])).await;
    patiently(engine.close()).await.unwrap();
    for answer in try_commit(&*engine, vec![puts([entry("k", "w")]), puts([entry("l", "w")])]).await {
        assert!(matches!(&answer, Err(CommitError::Store(error)) if is_closed(error)), "commit: {answer:?}");
    }
    assert!(is_closed(&patiently(engine.load()).await.unwrap_err()), "load");
    assert!(is_closed(&patiently(engine.barrier()).await.unwrap_err()), "barrier");
    assert!(is_closed(&patiently(engine.compact(start)).await.unwrap_err()), "compact");
    assert!(is_closed(&patiently(engine.close()).await.unwrap_err()), "close");
    let changes = patiently(engine.changes(start, 10)).await;
    assert!(matches!(&changes, Err(ChangesError::Store(error)) if is_closed(error)), "changes: {changes:?}");
}

pub async fn closing_ends_a_waiting_reader(harness: &dyn Harness) {
    let (engine, start) = open(harness).await;
    if !has_history(&*engine, "closing_ends_a_waiting_reader") {
        return;
    }
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move { engine.changes(start, 10).await }
    });
    tokio::task::yield_now().await;
    patiently(engine.close()).await.unwrap();
    let answer = patiently(waiting).await.unwrap();
    assert!(matches!(&answer, Err(ChangesError::Store(error)) if is_closed(error)), "answered {answer:?}");
}

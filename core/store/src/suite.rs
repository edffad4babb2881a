//! The behaviour that every engine must show, one async function for each.
//!
//! An engine's test binary says how to open it and takes all of them with one line, which makes one test of each:
//!
//! ```text
//! switchboard_store::engine_suite!(MemoryHarness::default());
//! ```
//!
//! Which behaviours apply follows from the engine's [`Facts`](crate::Facts). One that does not apply says so on
//! standard error, past the test runner's capture; none is left out silently.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this module is test code that lives in a library so that every engine can run it"
)]

mod commits;
mod failure;
mod history;
mod model;
mod records;
mod restart;

use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchboard_model::{Record, Revision};

pub use commits::*;
pub use failure::*;
pub use history::*;
pub use model::{Dice, Model, random_batch, walk};
pub use records::{check, entry, instance, lease, node};
pub use restart::*;

use crate::{ChangesError, Commit, CommitError, Engine, Plan, StoreErrorKind};

/// How an engine is opened for the suite.
#[async_trait]
pub trait Harness: Send + Sync {
    /// An empty engine that shares nothing with the ones before it.
    async fn open(&self) -> Arc<dyn Engine>;

    /// Opens again what the newest engine held. Called for durable engines only, after that engine was closed.
    async fn reopen(&self) -> Arc<dyn Engine>;

    /// Makes the next commit of the newest engine fail. False: this harness cannot.
    fn fail_next(&self, failure: Failure) -> bool {
        let _ = failure;
        false
    }
}

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing of the batch is kept.
    Write,
    /// The store reports an error, yet it may have kept the batch.
    LostAck,
}

/// Makes one `#[tokio::test]` of every behaviour. The argument is an expression that makes a [`Harness`].
#[macro_export]
macro_rules! engine_suite {
    ($harness:expr) => {
        $crate::engine_suite! { @behaviours tests $harness }
    };
    // The list of all behaviours. There is no other.
    (@behaviours $mode:ident $harness:expr) => {
        $crate::engine_suite! { @$mode $harness;
            revisions_are_consecutive_and_in_order
            an_empty_batch_is_answered_with_nothing
            one_batch_may_write_a_record_again_and_again
            places_in_history_are_right_everywhere
            edits_keep_the_order_of_writes
            a_conflict_fails_only_its_plan
            an_expectation_may_name_a_revision_of_its_own_batch
            deleting_what_is_absent_leaves_no_edit
            names_that_differ_in_case_are_one_record
            every_kind_of_record_comes_back
            large_values_come_back
            a_thousand_plans_are_one_batch
            batches_from_several_tasks_do_not_mix
            a_random_walk_agrees_with_the_model
            a_barrier_is_at_least_the_newest_commit
            changes_page_without_a_gap
            changes_page_through_the_middle_of_a_batch
            changes_wait_for_the_next_commit
            compaction_moves_the_floor_and_nothing_else
            compaction_in_the_middle_of_a_batch_is_exact
            compaction_stops_at_the_newest_commit
            everything_acknowledged_is_there_after_reopening
            revisions_do_not_go_back_when_everything_was_deleted
            history_and_floor_survive_reopening
            a_random_walk_survives_reopening
            a_failed_batch_acknowledges_nothing
            a_lost_acknowledgement_is_found_by_load
            a_closed_engine_answers_closed
            closing_ends_a_waiting_reader
        }
    };
    (@tests $harness:expr; $($name:ident)*) => {
        $(
            #[::tokio::test]
            async fn $name() {
                let harness = $harness;
                $crate::suite::$name(&harness).await;
            }
        )*
    };
    (@run $harness:expr; $($name:ident)*) => {
        $( $crate::suite::$name($harness).await; )*
    };
}

/// Runs every behaviour in turn, for engines whose harness is too dear to set up once per behaviour.
pub async fn run(harness: &dyn Harness) {
    engine_suite! { @behaviours run harness }
}

/// Nothing in the suite may take longer; an engine that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough that an engine which does not wait has answered by then.
const A_WHILE: Duration = Duration::from_millis(50);

/// A fresh engine, loaded, and the revision it starts at, which need not be zero.
async fn open(harness: &dyn Harness) -> (Arc<dyn Engine>, Revision) {
    let engine = harness.open().await;
    let checkpoint = engine.load().await.unwrap();
    assert!(checkpoint.records.is_empty(), "a fresh engine holds {} records", checkpoint.records.len());
    assert!(checkpoint.floor <= checkpoint.revision);
    (engine, checkpoint.revision)
}

fn puts(records: impl IntoIterator<Item = Record>) -> Plan {
    let mut plan = Plan { at_ms: 1_000, ..Plan::default() };
    records.into_iter().for_each(|record| plan.put(record));
    plan
}

/// Commits plans that must all succeed.
async fn commit(engine: &dyn Engine, batch: Vec<Plan>) -> Vec<Revision> {
    try_commit(engine, batch).await.into_iter().map(|answer| answer.unwrap()).collect()
}

async fn commit_one(engine: &dyn Engine, plan: Plan) -> Revision {
    commit(engine, vec![plan]).await[0]
}

async fn try_commit(engine: &dyn Engine, batch: Vec<Plan>) -> Vec<Result<Revision, CommitError>> {
    let asked = batch.len();
    let answers = patiently(engine.commit(batch)).await;
    assert_eq!(answers.len(), asked, "every plan is answered");
    answers
}

/// The commits that follow `after`, up to and including `head`.
async fn changes_between(engine: &dyn Engine, after: Revision, head: Revision) -> Vec<Commit> {
    let mut all: Vec<Commit> = Vec::new();
    let mut at = after;
    while at < head {
        let page = patiently(engine.changes(at, 1000)).await.unwrap();
        assert!(!page.is_empty(), "a page is never empty");
        for commit in &page {
            assert_eq!(commit.revision, at.next(), "history has a gap");
            at = commit.revision;
        }
        all.extend(page);
    }
    all
}

async fn patiently<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("the engine did not answer in time")
}

async fn assert_waits<T: std::fmt::Debug>(work: impl Future<Output = T>) {
    if let Ok(answer) = tokio::time::timeout(A_WHILE, work).await {
        panic!("answered {answer:?} where it should have waited");
    }
}

async fn assert_compacted(engine: &dyn Engine, after: Revision, at: Revision) {
    match patiently(engine.changes(after, 10)).await {
        Err(ChangesError::Compacted { floor }) => assert_eq!(floor, at),
        other => panic!("history after {after} was compacted up to {at}, but the answer is {other:?}"),
    }
}

fn is_closed(error: &crate::StoreError) -> bool {
    error.kind == StoreErrorKind::Closed
}

fn does_not_apply(behaviour: &str, why: &str) {
    // Not eprintln: the test runner would keep it to itself.
    let _ = writeln!(std::io::stderr(), "does not apply: {behaviour}: {why}");
}

/// Whether the behaviour applies to an engine with history; says so when it does not.
fn has_history(engine: &dyn Engine, behaviour: &str) -> bool {
    let history = engine.facts().history;
    if !history {
        does_not_apply(behaviour, "the engine keeps no history");
    }
    history
}

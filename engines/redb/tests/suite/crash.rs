//! Every write and every sync of a workload fails once, and every one of them is once the last before the power
//! goes off. Whatever was acknowledged is there afterwards, of a batch that was not there is all or nothing, and the
//! revision never goes back.

use switchboard_engine_redb::Redb;
use switchboard_model::Revision;
use switchboard_store::suite::{Dice, Model, random_batch};
use switchboard_store::{CommitError, Engine, Plan};

use crate::disk::{Disk, Fault, When};

const BATCHES: usize = 6;

#[tokio::test]
async fn power_cut_at_every_write() {
    for seed in seeds() {
        let last = everywhere(seed, |at| (When::Change(at), Fault::PowerCut)).await;
        assert!(last > 80, "the workload changes the disk only {last} times");
    }
}

#[tokio::test]
async fn power_cut_at_every_sync() {
    for seed in seeds() {
        let last = everywhere(seed, |at| (When::Sync(at), Fault::PowerCut)).await;
        assert!(last > BATCHES as u64 * 2, "the workload syncs only {last} times");
    }
}

#[tokio::test]
async fn io_error_at_every_write() {
    for seed in seeds() {
        everywhere(seed, |at| (When::Change(at), Fault::Error)).await;
    }
}

#[tokio::test]
async fn io_error_at_every_read() {
    for seed in seeds() {
        everywhere(seed, |at| (When::Read(at), Fault::Error)).await;
    }
}

/// Runs the workload with the fault at 1, 2, 3 and so on, until it gets through without meeting it.
async fn everywhere(seed: u64, fault: impl Fn(u64) -> (When, Fault)) -> u64 {
    for at in 1.. {
        let (when, kind) = fault(at);
        println!("seed {seed}, {when:?}, {kind:?}");
        // Making the store is not part of it: a file appears under its name only when it is whole.
        let disk = Disk::new(seed * 1_000 + at);
        disk.open().unwrap().close().await.unwrap();
        disk.reset_counts();
        disk.plan_fault(when, kind);
        if !workload(&disk, kind, seed).await {
            return at;
        }
    }
    unreachable!("the workload ends")
}

/// Commits batch after batch, recovers from whatever happens, and ends with a power cut. Whether the fault struck.
async fn workload(disk: &Disk, fault: Fault, seed: u64) -> bool {
    let mut dice = Dice::new(seed);
    let mut model = Model::new(Revision::ZERO);
    let mut engine = open_through(disk, fault);
    for step in 0..BATCHES {
        let batch = random_batch(&mut dice, &model);
        let mut after = model.clone();
        let expected: Vec<_> = batch.iter().map(|plan| after.commit(plan)).collect();
        let answers = engine.commit(batch).await;
        if answers == expected {
            model = after;
        } else {
            assert!(answers.iter().all(|answer| matches!(answer, Err(CommitError::Store(_)))), "{answers:?}");
            model = recover(disk, fault, &mut engine, model, after).await;
        }
        if step == BATCHES / 2 && engine.compact(Revision(model.head.0 / 2)).await.is_err() {
            model = recover(disk, fault, &mut engine, model.clone(), model).await;
        }
    }
    let hit = disk.is_hit();
    // Nothing may strike from here on.
    disk.plan_fault(When::Sync(u64::MAX), Fault::Error);
    cut(disk, &mut engine);
    model.assert_matches(&engine).await;
    let mut plan = Plan::default();
    plan.put(switchboard_store::suite::entry("after", "all"));
    assert_eq!(engine.commit(vec![plan.clone()]).await, [model.commit(&plan)]);
    model.assert_matches(&engine).await;
    hit
}

/// Finds out which of two states the store is in. It must be one of them, whole.
async fn recover(disk: &Disk, fault: Fault, engine: &mut Redb, without: Model, with: Model) -> Model {
    if fault == Fault::PowerCut {
        cut(disk, engine);
    }
    // The error may strike while recovering, too.
    let found = match engine.load().await {
        Ok(found) => found,
        Err(_) => engine.load().await.unwrap(),
    };
    assert!(found.revision >= without.head, "went back from {} to {}", without.head, found.revision);
    let model = if found.revision == with.head { with } else { without };
    model.assert_matches(engine).await;
    model
}

fn open_through(disk: &Disk, fault: Fault) -> Redb {
    match disk.open() {
        Ok(engine) => engine,
        Err(error) => {
            assert!(disk.is_hit(), "{error}");
            if fault == Fault::PowerCut {
                disk.power_on();
            }
            disk.open().unwrap()
        }
    }
}

/// Pulls the plug, whatever is going on, and puts it back.
fn cut(disk: &Disk, engine: &mut Redb) {
    disk.plan_fault(When::Change(disk.counts().changes + 1), Fault::PowerCut);
    // Dropping it writes, or tries to.
    *engine = Disk::new(0).open().unwrap();
    disk.power_on();
    *engine = disk.open().unwrap();
}

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("SWITCHBOARD_TEST_SEEDS").ok().and_then(|text| text.parse().ok());
    0..count.unwrap_or(2)
}

//! The simplest thing that behaves like an engine, to compare engines with.

use std::collections::BTreeMap;

use switchboard_model::{Kept, RecordKey, Revision};

use super::{changes_between, commit_one, entry, lease, puts, try_commit};
use crate::{Checkpoint, Commit, CommitError, Edit, Engine, Expectation, Plan, Write};

/// Every commit since `start`, and what they add up to.
#[derive(Clone, Debug)]
pub struct Model {
    pub start: Revision,
    pub head: Revision,
    pub records: BTreeMap<RecordKey, Kept>,
    pub history: Vec<Commit>,
}

impl Model {
    pub fn new(start: Revision) -> Model {
        Model { start, head: start, records: BTreeMap::new(), history: Vec::new() }
    }

    pub fn commit(&mut self, plan: &Plan) -> Result<Revision, CommitError> {
        for Expectation { key, modified } in &plan.expects {
            let actual = self.records.get(key).map(Kept::modified);
            if actual != *modified {
                return Err(CommitError::Conflict { key: key.to_string(), expected: *modified, actual });
            }
        }
        self.head = self.head.next();
        let mut edits = Vec::new();
        for write in &plan.writes {
            let key = write.key();
            let before = self.records.remove(&key);
            let after = match write {
                Write::Put(record) => Some(Kept::succeed(before.as_ref(), record.clone(), self.head)),
                Write::Delete(_) => None,
            };
            if let Some(after) = &after {
                self.records.insert(key, after.clone());
            }
            if before.is_some() || after.is_some() {
                edits.push(Edit { before, after });
            }
        }
        self.history.push(Commit { revision: self.head, at_ms: plan.at_ms, edits });
        Ok(self.head)
    }

    /// Asserts that the engine holds exactly this, as records and as history.
    pub async fn assert_matches(&self, engine: &dyn Engine) {
        let Checkpoint { revision, floor, records } = engine.load().await.unwrap();
        assert_eq!(revision, self.head, "the revision");
        assert!(floor <= revision);
        let found: BTreeMap<RecordKey, Kept> =
            records.iter().map(|kept| (kept.key(), kept.clone())).collect();
        assert_eq!(found.len(), records.len(), "a record was loaded twice");
        assert_eq!(found, self.records, "the records");
        if engine.facts().history {
            let since = floor.max(self.start);
            let expected: Vec<_> =
                self.history.iter().filter(|commit| commit.revision > since).cloned().collect();
            assert_eq!(changes_between(engine, since, revision).await, expected, "history");
        }
    }
}

/// Commits `batches` batches of random plans over few keys to the engine and to the model, and compares answers.
pub async fn walk(engine: &dyn Engine, model: &mut Model, seed: u64, batches: usize) {
    let mut dice = Dice::new(seed);
    for _ in 0..batches {
        let batch = random_batch(&mut dice, model);
        let expected: Vec<_> = batch.iter().map(|plan| model.commit(plan)).collect();
        assert_eq!(try_commit(engine, batch).await, expected, "seed {seed}");
    }
    // Ends on something known, so that an engine whose newest plan conflicted is compared as well.
    let last = puts([entry("last", seed.to_le_bytes().to_vec())]);
    assert_eq!(Ok(commit_one(engine, last.clone()).await), model.commit(&last));
}

/// Plans over few keys. Some of them expect what is true before the batch, some what is wrong.
pub fn random_batch(dice: &mut Dice, model: &Model) -> Vec<Plan> {
    (0..1 + dice.roll(20)).map(|_| random_plan(dice, model)).collect()
}

fn random_plan(dice: &mut Dice, model: &Model) -> Plan {
    let mut plan = Plan { at_ms: dice.roll(1 << 40), ..Plan::default() };
    let mut taken = Vec::new();
    for _ in 0..1 + dice.roll(3) {
        let number = dice.roll(12);
        let record = match number % 3 {
            0 => lease(number + 1),
            _ => entry(&format!("key-{number}"), vec![b'x'; usize::try_from(dice.roll(300)).unwrap()]),
        };
        let key = record.key();
        if taken.contains(&key) {
            continue;
        }
        taken.push(key.clone());
        match dice.roll(8) {
            0 => plan.expects.push(Expectation { key: key.clone(), modified: None }),
            1 => plan.expects.push(Expectation { key: key.clone(), modified: Some(Revision(dice.roll(99))) }),
            2..5 => {
                let modified = model.records.get(&key).map(Kept::modified);
                plan.expects.push(Expectation { key: key.clone(), modified });
            }
            _ => {}
        }
        if dice.roll(4) == 0 {
            plan.delete(key);
        } else {
            plan.put(record);
        }
    }
    plan
}

/// xorshift64*: the same walk for the same seed, everywhere.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        // Seeds that are close together must not begin alike, and zero would never leave zero.
        Dice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}

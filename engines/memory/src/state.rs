use std::collections::{HashMap, VecDeque};

use switchboard_model::{Kept, RecordKey, Revision};
use switchboard_store::{
    ChangesError, Checkpoint, Commit, CommitError, Edit, Expectation, Plan, StoreError, Write,
};

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) head: Revision,
    /// The revision before the oldest commit in `history`.
    floor: Revision,
    records: HashMap<RecordKey, Kept>,
    /// The commits from `floor` to `head`, without a gap.
    history: VecDeque<Commit>,
    keep: usize,
    /// What a failed commit left behind: nothing is written until someone has looked at what was kept.
    latch: Option<StoreError>,
}

impl State {
    pub(crate) fn new(keep: usize) -> State {
        State {
            head: Revision::ZERO,
            floor: Revision::ZERO,
            records: HashMap::new(),
            history: VecDeque::new(),
            keep,
            latch: None,
        }
    }

    pub(crate) fn commit(&mut self, batch: Vec<Plan>) -> Vec<Result<Revision, CommitError>> {
        let answers = batch.into_iter().map(|plan| self.commit_one(plan)).collect();
        while self.history.len() > self.keep {
            self.forget_oldest();
        }
        answers
    }

    /// A conflict that nobody caused: what a plan gets when another writer was faster.
    pub(crate) fn contradict(&self, plan: &Plan) -> CommitError {
        let key = plan.expects.first().map(|expectation| expectation.key.clone());
        let key = key.or_else(|| plan.writes.first().map(Write::key));
        CommitError::Conflict {
            key: key.as_ref().map(ToString::to_string).unwrap_or_default(),
            expected: plan.expects.first().and_then(|expectation| expectation.modified),
            actual: Some(self.head),
        }
    }

    pub(crate) fn latch(&mut self, error: StoreError) {
        self.latch = Some(error);
    }

    pub(crate) fn check_latch(&self) -> Result<(), StoreError> {
        self.latch.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn recover(&mut self) -> Checkpoint {
        self.latch = None;
        Checkpoint {
            revision: self.head,
            floor: self.floor,
            records: self.records.values().cloned().collect(),
        }
    }

    /// The commits after `after`, up to `head`.
    pub(crate) fn history(
        &self,
        after: Revision,
        head: Revision,
        limit: usize,
    ) -> Result<Vec<Commit>, ChangesError> {
        if after < self.floor {
            return Err(ChangesError::Compacted { floor: self.floor });
        }
        // A distance that does not fit lies beyond the end anyway.
        let skip = usize::try_from(after.0 - self.floor.0).unwrap_or(usize::MAX);
        let page = self.history.iter().skip(skip).take_while(|commit| commit.revision <= head);
        Ok(page.take(limit).cloned().collect())
    }

    pub(crate) fn compact(&mut self, through: Revision) {
        while self.floor < through && !self.history.is_empty() {
            self.forget_oldest();
        }
    }

    fn commit_one(&mut self, plan: Plan) -> Result<Revision, CommitError> {
        for Expectation { key, modified } in &plan.expects {
            let actual = self.records.get(key).map(Kept::modified);
            if actual != *modified {
                return Err(CommitError::Conflict { key: key.to_string(), expected: *modified, actual });
            }
        }
        self.head = self.head.next();
        let edits = plan.writes.into_iter().filter_map(|write| self.write(write)).collect();
        self.history.push_back(Commit { revision: self.head, at_ms: plan.at_ms, edits });
        Ok(self.head)
    }

    fn write(&mut self, write: Write) -> Option<Edit> {
        let key = write.key();
        let before = self.records.remove(&key);
        let after = match write {
            Write::Put(record) => Some(Kept::succeed(before.as_ref(), record, self.head)),
            Write::Delete(_) => None,
        };
        if let Some(after) = &after {
            self.records.insert(key, after.clone());
        }
        (before.is_some() || after.is_some()).then_some(Edit { before, after })
    }

    fn forget_oldest(&mut self) {
        if let Some(commit) = self.history.pop_front() {
            self.floor = commit.revision;
        }
    }
}

use std::collections::HashSet;

use switchboard_model::{RecordKey, Revision};
use switchboard_store::Plan;

use crate::clock::Now;
use crate::fold::{fold, succeed};
use crate::snapshot::Snapshot;

/// Several steps of one intent, each planned on what the earlier ones came to, and all of one revision.
#[derive(Debug)]
pub struct Steps<'a> {
    before: &'a Snapshot,
    after: Snapshot,
    revision: Revision,
    now: Now,
    /// In the order in which they were first written.
    touched: Vec<RecordKey>,
    known: HashSet<RecordKey>,
}

impl<'a> Steps<'a> {
    pub fn new(before: &'a Snapshot, now: Now) -> Steps<'a> {
        let revision = before.revision().next();
        Steps { before, after: before.clone(), revision, now, touched: Vec::new(), known: HashSet::new() }
    }

    /// What the steps so far came to.
    pub fn so_far(&self) -> &Snapshot {
        &self.after
    }

    pub fn now(&self) -> Now {
        self.now
    }

    pub fn take(&mut self, plan: &Plan) {
        if plan.is_empty() {
            return;
        }
        let steps = plan.writes.iter().map(|write| succeed(&self.after, write, self.revision)).collect();
        fold(&mut self.after, self.revision, self.now, steps);
        for write in &plan.writes {
            if self.known.insert(write.key()) {
                self.touched.push(write.key());
            }
        }
    }

    /// What has to be written for all of it: a record that ends as it began is not written.
    pub fn into_plan(self) -> Plan {
        let mut plan = Plan::default();
        for key in self.touched {
            match (self.before.record(&key), self.after.record(&key)) {
                (_, Some(after)) => {
                    let record = after.to_record();
                    if !self.before.says(&record) {
                        plan.put(record);
                    }
                }
                (Some(_), None) => plan.delete(key),
                (None, None) => {}
            }
        }
        plan
    }
}

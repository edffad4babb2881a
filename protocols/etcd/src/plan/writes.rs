use std::collections::HashMap;

use switchboard_model::RecordKey;
use switchboard_registry::plan::{Plan, Write};

/// What a transaction writes. A record that is written twice is written as it was last.
#[derive(Default)]
pub(super) struct Writes {
    writes: Vec<Write>,
    at: HashMap<RecordKey, usize>,
}

impl Writes {
    pub(super) fn add(&mut self, write: Write) {
        let key = write.key();
        match self.at.get(&key).and_then(|at| self.writes.get_mut(*at)) {
            Some(earlier) => *earlier = write,
            None => {
                self.at.insert(key, self.writes.len());
                self.writes.push(write);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(super) fn into_plan(self) -> Plan {
        Plan { writes: self.writes, ..Plan::default() }
    }
}

use std::collections::HashMap;
use std::sync::Arc;

use switchboard_model::{Check, Instance, InstanceKey, Stored};

use crate::snapshot::Snapshot;
use crate::views::InstanceView;

/// An instance whose view is being made anew.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) before: Option<Arc<InstanceView>>,
    pub(super) instance: Option<Arc<Stored<Instance>>>,
    pub(super) checks: Vec<Arc<Stored<Check>>>,
}

/// The drafts of one commit, in the order in which they were opened.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    order: Vec<(Arc<InstanceKey>, Draft)>,
    /// Only commits that touch many instances pay for an index.
    index: HashMap<Arc<InstanceKey>, usize, foldhash::fast::RandomState>,
}

const SMALL: usize = 8;

impl Drafts {
    /// The draft of `key`, begun from what the snapshot has of it.
    pub(super) fn open(&mut self, snapshot: &Snapshot, key: &Arc<InstanceKey>) -> &mut Draft {
        let at = self.find(key).unwrap_or_else(|| self.begin(snapshot, key));
        #[allow(clippy::indexing_slicing, reason = "`at` was just found or pushed")]
        &mut self.order[at].1
    }

    pub(super) fn take(&mut self) -> Vec<(Arc<InstanceKey>, Draft)> {
        self.index.clear();
        std::mem::take(&mut self.order)
    }

    fn find(&self, key: &Arc<InstanceKey>) -> Option<usize> {
        if self.order.len() <= SMALL {
            self.order.iter().position(|(have, _)| have == key)
        } else {
            self.index.get(key).copied()
        }
    }

    fn begin(&mut self, snapshot: &Snapshot, key: &Arc<InstanceKey>) -> usize {
        let before = snapshot.instance(key).cloned();
        let draft = Draft {
            instance: before.as_ref().map(|view| view.instance.clone()),
            checks: before.as_ref().map(|view| view.checks.to_vec()).unwrap_or_default(),
            before,
        };
        let at = self.order.len();
        self.order.push((key.clone(), draft));
        match at.cmp(&SMALL) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => {
                self.index = self.order.iter().enumerate().map(|(i, (key, _))| (key.clone(), i)).collect();
            }
            std::cmp::Ordering::Greater => {
                self.index.insert(key.clone(), at);
            }
        }
        at
    }
}

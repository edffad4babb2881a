use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;
use switchboard_model::{Health, InstanceKey, Revision};

use crate::changes::{Changes, What};

/// One change of an instance's state. No `from`: it appeared. No `to`: it went.
#[derive(Clone, Debug)]
pub struct Transition {
    pub revision: Revision,
    /// Wall-clock time, for people only.
    pub at_ms: u64,
    pub from: Option<Health>,
    pub to: Option<Health>,
    pub why: Vec<String>,
}

/// The newest state changes of each instance. An instance that was only ever registered takes no room here: its
/// record says when that was.
#[derive(Debug)]
pub(crate) struct Diary {
    bound: usize,
    pages: RwLock<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    by_key: HashMap<Arc<InstanceKey>, VecDeque<Transition>>,
    /// In the order of their first transition, so that the oldest page makes room for a new one.
    order: VecDeque<Arc<InstanceKey>>,
}

const PER_INSTANCE: usize = 32;

impl Diary {
    pub(crate) fn new(bound: usize) -> Diary {
        Diary { bound, pages: RwLock::default() }
    }

    pub(crate) fn follow(&self, changes: &Changes) {
        for item in &changes.items {
            let What::Instance { before, after } = &item.what else { continue };
            let (from, to) = (before.as_ref().map(|v| v.health), after.as_ref().map(|v| v.health));
            let Some(view) = item.what.instance() else { continue };
            // A first registration has nothing before it that would be worth a page, unless a page is there.
            if from == to || (from.is_none() && !self.pages.read().by_key.contains_key(view.key())) {
                continue;
            }
            let why = match (before, after) {
                (None, _) => vec!["registered".to_owned()],
                (_, None) => vec!["deregistered".to_owned()],
                (_, Some(after)) => after.reasons(),
            };
            self.write(
                view.key(),
                Transition { revision: changes.revision, at_ms: changes.at_ms, from, to, why },
            );
        }
    }

    fn write(&self, key: &Arc<InstanceKey>, transition: Transition) {
        let mut pages = self.pages.write();
        if !pages.by_key.contains_key(key) {
            if pages.order.len() >= self.bound
                && let Some(oldest) = pages.order.pop_front()
            {
                pages.by_key.remove(&oldest);
            }
            pages.order.push_back(key.clone());
        }
        let page = pages.by_key.entry(key.clone()).or_default();
        if page.back().is_some_and(|last| last.revision >= transition.revision) {
            // History is read again after a restart while new commits already arrive.
            let at = page.partition_point(|have| have.revision < transition.revision);
            if page.get(at).is_none_or(|have| have.revision != transition.revision) {
                page.insert(at, transition);
            }
        } else {
            page.push_back(transition);
        }
        if page.len() > PER_INSTANCE {
            page.pop_front();
        }
    }

    /// Oldest first.
    pub(crate) fn of(&self, key: &InstanceKey) -> Vec<Transition> {
        self.pages.read().by_key.get(key).map(|page| page.iter().cloned().collect()).unwrap_or_default()
    }
}

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use switchboard_model::{Revision, Selector, ServiceKey};
use tokio::sync::Notify;

use crate::changes::{Changes, What};

/// Commits of one topic that its watchers can still be behind.
const LOG: usize = 1024;

/// What all watchers with the same selector share: one bell, and for a single service one short log, so that a
/// watcher of a quiet service never reads through the commits of the busy ones.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) selector: Selector,
    pub(crate) bell: Notify,
    log: Option<Mutex<Log>>,
    watchers: AtomicUsize,
}

#[derive(Debug)]
struct Log {
    items: VecDeque<Arc<Changes>>,
    /// Every matching commit after this one is in `items`.
    floor: Revision,
}

impl Topic {
    /// The matching commits after `after` up to `head`; None: this topic does not reach back that far.
    pub(crate) fn after(&self, after: Revision, head: Revision, max: usize) -> Option<Vec<Arc<Changes>>> {
        let log = self.log.as_ref()?.lock();
        if after < log.floor {
            return None;
        }
        let start = log.items.partition_point(|item| item.revision <= after);
        Some(log.items.range(start..).take_while(|item| item.revision <= head).take(max).cloned().collect())
    }

    fn push(&self, changes: &Arc<Changes>) {
        if let Some(log) = &self.log {
            let mut log = log.lock();
            log.items.push_back(changes.clone());
            if log.items.len() > LOG
                && let Some(oldest) = log.items.pop_front()
            {
                log.floor = oldest.revision;
            }
        }
    }
}

/// All topics that someone watches.
#[derive(Debug, Default)]
pub(crate) struct Topics(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_service: HashMap<ServiceKey, Vec<Arc<Topic>>>,
    general: Vec<Arc<Topic>>,
}

impl Inner {
    fn list(&mut self, selector: &Selector) -> &mut Vec<Arc<Topic>> {
        match selector.service() {
            Some(key) => self.by_service.entry(key.clone()).or_default(),
            None => &mut self.general,
        }
    }
}

impl Topics {
    /// Joins the topic of `selector`. `head` is read under the lock that `ring` takes: a commit is either published
    /// already, and so at or before the head, or it will be pushed to the topic.
    pub(crate) fn join(&self, selector: &Selector, head: impl FnOnce() -> Revision) -> Arc<Topic> {
        let mut inner = self.0.write();
        let list = inner.list(selector);
        if let Some(topic) = list.iter().find(|topic| topic.selector == *selector) {
            topic.watchers.fetch_add(1, Ordering::AcqRel);
            return topic.clone();
        }
        let log = selector.service().map(|_| Mutex::new(Log { items: VecDeque::new(), floor: head() }));
        let topic = Arc::new(Topic {
            selector: selector.clone(),
            bell: Notify::new(),
            log,
            watchers: AtomicUsize::new(1),
        });
        list.push(topic.clone());
        topic
    }

    pub(crate) fn leave(&self, topic: &Arc<Topic>) {
        let mut inner = self.0.write();
        if topic.watchers.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let list = inner.list(&topic.selector);
        list.retain(|have| !Arc::ptr_eq(have, topic));
        if list.is_empty()
            && let Some(key) = topic.selector.service()
        {
            inner.by_service.remove(key);
        }
    }

    /// Publishes a group of commits: first the logs have them, then `publish` moves the head, then the bells ring.
    /// Whoever reads the head before a log therefore finds everything up to that head.
    pub(crate) fn ring(&self, group: &[Arc<Changes>], publish: impl FnOnce()) {
        let inner = self.0.read();
        let mut rung: Vec<&Arc<Topic>> = Vec::new();
        for changes in group {
            let mut services: Vec<ServiceKey> = Vec::new();
            if !inner.by_service.is_empty() {
                for key in changes.items.iter().filter_map(|item| match &item.what {
                    What::Instance { .. } => item.what.instance().map(|view| view.key().service_key()),
                    _ => None,
                }) {
                    if !services.contains(&key) {
                        services.push(key);
                    }
                }
            }
            let special = services.iter().filter_map(|key| inner.by_service.get(key)).flatten();
            for topic in special.chain(&inner.general) {
                if changes.touch(&topic.selector) {
                    topic.push(changes);
                    if !rung.iter().any(|have| Arc::ptr_eq(have, topic)) {
                        rung.push(topic);
                    }
                }
            }
        }
        publish();
        for topic in rung {
            topic.bell.notify_waiters();
        }
    }

    pub(crate) fn ring_all(&self) {
        let inner = self.0.read();
        for topic in inner.by_service.values().flatten().chain(&inner.general) {
            topic.bell.notify_waiters();
        }
    }
}

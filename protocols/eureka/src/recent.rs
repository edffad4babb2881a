//! What a delta has to tell: which instances changed within the window, told as they are in one snapshot.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use imbl::OrdMap;
use switchboard_model::{InstanceKey, Name, Rejection, Selector};
use switchboard_registry::{Caller, Change, InstanceView, Registry, View, Watch, WatchEnd, What};
use tokio::sync::Mutex;

use crate::lens::{all_in, app_to_wire, find, id_to_wire, instance_to_wire, services};
use crate::pages;
use crate::wire::{ActionType, Form, InstanceInfo};

/// Instances that the window remembers. Beyond it a delta tells everything.
const MOST: usize = 65_536;
/// Comings and goings for people to look at.
const LAST: usize = 500;

/// What changed within the last minutes.
#[derive(Debug)]
pub(crate) struct Recent {
    window: Duration,
    log: Mutex<Option<Log>>,
    /// Of the log, so that whoever asks for what is encoded already need not wait for it.
    age: AtomicU64,
}

#[derive(Debug)]
struct Log {
    watch: Watch,
    /// Nothing that changed since then is missing.
    since: Instant,
    /// That is further back than the window.
    is_whole: bool,
    next: u64,
    /// Shared with every delta that is being encoded.
    by_age: OrdMap<u64, Touch>,
    by_key: HashMap<Arc<InstanceKey>, u64>,
    /// How many have fallen out of the window.
    gone: u64,
    last: VecDeque<Event>,
}

/// An instance that changed, each at most once.
#[derive(Clone, Debug)]
struct Touch {
    at: Instant,
    action: ActionType,
    /// As it was last seen, for when it is gone.
    view: Arc<InstanceView>,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at_ms: u64,
    pub(crate) app: String,
    pub(crate) id: String,
    pub(crate) came: bool,
}

/// One snapshot, and what led to it.
#[derive(Debug)]
pub(crate) struct Delta {
    pub(crate) view: View,
    pub(crate) stamp: pages::Stamp,
    touches: OrdMap<u64, Touch>,
    /// The window goes back as far as it should. Otherwise everything is told: whatever a client knows besides it is
    /// gone, and makes it count more than there is.
    is_complete: bool,
}

impl Recent {
    pub(crate) fn new(window: Duration) -> Recent {
        Recent { window, log: Mutex::new(None), age: AtomicU64::new(0) }
    }

    /// Grows whenever the same revision is told differently, as time passes.
    pub(crate) fn age(&self) -> u64 {
        self.age.load(Ordering::Acquire)
    }

    /// Takes in what happened. Called now and then, so that nobody who asks has to do much.
    pub(crate) async fn follow(&self, registry: &Registry) -> Result<(), Rejection> {
        self.at_head(registry).await.map(|_| ())
    }

    pub(crate) async fn delta(&self, registry: &Registry) -> Result<Delta, Rejection> {
        let (view, log) = self.at_head(registry).await?;
        let Some(log) = log.as_ref() else { return Err(switchboard_model::Unavailable::Stopping.into()) };
        Ok(Delta {
            stamp: (pages::stamp(&view), log.age()),
            touches: log.by_age.clone(),
            is_complete: log.is_whole,
            view,
        })
    }

    /// The newest comings and goings, newest first.
    pub(crate) async fn last(&self, registry: &Registry) -> Result<Vec<Event>, Rejection> {
        let (_, log) = self.at_head(registry).await?;
        Ok(log.iter().flat_map(|log| log.last.iter().rev().cloned()).collect())
    }

    /// A snapshot, and a log that has all that led to it.
    async fn at_head(
        &self,
        registry: &Registry,
    ) -> Result<(View, tokio::sync::MutexGuard<'_, Option<Log>>), Rejection> {
        let caller = Caller::internal("eureka");
        let mut guard = self.log.lock().await;
        loop {
            let view = registry.view(&caller)?;
            let log = match &mut *guard {
                Some(log) => log,
                empty => {
                    let all = Selector::Services { namespace: None, prefix: "".into() };
                    empty.insert(Log::new(registry.watch(&caller, &all, view.revision())?))
                }
            };
            match log.drain().await {
                Ok(()) if log.watch.cursor() >= view.revision() => {
                    log.forget(self.window);
                    self.age.store(log.age(), Ordering::Release);
                    return Ok((view, guard));
                }
                Ok(()) => tokio::task::yield_now().await,
                Err(WatchEnd::Stopping) => return Err(switchboard_model::Unavailable::Stopping.into()),
                // Begin again with an empty window.
                Err(WatchEnd::Lagged { .. } | WatchEnd::Compacted { .. }) => *guard = None,
                Err(WatchEnd::Unavailable { why }) => {
                    return Err(switchboard_model::Unavailable::Store { why }.into());
                }
            }
        }
    }
}

impl Log {
    fn new(watch: Watch) -> Log {
        Log {
            watch,
            since: Instant::now(),
            is_whole: false,
            next: 0,
            by_age: OrdMap::new(),
            by_key: HashMap::new(),
            gone: 0,
            last: VecDeque::new(),
        }
    }

    /// When something falls out of the window, or the window has become whole, the same revision is told differently.
    fn age(&self) -> u64 {
        self.gone * 2 + u64::from(self.is_whole)
    }

    async fn drain(&mut self) -> Result<(), WatchEnd> {
        while let Some(delivery) = self.watch.try_next().await? {
            let at_ms = delivery.changes.at_ms;
            for change in delivery.items() {
                self.take(change, at_ms);
            }
        }
        Ok(())
    }

    fn take(&mut self, change: &Change, at_ms: u64) {
        let What::Instance { before, after } = &change.what else { return };
        let Some(view) = change.what.instance() else { return };
        let action = match (before, after) {
            (None, _) => ActionType::Added,
            (_, None) => ActionType::Deleted,
            (Some(_), Some(_)) => ActionType::Modified,
        };
        if action != ActionType::Modified {
            if self.last.len() >= LAST {
                self.last.pop_front();
            }
            self.last.push_back(Event {
                at_ms,
                app: app_to_wire(view.key().service.as_str()),
                id: id_to_wire(view.key()),
                came: action == ActionType::Added,
            });
        }
        let place = self.next;
        self.next += 1;
        if let Some(old) = self.by_key.insert(view.key().clone(), place) {
            self.by_age.remove(&old);
        }
        self.by_age.insert(place, Touch { at: Instant::now(), action, view: view.clone() });
        if self.by_age.len() > MOST {
            self.drop_oldest();
            self.since = Instant::now();
            self.is_whole = false;
        }
    }

    fn forget(&mut self, window: Duration) {
        self.is_whole = self.is_whole || self.since.elapsed() > window;
        while self.by_age.get_min().is_some_and(|(_, touch)| touch.at.elapsed() > window) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(place) = self.by_age.get_min().map(|(place, _)| *place) else { return };
        if let Some(touch) = self.by_age.remove(&place) {
            self.gone += 1;
            if self.by_key.get(touch.view.key()) == Some(&place) {
                self.by_key.remove(touch.view.key());
            }
        }
    }
}

impl Delta {
    pub(crate) fn encode(&self, namespace: &Name, form: Form) -> Vec<u8> {
        let mut apps = Apps::default();
        if !self.is_complete {
            for view in services(&self.view, namespace.as_str()).flat_map(|service| all_in(service)) {
                apps.add(ActionType::Added, instance_to_wire(view));
            }
        }
        for touch in self.touches.values().filter(|touch| touch.view.key().namespace == *namespace) {
            let key = touch.view.key();
            // Told as it is in this snapshot, whatever it was when it changed.
            let found = find(&self.view, namespace.as_str(), key.service.as_str(), &id_to_wire(key));
            match found {
                Some(_) if !self.is_complete => {}
                Some(view) => {
                    let action =
                        if touch.action == ActionType::Deleted { ActionType::Modified } else { touch.action };
                    apps.add(action, instance_to_wire(view));
                }
                None => apps.add(ActionType::Deleted, instance_to_wire(&touch.view)),
            }
        }
        let bare: Vec<Bytes> = apps.encode(form);
        // The revision that this is of: clients keep it, and ask everything where it is -1.
        form.applications(self.stamp.0.0.max(1), &pages::hash(&self.view, namespace), &bare)
    }
}

/// Instances by application, both in the order in which they came.
#[derive(Default)]
struct Apps {
    order: Vec<(String, Vec<InstanceInfo>)>,
    places: HashMap<String, usize>,
}

impl Apps {
    fn add(&mut self, action: ActionType, info: InstanceInfo) {
        let app = info.app.clone().unwrap_or_default();
        let info = InstanceInfo { action: Some(action), ..info };
        let place = *self.places.entry(app.clone()).or_insert_with(|| {
            self.order.push((app, Vec::new()));
            self.order.len() - 1
        });
        if let Some((_, instances)) = self.order.get_mut(place) {
            instances.push(info);
        }
    }

    fn encode(self, form: Form) -> Vec<Bytes> {
        let one = |(app, instances): (String, Vec<InstanceInfo>)| {
            form.bare_application(&app, instances.into_iter().map(std::borrow::Cow::Owned)).into()
        };
        self.order.into_iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests;

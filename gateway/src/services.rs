//! Who is there to answer, and how each of them is doing. What is known about an instance is kept by instance, and shared
//! by every route that leads to it.

mod endpoint;
mod service;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use switchboard_balance::Moment;
use switchboard_discover::InstanceSet;
use switchboard_model::ServiceKey;
use switchboard_registry::ServiceView;

use crate::balance::Bench;
use crate::route::{PathPattern, Subset, Table, Target};
use crate::upstream::Dialer;

pub(crate) use endpoint::{Endpoint, Way};
pub(crate) use service::{Service, Update};

type Map = imbl::GenericHashMap<Arc<str>, Arc<Service>, RandomState, imbl::shared_ptr::DefaultSharedPtr>;

/// All services that requests can go to. One task writes, every request reads.
#[derive(Debug)]
pub(crate) struct Services {
    /// By name in lower case.
    by_name: ArcSwap<Map>,
    /// Those that chose a path for themselves.
    by_path: ArcSwap<Vec<(PathPattern, Arc<Service>)>>,
    /// The subsets that routes divide a service into.
    subsets: HashMap<Arc<str>, Vec<Subset>, RandomState>,
    writing: Mutex<()>,
    ready: AtomicBool,
    dialer: Arc<Dialer>,
    bench: Bench,
}

impl Services {
    pub(crate) fn new(table: &Table, dialer: Arc<Dialer>, bench: Bench) -> Services {
        let mut subsets: HashMap<Arc<str>, Vec<Subset>, RandomState> = HashMap::default();
        for (_, route) in table.routes() {
            let Target::Services(parts) = &route.target else { continue };
            for part in parts.iter().filter(|part| !part.subset.is_everyone()) {
                let of = subsets.entry(part.service.clone()).or_default();
                if !of.contains(&part.subset) {
                    of.push(part.subset.clone());
                }
            }
        }
        Services {
            by_name: ArcSwap::default(),
            by_path: ArcSwap::default(),
            subsets,
            writing: Mutex::new(()),
            ready: AtomicBool::new(false),
            dialer,
            bench,
        }
    }

    /// `name` is in lower case.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Service>> {
        self.by_name.load().get(name).cloned()
    }

    pub(crate) fn by_path(&self, path: &str) -> Option<Arc<Service>> {
        let paths = self.by_path.load();
        if paths.is_empty() {
            return None;
        }
        paths.iter().find(|(pattern, _)| pattern.matches(path)).map(|(_, service)| service.clone())
    }

    pub(crate) fn all(&self) -> Vec<Arc<Service>> {
        let mut all: Vec<_> = self.by_name.load().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Whether the registry has told who is there.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Takes over a service as the registry has it now.
    pub(crate) fn update(&self, view: &ServiceView, table: &Table) {
        let name: Arc<str> = view.key.service.folded().into();
        let update = Update::read(&name, view, table.locator());
        let joined = self.is_ready().then(|| self.bench.now());
        self.take(name, view.key.service.as_str(), update, joined);
    }

    /// Takes over a service as a source has it now.
    pub(crate) fn update_set(&self, service: &ServiceKey, set: &InstanceSet, table: &Table) {
        let name: Arc<str> = service.service.folded().into();
        let update = Update::of_set(&name, set, table.locator());
        let spelled = set.instances.first().map_or(&service.service, |instance| &instance.key.service);
        // What is known of a service at first has been there for nobody knows how long.
        let joined = self.get(&name).map(|_| self.bench.now());
        self.take(name, spelled.as_str(), update, joined);
    }

    fn take(&self, name: Arc<str>, registered: &str, update: Update, joined: Option<Moment>) {
        let _writing = self.writing.lock();
        let known = self.get(&name);
        let service = known.clone().unwrap_or_else(|| {
            let subsets = self.subsets.get(&name).cloned().unwrap_or_default();
            Arc::new(Service::new(name.clone(), registered, subsets, &self.bench))
        });
        let has_path = |service: &Service| service.exposure().is_some_and(|exposure| exposure.path.is_some());
        let had_path = has_path(&service);
        service.update(update, &self.dialer, joined);
        let now_has = has_path(&service);
        if known.is_none() {
            self.by_name.store(Arc::new(self.by_name.load().update(name, service)));
        }
        if had_path || now_has {
            self.collect_paths();
        }
    }

    pub(crate) fn remove(&self, key: &ServiceKey) {
        let _writing = self.writing.lock();
        let name = key.service.folded();
        self.by_name.store(Arc::new(self.by_name.load().without(name.as_str())));
        self.collect_paths();
    }

    /// Keeps only what `keep` says: for whoever has read everything anew.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        let gone: Vec<_> = self.by_name.load().keys().filter(|name| !keep(name)).cloned().collect();
        let _writing = self.writing.lock();
        let mut map = Map::clone(&self.by_name.load());
        gone.iter().for_each(|name| drop(map.remove(name)));
        self.by_name.store(Arc::new(map));
        self.collect_paths();
    }

    fn collect_paths(&self) {
        let paths = self.all().into_iter().filter_map(|service| {
            let path = service.exposure()?.path.clone()?;
            Some((path, service))
        });
        self.by_path.store(Arc::new(paths.collect()));
    }
}

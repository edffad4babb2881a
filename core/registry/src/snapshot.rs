use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use imbl::{OrdMap, OrdSet};
use switchboard_model::{
    Check, CheckKey, Entry, EntryKey, InstanceKey, Kept, LeaseId, Name, NodeKey, Noun, Owner, Record,
    RecordKey, Rejection, Revision, ServiceKey, Stored,
};
use switchboard_store::Checkpoint;

use crate::brake::Losses;
use crate::fold;
use crate::touched::Touched;
use crate::views::{InstanceView, LeaseView, NodeView, ServiceView};

/// Everything the registry knows, as of one revision. Immutable once published, and cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(crate) revision: Revision,
    pub(crate) services: OrdMap<ServiceKey, Arc<ServiceView>>,
    pub(crate) ids: OrdSet<ById>,
    pub(crate) nodes: OrdMap<NodeKey, Arc<NodeView>>,
    pub(crate) leases: OrdMap<LeaseId, Arc<LeaseView>>,
    pub(crate) entries: OrdMap<EntryKey, Arc<Stored<Entry>>>,
    pub(crate) namespaces: OrdMap<Name, NamespaceTally>,
    pub(crate) tally: Tally,
    pub(crate) losses: Losses,
    pub(crate) touched: Touched,
}

/// What lives by a lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    Instance(Arc<InstanceKey>),
    Entry(Arc<EntryKey>),
}

/// Counts that are kept while folding, so that nobody has to walk a snapshot to know them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub instances: usize,
    pub served: usize,
    /// Kept by heartbeats or probes.
    pub kept: usize,
    /// Served although their silence or their probes say otherwise.
    pub suspect: usize,
    pub lapsed: usize,
    pub checks: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamespaceTally {
    pub services: usize,
    pub instances: usize,
}

impl Snapshot {
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Snapshot {
        let touched = Touched::until(checkpoint.revision);
        let mut snapshot = Snapshot { revision: checkpoint.revision, touched, ..Snapshot::default() };
        fold::restore(&mut snapshot, checkpoint.records);
        snapshot
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// When each kind of record was last written or removed.
    pub fn touched(&self) -> &Touched {
        &self.touched
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    pub fn service(&self, namespace: &str, service: &str) -> Option<&Arc<ServiceView>> {
        self.services.get(&ServiceRef { namespace, service })
    }

    pub fn service_of(&self, key: &InstanceKey) -> Option<&Arc<ServiceView>> {
        self.service(key.namespace.as_str(), key.service.as_str())
    }

    /// Services in order, from the first name that is at least `from`, or after it.
    pub fn services<'a>(
        &'a self,
        from: Bound<ServiceRef<'a>>,
    ) -> impl Iterator<Item = &'a Arc<ServiceView>> + use<'a> {
        self.services.range((from, Bound::Unbounded)).map(|(_, view)| view)
    }

    pub fn instance(&self, key: &InstanceKey) -> Option<&Arc<InstanceView>> {
        self.service_of(key)?.get(key.node.as_ref(), key.id.as_str())
    }

    /// All instances with this id, in whatever service and on whatever node.
    pub fn instances_by_id<'a, 'q>(
        &'a self,
        namespace: &'q str,
        id: &'q str,
    ) -> impl Iterator<Item = &'a Arc<InstanceKey>> + use<'a, 'q> {
        let from = IdRef { namespace, id };
        self.ids.range((Bound::Included(from), Bound::Unbounded)).map(|by| &by.0).take_while(move |key| {
            key.id.as_str() == id && key.namespace.as_str().eq_ignore_ascii_case(namespace)
        })
    }

    /// The one instance with this id that also fits the given service and node.
    pub fn find_instance(
        &self,
        namespace: &str,
        id: &str,
        service: Option<&str>,
        node: Option<&str>,
    ) -> Result<&Arc<InstanceView>, Rejection> {
        let fits = |want: Option<&str>, have: Option<&Name>| {
            want.is_none_or(|want| have.is_some_and(|have| have.as_str().eq_ignore_ascii_case(want)))
        };
        let mut found = self
            .instances_by_id(namespace, id)
            .filter(|key| fits(service, Some(&key.service)) && fits(node, key.node.as_ref()));
        let first = found.next().ok_or_else(|| Rejection::not_found(Noun::Instance, id))?;
        if let Some(second) = found.next() {
            let rest = found.take(6).map(ToString::to_string);
            let candidates = [first.to_string(), second.to_string()].into_iter().chain(rest).collect();
            return Err(Rejection::Ambiguous { noun: Noun::Instance, name: id.to_owned(), candidates });
        }
        self.instance(first).ok_or_else(|| Rejection::not_found(Noun::Instance, id))
    }

    pub fn node(&self, key: &NodeKey) -> Option<&Arc<NodeView>> {
        self.nodes.get(key)
    }

    pub fn nodes(&self, from: Bound<NodeKey>) -> impl Iterator<Item = &Arc<NodeView>> {
        self.nodes.range((from, Bound::Unbounded)).map(|(_, view)| view)
    }

    pub fn checks_of(&self, owner: &Owner) -> &[Arc<Stored<Check>>] {
        match owner {
            Owner::Instance(key) => self.instance(key).map(|view| &*view.checks).unwrap_or_default(),
            Owner::Node(key) => self.node(key).map(|view| &*view.facts.checks).unwrap_or_default(),
        }
    }

    pub fn check(&self, key: &CheckKey) -> Option<&Arc<Stored<Check>>> {
        self.checks_of(&key.owner).iter().find(|check| check.key.id == key.id)
    }

    pub fn lease(&self, id: LeaseId) -> Option<&Arc<LeaseView>> {
        self.leases.get(&id)
    }

    pub fn leases(&self, from: Bound<LeaseId>) -> impl Iterator<Item = &Arc<LeaseView>> {
        self.leases.range((from, Bound::Unbounded)).map(|(_, view)| view)
    }

    pub fn lease_count(&self) -> usize {
        self.leases.len()
    }

    pub fn entry(&self, key: &EntryKey) -> Option<&Arc<Stored<Entry>>> {
        self.entries.get(key)
    }

    pub fn entries(&self, from: Bound<EntryKey>) -> impl Iterator<Item = &Arc<Stored<Entry>>> {
        self.entries.range((from, Bound::Unbounded)).map(|(_, entry)| entry)
    }

    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    pub fn namespaces(&self) -> impl Iterator<Item = (&Name, &NamespaceTally)> {
        self.namespaces.iter()
    }

    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The record under `key`, as it is kept.
    pub fn record(&self, key: &RecordKey) -> Option<Kept> {
        match key {
            RecordKey::Instance(key) => self.instance(key).map(|view| Kept::Instance(view.instance.clone())),
            RecordKey::Node(key) => self.node(key)?.facts.node.clone().map(Kept::Node),
            RecordKey::Check(key) => self.check(key).cloned().map(Kept::Check),
            RecordKey::Lease(id) => self.lease(*id).map(|view| Kept::Lease(view.lease.clone())),
            RecordKey::Entry(key) => self.entry(key).cloned().map(Kept::Entry),
        }
    }

    /// Whether `record` is already there, word for word.
    pub fn says(&self, record: &Record) -> bool {
        self.record(&record.key()).is_some_and(|kept| kept.says(record))
    }
}

/// A service by borrowed names.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRef<'a> {
    pub namespace: &'a str,
    pub service: &'a str,
}

impl Equivalent<ServiceKey> for ServiceRef<'_> {
    fn equivalent(&self, key: &ServiceKey) -> bool {
        key.service.as_str().eq_ignore_ascii_case(self.service)
            && key.namespace.as_str().eq_ignore_ascii_case(self.namespace)
    }
}

impl Comparable<ServiceKey> for ServiceRef<'_> {
    fn compare(&self, key: &ServiceKey) -> Ordering {
        folded(self.namespace, key.namespace.as_str())
            .then_with(|| folded(self.service, key.service.as_str()))
    }
}

/// An instance key ordered by id first, for whoever knows only the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ById(pub(crate) Arc<InstanceKey>);

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &ById) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ById {
    fn cmp(&self, other: &ById) -> Ordering {
        let (a, b) = (&*self.0, &*other.0);
        a.namespace
            .cmp(&b.namespace)
            .then_with(|| a.id.cmp(&b.id))
            .then_with(|| a.service.cmp(&b.service))
            .then_with(|| a.node.cmp(&b.node))
    }
}

/// The place before all instances with this id.
struct IdRef<'a> {
    namespace: &'a str,
    id: &'a str,
}

impl Equivalent<ById> for IdRef<'_> {
    fn equivalent(&self, _: &ById) -> bool {
        false
    }
}

impl Comparable<ById> for IdRef<'_> {
    fn compare(&self, by: &ById) -> Ordering {
        folded(self.namespace, by.0.namespace.as_str())
            .then_with(|| self.id.cmp(by.0.id.as_str()))
            .then(Ordering::Less)
    }
}

fn folded(a: &str, b: &str) -> Ordering {
    // Nearly always they are spelled alike.
    if a == b {
        return Ordering::Equal;
    }
    let fold = u8::to_ascii_lowercase;
    a.as_bytes().iter().map(fold).cmp(b.as_bytes().iter().map(fold))
}

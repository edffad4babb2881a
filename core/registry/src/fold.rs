//! `fold`: a snapshot and the edits of one commit give the next snapshot and the changes that watchers see.
//!
//! Pure. The same function folds what was just accepted, what history holds when a watch resumes, and, with the
//! sides of each edit exchanged, what must be undone to stand at an earlier revision.

mod draft;
mod restore;

use std::sync::Arc;

use switchboard_model::{
    Check, CheckKey, Entry, EntryKey, Health, InstanceKey, Kept, Lease, LeaseId, Node, NodeKey, Owner,
    RecordKey, Revision, Stored,
};
use switchboard_store::Write;

use crate::changes::{Change, Changes, What};
use crate::clock::Now;
use crate::snapshot::{ById, Held, NamespaceTally, Snapshot, Tally};
use crate::views::{ByPlace, Holds, InstanceView, LeaseView, NodeFacts, NodeView, Place, ServiceView};
use draft::Drafts;
pub(crate) use restore::restore;

/// One record's key and what it becomes; None: it goes.
pub(crate) type Step = (RecordKey, Option<Kept>);

pub(crate) fn fold(snapshot: &mut Snapshot, revision: Revision, now: Now, steps: Vec<Step>) -> Changes {
    snapshot.revision = revision;
    snapshot.touched.follow(revision, &steps);
    let mut folding =
        Folding { snapshot, drafts: Drafts::default(), items: Vec::with_capacity(steps.len() + 1) };
    for (key, after) in steps {
        folding.apply(key, after);
    }
    folding.settle(revision, now);
    Changes { revision, at_ms: now.wall_ms, items: folding.items.into() }
}

/// What a write makes of a record.
pub(crate) fn succeed(at: &Snapshot, write: &Write, revision: Revision) -> Step {
    match write {
        Write::Put(record) => {
            let key = record.key();
            let before = at.record(&key);
            let kept = Kept::succeed(before.as_ref(), record.clone(), revision);
            (key, Some(kept))
        }
        Write::Delete(key) => (key.clone(), None),
    }
}

struct Folding<'a> {
    snapshot: &'a mut Snapshot,
    /// The instances whose views have to be made anew, in the order in which they were first touched.
    drafts: Drafts,
    items: Vec<Change>,
}

impl Folding<'_> {
    fn apply(&mut self, key: RecordKey, after: Option<Kept>) {
        match (key, after) {
            (RecordKey::Instance(key), after) => {
                let instance = match after {
                    Some(Kept::Instance(stored)) => Some(stored),
                    _ => None,
                };
                self.drafts.open(self.snapshot, &key).instance = instance;
            }
            (RecordKey::Check(key), Some(Kept::Check(stored))) => self.check(key, Some(stored)),
            (RecordKey::Check(key), _) => self.check(key, None),
            (RecordKey::Node(key), Some(Kept::Node(stored))) => self.node(key, Some(stored)),
            (RecordKey::Node(key), _) => self.node(key, None),
            (RecordKey::Lease(id), Some(Kept::Lease(stored))) => self.lease(id, Some(stored)),
            (RecordKey::Lease(id), _) => self.lease(id, None),
            (RecordKey::Entry(key), Some(Kept::Entry(stored))) => self.entry(key, Some(stored)),
            (RecordKey::Entry(key), _) => self.entry(key, None),
        }
    }

    fn check(&mut self, key: CheckKey, after: Option<Arc<Stored<Check>>>) {
        let before = match &key.owner {
            Owner::Instance(owner) => {
                let draft = self.drafts.open(self.snapshot, owner);
                exchange(&mut draft.checks, &key, after.clone())
            }
            Owner::Node(owner) => {
                let facts = self.facts(owner);
                let mut checks = facts.checks.to_vec();
                let before = exchange(&mut checks, &key, after.clone());
                self.put_facts(NodeFacts { checks: checks.into(), ..facts });
                before
            }
        };
        match (before.is_some(), after.is_some()) {
            (true, false) => self.snapshot.tally.checks = self.snapshot.tally.checks.saturating_sub(1),
            (false, true) => self.snapshot.tally.checks += 1,
            _ => {}
        }
        if before.is_some() || after.is_some() {
            self.items.push(What::Check { before, after }.into());
        }
    }

    fn node(&mut self, key: NodeKey, node: Option<Arc<Stored<Node>>>) {
        let facts = self.facts(&key);
        self.put_facts(NodeFacts { node, ..facts });
    }

    /// A copy of what is known of the node, to be changed.
    fn facts(&self, key: &NodeKey) -> NodeFacts {
        match self.snapshot.nodes.get(key) {
            Some(view) => {
                let facts = &view.facts;
                NodeFacts { key: facts.key.clone(), node: facts.node.clone(), checks: facts.checks.clone() }
            }
            None => NodeFacts { key: key.clone(), node: None, checks: Box::default() },
        }
    }

    fn put_facts(&mut self, facts: NodeFacts) {
        let facts = Arc::new(facts);
        let before = self.snapshot.nodes.get(&facts.key).cloned();
        let members = before.as_ref().map(|view| view.members.clone()).unwrap_or_default();
        for member in &members {
            self.drafts.open(self.snapshot, member);
        }
        put_node(self.snapshot, NodeView { facts: facts.clone(), members });
        let present = |facts: &Arc<NodeFacts>| facts.node.is_some() || !facts.checks.is_empty();
        let before = before.map(|view| view.facts.clone()).filter(present);
        let after = Some(facts).filter(present);
        if before.is_some() || after.is_some() {
            self.items.push(What::Node { before, after }.into());
        }
    }

    fn lease(&mut self, id: LeaseId, after: Option<Arc<Stored<Lease>>>) {
        let (before, holds) = match self.snapshot.leases.get(&id) {
            Some(view) => (Some(view.lease.clone()), view.holds.clone()),
            None => (None, Holds::Nothing),
        };
        for held in holds.iter() {
            if let Held::Instance(key) = held {
                self.drafts.open(self.snapshot, key);
            }
        }
        match &after {
            Some(lease) => {
                self.snapshot.leases.insert(id, Arc::new(LeaseView { lease: lease.clone(), holds }));
            }
            None => {
                self.snapshot.leases.remove(&id);
            }
        }
        if before.is_some() || after.is_some() {
            self.items.push(What::Lease { before, after }.into());
        }
    }

    fn entry(&mut self, key: EntryKey, after: Option<Arc<Stored<Entry>>>) {
        let before = match &after {
            Some(entry) => self.snapshot.entries.insert(key.clone(), entry.clone()),
            None => self.snapshot.entries.remove(&key),
        };
        let (from, to) = (before.as_ref().and_then(|e| e.lease), after.as_ref().and_then(|e| e.lease));
        if from != to {
            let held = Held::Entry(Arc::new(key));
            move_hold(self.snapshot, from, to, &held);
        }
        if before.is_some() || after.is_some() {
            self.items.push(What::Entry { before, after }.into());
        }
    }

    /// Makes the touched views anew, now that all records of the commit are in place.
    fn settle(&mut self, revision: Revision, now: Now) {
        for (key, draft) in self.drafts.take() {
            let after = draft.instance.map(|instance| {
                let lease =
                    instance.lease.and_then(|id| self.snapshot.leases.get(&id)).map(|v| v.lease.clone());
                let node = key.node_key().map(|node| facts_for(self.snapshot, node));
                Arc::new(InstanceView::new(instance, draft.checks.into(), lease, node, revision))
            });
            let before = draft.before;
            if before.is_none() && after.is_none() {
                continue;
            }
            place(self.snapshot, &key, before.as_ref(), after.as_ref(), revision);
            let lost = match (&before, &after) {
                (Some(before), Some(after)) => before.is_served() && is_lost(after),
                _ => false,
            };
            if lost {
                self.snapshot.losses.add(now.service, 1);
            }
            self.items.push(What::Instance { before, after }.into());
        }
    }
}

/// Silence and failing probes take an instance out in these two ways. A provider that reports `critical` itself
/// looks the same and is counted too: the brake may then hold a little earlier, and never holds the report.
fn is_lost(view: &InstanceView) -> bool {
    matches!(view.health, Health::Lapsed | Health::Critical) && view.is_kept()
}

/// Puts the new view where the old one was, and keeps every index and count true.
fn place(
    snapshot: &mut Snapshot,
    key: &Arc<InstanceKey>,
    before: Option<&Arc<InstanceView>>,
    after: Option<&Arc<InstanceView>>,
    revision: Revision,
) {
    let lease = |view: Option<&Arc<InstanceView>>| view.and_then(|view| view.instance.lease);
    if lease(before) != lease(after) {
        move_hold(snapshot, lease(before), lease(after), &Held::Instance(key.clone()));
    }
    if before.is_some() != after.is_some() {
        match after {
            Some(_) => snapshot.ids.insert(ById(key.clone())),
            None => snapshot.ids.remove(&ById(key.clone())),
        };
        if let Some(node) = key.node_key() {
            let mut view = snapshot.nodes.get(&node).map(|view| (**view).clone()).unwrap_or_else(|| {
                NodeView { facts: facts_for(snapshot, node), members: Default::default() }
            });
            match after {
                Some(_) => view.members.insert(key.clone()),
                None => view.members.remove(key),
            };
            put_node(snapshot, view);
        }
    }
    place_in_service(snapshot, key, before, after, revision);
    count(&mut snapshot.tally, before, after);
}

fn place_in_service(
    snapshot: &mut Snapshot,
    key: &Arc<InstanceKey>,
    before: Option<&Arc<InstanceView>>,
    after: Option<&Arc<InstanceView>>,
    revision: Revision,
) {
    let service_key = key.service_key();
    let (mut services, mut instances) = (0_isize, 0_isize);
    let service = snapshot.services.entry(service_key.clone()).or_insert_with(|| {
        services += 1;
        Arc::new(ServiceView::new(service_key.clone()))
    });
    // The published snapshot holds the old view; this one is a copy that shares its instances.
    let service = Arc::make_mut(service);
    service.revision = revision;
    service.served += after.is_some_and(|view| view.is_served()) as usize;
    service.served -= before.is_some_and(|view| view.is_served()) as usize;
    match after {
        Some(view) => {
            service.instances.remove(&Place { node: key.node.as_ref(), id: key.id.as_str() });
            service.instances.insert(ByPlace(view.clone()));
        }
        None => {
            service.instances.remove(&Place { node: key.node.as_ref(), id: key.id.as_str() });
        }
    }
    if service.is_empty() {
        services -= 1;
        snapshot.services.remove(&service_key);
        snapshot.touched.extinction = revision;
    }
    instances += after.is_some() as isize - before.is_some() as isize;
    if (services, instances) != (0, 0) {
        count_namespace(snapshot, &service_key, services, instances);
    }
}

fn count_namespace(
    snapshot: &mut Snapshot,
    key: &switchboard_model::ServiceKey,
    services: isize,
    instances: isize,
) {
    let tally = snapshot.namespaces.entry(key.namespace.clone()).or_default();
    tally.services = tally.services.saturating_add_signed(services);
    tally.instances = tally.instances.saturating_add_signed(instances);
    if *tally == NamespaceTally::default() {
        snapshot.namespaces.remove(&key.namespace);
    }
}

fn count(tally: &mut Tally, before: Option<&Arc<InstanceView>>, after: Option<&Arc<InstanceView>>) {
    let ones = |view: Option<&Arc<InstanceView>>| {
        let is = |test: fn(&InstanceView) -> bool| view.is_some_and(|view| test(view)) as usize;
        [
            is(|_| true),
            is(InstanceView::is_served),
            is(InstanceView::is_kept),
            is(|view| view.health == Health::Suspect),
            is(|view| view.health == Health::Lapsed),
        ]
    };
    let counters =
        [&mut tally.instances, &mut tally.served, &mut tally.kept, &mut tally.suspect, &mut tally.lapsed];
    for ((counter, plus), minus) in counters.into_iter().zip(ones(after)).zip(ones(before)) {
        *counter = (*counter + plus).saturating_sub(minus);
    }
}

/// The facts of a node that an instance names, whether or not anyone registered the node.
fn facts_for(snapshot: &Snapshot, key: NodeKey) -> Arc<NodeFacts> {
    match snapshot.nodes.get(&key) {
        Some(view) => view.facts.clone(),
        None => Arc::new(NodeFacts { key, node: None, checks: Box::default() }),
    }
}

fn put_node(snapshot: &mut Snapshot, view: NodeView) {
    if view.is_void() {
        snapshot.nodes.remove(&view.facts.key);
    } else {
        snapshot.nodes.insert(view.facts.key.clone(), Arc::new(view));
    }
}

fn move_hold(snapshot: &mut Snapshot, from: Option<LeaseId>, to: Option<LeaseId>, held: &Held) {
    if let Some(view) = from.and_then(|id| snapshot.leases.get_mut(&id)) {
        Arc::make_mut(view).holds.remove(held);
    }
    if let Some(view) = to.and_then(|id| snapshot.leases.get_mut(&id)) {
        Arc::make_mut(view).holds.add(held.clone());
    }
}

/// Replaces, adds or removes the check with this key, keeping the list sorted by id.
fn exchange(
    checks: &mut Vec<Arc<Stored<Check>>>,
    key: &CheckKey,
    after: Option<Arc<Stored<Check>>>,
) -> Option<Arc<Stored<Check>>> {
    match (checks.binary_search_by(|check| check.key.id.cmp(&key.id)), after) {
        (Ok(at), Some(after)) => checks.get_mut(at).map(|slot| std::mem::replace(slot, after)),
        (Ok(at), None) => Some(checks.remove(at)),
        (Err(at), Some(after)) => {
            checks.insert(at, after);
            None
        }
        (Err(_), None) => None,
    }
}

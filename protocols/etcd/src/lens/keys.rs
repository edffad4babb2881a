//! A snapshot as a store of keys: raw keys and instances, in one order.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use switchboard_model::{Entry, LeaseId, Standing, Stored};
use switchboard_registry::{Held, InstanceView, LeaseView, Snapshot};

use super::projection::{Projection, Projections, modified};
use super::range::{End, KeyRange};
use super::{entry_key, keyspace, lease_to_wire, revision_to_wire};
use crate::wire::mvccpb::KeyValue;

/// A snapshot, read as keys.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) at: &'a Snapshot,
    pub(crate) projections: &'a Projections,
}

/// A key that was found, not copied yet.
pub(crate) enum Item<'a> {
    Entry(&'a Arc<Stored<Entry>>),
    Instance {
        key: Bytes,
        by: &'a Projection,
        view: &'a Arc<InstanceView>,
    },
    /// Written by the transaction that reads it.
    Written(KeyValue),
}

impl<'a> Keys<'a> {
    pub(crate) fn get(&self, key: &Bytes) -> Option<Item<'a>> {
        if let Some(entry) = self.at.entry(&entry_key(key.clone())) {
            return Some(Item::Entry(entry));
        }
        let by = self.projections.of_key(key)?;
        let view = by.find(self.at, key).filter(|view| view.is_served())?;
        Some(Item::Instance { key: key.clone(), by, view })
    }

    /// In the order of their bytes.
    pub(crate) fn range(&self, range: &KeyRange) -> Box<dyn Iterator<Item = Item<'a>> + 'a> {
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        if range.end == End::Only {
            return Box::new(self.get(&range.start).into_iter());
        }
        let entries = self.entries(range);
        let instances = self.instances(range);
        if instances.is_empty() {
            return Box::new(entries.map(Item::Entry));
        }
        let instances = instances.into_iter().peekable();
        Box::new(Merged { entries: entries.peekable(), instances })
    }

    /// None: nobody granted it, or it has ended. One that has lapsed may come back, and until then it is no lease.
    pub(crate) fn lease(&self, id: LeaseId) -> Option<&'a Arc<LeaseView>> {
        self.at.lease(id).filter(|it| !matches!(it.lease.standing, Standing::Lapsed { .. }))
    }

    /// The keys that live by a lease, in order.
    pub(crate) fn of_lease(&self, id: LeaseId) -> Vec<Bytes> {
        let held = self.at.lease(id).into_iter().flat_map(|lease| lease.holds.iter());
        let mut keys: Vec<Bytes> = held.filter_map(|held| self.name_of(held)).collect();
        keys.sort();
        keys
    }

    /// The key that something under a lease is. None: it is no key here.
    pub(crate) fn name_of(&self, held: &Held) -> Option<Bytes> {
        match held {
            Held::Entry(key) => (*key.keyspace == *keyspace()).then(|| key.key.clone()),
            Held::Instance(key) => self.projections.0.iter().find_map(|by| by.write(key)),
        }
    }

    fn entries(&self, range: &KeyRange) -> impl Iterator<Item = &'a Arc<Stored<Entry>>> + use<'a> {
        let range = range.clone();
        let first = entry_key(range.start.clone());
        let keyspace = first.keyspace.clone();
        let entries = self.at.entries(Bound::Included(first));
        entries.take_while(move |entry| *entry.key.keyspace == *keyspace && range.contains(&entry.key.key))
    }

    /// The instances in the range, by key.
    fn instances(&self, range: &KeyRange) -> BTreeMap<Bytes, (&'a Projection, &'a Arc<InstanceView>)> {
        let mut found = BTreeMap::new();
        for by in self.projections.0.iter().filter(|by| range.meets_prefix(by.prefix.as_bytes())) {
            let mut add = |view: &'a Arc<InstanceView>| {
                if view.is_served()
                    && let Some(key) = by.write(view.key()).filter(|key| range.contains(key))
                {
                    // Those without a node come first, and stay.
                    found.entry(key).or_insert((by, view));
                }
            };
            match by.service(range) {
                Some(one) => {
                    let service = self.at.service(one.namespace.as_str(), one.service.as_str());
                    service.into_iter().flat_map(|service| service.instances()).for_each(&mut add);
                }
                None => self
                    .at
                    .services(Bound::Unbounded)
                    .filter(|service| service.key.namespace == by.namespace)
                    .flat_map(|service| service.instances())
                    .for_each(&mut add),
            }
        }
        found
    }
}

type ByKey<'a> = std::collections::btree_map::IntoIter<Bytes, (&'a Projection, &'a Arc<InstanceView>)>;

struct Merged<'a, E: Iterator<Item = &'a Arc<Stored<Entry>>>> {
    entries: Peekable<E>,
    instances: Peekable<ByKey<'a>>,
}

impl<'a, E: Iterator<Item = &'a Arc<Stored<Entry>>>> Iterator for Merged<'a, E> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let instance = |(key, (by, view))| Item::Instance { key, by, view };
        match (self.entries.peek(), self.instances.peek()) {
            (Some(entry), Some((key, _))) if entry.key.key >= *key => {
                let both = entry.key.key == *key;
                let next = self.instances.next().map(instance);
                // A raw key covers an instance that would have the same key.
                if both { self.entries.next().map(Item::Entry) } else { next }
            }
            (Some(_), _) => self.entries.next().map(Item::Entry),
            (None, _) => self.instances.next().map(instance),
        }
    }
}

impl Item<'_> {
    pub(crate) fn key(&self) -> &Bytes {
        match self {
            Item::Entry(entry) => &entry.key.key,
            Item::Instance { key, .. } => key,
            Item::Written(kv) => &kv.key,
        }
    }

    pub(crate) fn created(&self) -> i64 {
        match self {
            Item::Entry(entry) => revision_to_wire(entry.created),
            Item::Instance { view, .. } => revision_to_wire(view.instance.created),
            Item::Written(kv) => kv.create_revision,
        }
    }

    pub(crate) fn modified(&self) -> i64 {
        match self {
            Item::Entry(entry) => revision_to_wire(entry.modified),
            Item::Instance { view, .. } => revision_to_wire(modified(view)),
            Item::Written(kv) => kv.mod_revision,
        }
    }

    pub(crate) fn version(&self) -> i64 {
        match self {
            Item::Entry(entry) => entry.version.cast_signed(),
            Item::Instance { view, .. } => view.instance.version.cast_signed(),
            Item::Written(kv) => kv.version,
        }
    }

    pub(crate) fn value(&self) -> Bytes {
        match self {
            Item::Entry(entry) => entry.value.value.clone(),
            Item::Instance { by, view, .. } => by.value(view),
            Item::Written(kv) => kv.value.clone(),
        }
    }

    pub(crate) fn lease(&self) -> i64 {
        match self {
            Item::Entry(entry) => lease_to_wire(entry.lease),
            Item::Instance { view, .. } => lease_to_wire(view.instance.lease),
            Item::Written(kv) => kv.lease,
        }
    }

    pub(crate) fn to_wire(&self) -> KeyValue {
        KeyValue { value: self.value(), lease: self.lease(), ..self.key_only() }
    }

    /// Without value and lease, as etcd answers it since 3.7.
    pub(crate) fn key_only(&self) -> KeyValue {
        KeyValue {
            key: self.key().clone(),
            create_revision: self.created(),
            mod_revision: self.modified(),
            version: self.version(),
            value: Bytes::new(),
            lease: 0,
        }
    }
}

pub(crate) fn entry_to_wire(entry: &Stored<Entry>) -> KeyValue {
    KeyValue {
        key: entry.key.key.clone(),
        create_revision: revision_to_wire(entry.created),
        mod_revision: revision_to_wire(entry.modified),
        version: entry.version.cast_signed(),
        value: entry.value.value.clone(),
        lease: lease_to_wire(entry.lease),
    }
}

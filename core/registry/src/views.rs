use std::cmp::Ordering;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use imbl::OrdSet;
use switchboard_model::{
    Check, Health, Instance, InstanceKey, Lease, Lifecycle, Name, Node, NodeKey, OnExpiry, Revision,
    ServiceKey, Standing, Status, Stored, worst,
};

use crate::memo::Memo;
use crate::snapshot::Held;

/// An instance with everything that decides about its health, as of one revision.
#[derive(Debug)]
pub struct InstanceView {
    pub instance: Arc<Stored<Instance>>,
    /// Its own checks, by id.
    pub checks: Box<[Arc<Stored<Check>>]>,
    pub lease: Option<Arc<Stored<Lease>>>,
    pub node: Option<Arc<NodeFacts>>,
    pub health: Health,
    /// The newest commit that shows in this view: of the instance, a check, its lease or its node.
    pub revision: Revision,
}

impl InstanceView {
    pub(crate) fn new(
        instance: Arc<Stored<Instance>>,
        checks: Box<[Arc<Stored<Check>>]>,
        lease: Option<Arc<Stored<Lease>>>,
        node: Option<Arc<NodeFacts>>,
        revision: Revision,
    ) -> InstanceView {
        let health = health(&instance, &checks, lease.as_deref(), node.as_deref());
        InstanceView { instance, checks, lease, node, health, revision }
    }

    pub fn key(&self) -> &Arc<InstanceKey> {
        &self.instance.key
    }

    pub fn is_served(&self) -> bool {
        self.health.is_served()
    }

    /// Whether heartbeats or probes keep it: the instances whose silence can be evidence about us.
    pub fn is_kept(&self) -> bool {
        let lapses = self.lease.as_ref().is_some_and(|l| matches!(l.on_expiry, OnExpiry::Lapse { .. }));
        lapses || self.checks.iter().any(|check| check.probe.is_active() || check.probe.kind() == "ttl")
    }

    /// Why the health is what it is, in sentences for people. Empty when there is nothing to explain.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.instance.lifecycle != Lifecycle::Up {
            reasons.push(format!("the provider set it to {}", self.instance.lifecycle.as_str()));
        }
        match self.lease.as_deref().map(|lease| (lease.standing, lease.ttl)) {
            Some((Standing::Lapsed { .. }, ttl)) => {
                reasons.push(format!("no heartbeat for its TTL of {}", seconds(ttl)));
            }
            Some((Standing::Suspect { .. }, ttl)) => reasons.push(format!(
                "no heartbeat for its TTL of {}, but too many instances fell silent at once: kept in service",
                seconds(ttl)
            )),
            Some((Standing::Live, _)) | None => {}
        }
        let node_checks =
            self.node.iter().flat_map(|node| node.checks.iter()).map(|check| ("node check", check));
        for (what, check) in self.checks.iter().map(|check| ("check", check)).chain(node_checks) {
            if check.status == Status::Passing {
                continue;
            }
            let held = if check.suspect { ", but too many failed at once: kept in service" } else { "" };
            let output = if check.output.is_empty() { String::new() } else { format!(": {}", check.output) };
            reasons.push(format!(
                "{what} {:?} is {}{held}{output}",
                check.key.id.as_str(),
                check.status.as_str()
            ));
        }
        reasons
    }
}

fn seconds(duration: std::time::Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{} s", duration.as_secs()),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

fn health(
    instance: &Instance,
    checks: &[Arc<Stored<Check>>],
    lease: Option<&Stored<Lease>>,
    node: Option<&NodeFacts>,
) -> Health {
    let standing = lease.map_or(Standing::Live, |lease| lease.standing);
    if matches!(standing, Standing::Lapsed { .. }) {
        return Health::Lapsed;
    }
    match instance.lifecycle {
        Lifecycle::OutOfService => return Health::OutOfService,
        Lifecycle::Draining => return Health::Draining,
        Lifecycle::Starting | Lifecycle::Up => {}
    }
    let node_checks = node.map(|node| &*node.checks).unwrap_or_default();
    let status = worst(checks.iter().chain(node_checks).map(|check| check.counted()));
    let suspect = matches!(standing, Standing::Suspect { .. })
        || checks.iter().chain(node_checks).any(|check| check.suspect);
    match (status, instance.lifecycle) {
        (Status::Critical, _) => Health::Critical,
        (_, Lifecycle::Starting) => Health::Starting,
        _ if suspect => Health::Suspect,
        (Status::Warning, _) => Health::Warning,
        (Status::Passing, _) => Health::Passing,
    }
}

/// What is known of a node, shared by the views of all instances on it.
#[derive(Debug)]
pub struct NodeFacts {
    pub key: NodeKey,
    /// None: instances name the node, but nobody registered it.
    pub node: Option<Arc<Stored<Node>>>,
    pub checks: Box<[Arc<Stored<Check>>]>,
}

/// A node and the instances on it.
#[derive(Clone, Debug)]
pub struct NodeView {
    pub facts: Arc<NodeFacts>,
    pub members: OrdSet<Arc<InstanceKey>>,
}

impl NodeView {
    pub(crate) fn is_void(&self) -> bool {
        self.facts.node.is_none() && self.facts.checks.is_empty() && self.members.is_empty()
    }
}

/// A lease and what lives by it.
#[derive(Clone, Debug)]
pub struct LeaseView {
    pub lease: Arc<Stored<Lease>>,
    pub holds: Holds,
}

/// What lives by a lease. Nearly every lease holds one thing, so that case costs nothing extra.
#[derive(Clone, Debug, Default)]
pub enum Holds {
    #[default]
    Nothing,
    One(Held),
    Many(OrdSet<Held>),
}

impl Holds {
    pub(crate) fn add(&mut self, held: Held) {
        match self {
            Holds::Nothing => *self = Holds::One(held),
            Holds::One(have) if *have == held => {}
            Holds::One(have) => *self = Holds::Many(OrdSet::from_iter([have.clone(), held])),
            Holds::Many(set) => {
                set.insert(held);
            }
        }
    }

    pub(crate) fn remove(&mut self, held: &Held) {
        match self {
            Holds::One(have) if have == held => *self = Holds::Nothing,
            Holds::Many(set) => {
                set.remove(held);
            }
            Holds::Nothing | Holds::One(_) => {}
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        let (one, many) = match self {
            Holds::Nothing => (None, None),
            Holds::One(held) => (Some(held), None),
            Holds::Many(set) => (None, Some(set.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub fn len(&self) -> usize {
        match self {
            Holds::Nothing => 0,
            Holds::One(_) => 1,
            Holds::Many(set) => set.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All instances of a service, as of its newest change.
#[derive(Debug)]
pub struct ServiceView {
    pub key: ServiceKey,
    pub(crate) instances: OrdSet<ByPlace>,
    /// How many of them consumers are given.
    pub served: usize,
    /// The newest commit that changed any of its instances, or took one away.
    pub revision: Revision,
    pub memo: Memo,
}

impl ServiceView {
    pub(crate) fn new(key: ServiceKey) -> ServiceView {
        ServiceView {
            key,
            instances: OrdSet::new(),
            served: 0,
            revision: Revision::ZERO,
            memo: Memo::default(),
        }
    }

    /// By node, then id.
    pub fn instances(&self) -> impl Iterator<Item = &Arc<InstanceView>> {
        self.instances.iter().map(|by| &by.0)
    }

    pub fn len(&self) -> usize {
        self.instances.len()
    }

    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    pub fn get(&self, node: Option<&Name>, id: &str) -> Option<&Arc<InstanceView>> {
        self.instances.get(&Place { node, id }).map(|by| &by.0)
    }
}

/// The same service with the same instances and an empty memo: whoever clones is about to change it.
impl Clone for ServiceView {
    fn clone(&self) -> ServiceView {
        ServiceView {
            key: self.key.clone(),
            instances: self.instances.clone(),
            memo: Memo::default(),
            ..*self
        }
    }
}

/// An instance ordered by where it is within its service.
#[derive(Clone, Debug)]
pub(crate) struct ByPlace(pub(crate) Arc<InstanceView>);

impl ByPlace {
    fn place(&self) -> Place<'_> {
        Place { node: self.0.key().node.as_ref(), id: self.0.key().id.as_str() }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place<'a> {
    pub(crate) node: Option<&'a Name>,
    pub(crate) id: &'a str,
}

impl PartialEq for ByPlace {
    fn eq(&self, other: &ByPlace) -> bool {
        self.place() == other.place()
    }
}

impl Eq for ByPlace {}

impl PartialOrd for ByPlace {
    fn partial_cmp(&self, other: &ByPlace) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByPlace {
    fn cmp(&self, other: &ByPlace) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Equivalent<ByPlace> for Place<'_> {
    fn equivalent(&self, other: &ByPlace) -> bool {
        *self == other.place()
    }
}

impl Comparable<ByPlace> for Place<'_> {
    fn compare(&self, other: &ByPlace) -> Ordering {
        self.cmp(&other.place())
    }
}

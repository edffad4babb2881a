//! Who has an address. Nothing in the registry is ordered by address, so an index is made when someone asks. After that only what
//! has changed is read again, and only when an instance or a node was written: what checks say moves no address.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::time::Duration;

use switchboard_model::{NodeKey, Rejection, Revision, ServiceKey, Unavailable};
use switchboard_registry::{NodeView, ServiceRef, ServiceView, Snapshot};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::lens::{Host, host};
use crate::names::Zone;
use crate::wire::{Data, DomainName, Owner, SheafBuilder, body};

#[derive(Debug, Default)]
pub(super) struct Reverse {
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    index: Index,
    /// When an instance or a node was written last.
    at: Revision,
    /// Not before then is it brought up to date.
    next: Instant,
}

/// Reading may take one part in so many of the time.
const SHARE: u32 = 20;
const LONGEST_REST: Duration = Duration::from_secs(2);

impl Reverse {
    /// The names of whoever has the address; None: nobody has.
    pub(super) async fn answer(
        &self,
        at: &Snapshot,
        address: IpAddr,
        zone: Option<&Zone>,
    ) -> Result<Option<Answer>, Rejection> {
        // Whoever comes while it is being made waits for it.
        let mut made = self.made.lock().await;
        let written = written(at);
        if made.as_ref().is_none_or(|made| made.at < written) {
            let at = at.clone();
            *made = Some(renewed(made.take(), written, move |index| index.follow(&at)).await?);
        }
        let found = made.as_ref().and_then(|made| made.index.by_address.get(&address));
        let (Some(zone), Some(found)) = (zone, found) else { return Ok(None) };
        let nodes = found.nodes.iter();
        let nodes = nodes.filter_map(|key| zone.node(key.namespace.as_str(), key.node.as_str()));
        let services = found.services.iter();
        let services = services.filter_map(|key| zone.service(key.namespace.as_str(), key.service.as_str()));
        let names: Vec<DomainName> = nodes.chain(services).collect();
        let mut records = SheafBuilder::default();
        // Whoever has it now may have given it away in a moment.
        names.iter().for_each(|name| records.add_alone(Owner::Question, &body(0, &Data::Ptr(name))));
        Ok((records.len() > 0).then(|| Answer::of(records.build())))
    }
}

/// When an address may have changed last.
fn written(at: &Snapshot) -> Revision {
    at.touched().instances.max(at.touched().nodes)
}

/// Brought up to date. If that crashes, nothing is known of anyone, which is not the same as that there is nobody.
async fn renewed(
    made: Option<Made>,
    at: Revision,
    follow: impl FnOnce(Index) -> Index + Send + 'static,
) -> Result<Made, Rejection> {
    let index = match made {
        None => Index::default(),
        Some(made) => {
            tokio::time::sleep_until(made.next).await;
            made.index
        }
    };
    let begun = Instant::now();
    let index = tokio::task::spawn_blocking(move || follow(index)).await.map_err(|error| {
        tracing::error!(%error, "the index of addresses could not be made; whoever asks next begins it anew");
        Rejection::from(Unavailable::Loading)
    })?;
    let next = Instant::now() + (begun.elapsed() * SHARE).min(LONGEST_REST);
    Ok(Made { index, at, next })
}

#[derive(Debug, Default)]
struct Index {
    by_address: HashMap<IpAddr, Found>,
    /// As they were read last: whether they have to be read again, and what to take out then.
    nodes: BTreeMap<NodeKey, (Revision, Option<IpAddr>)>,
    services: BTreeMap<ServiceKey, (Revision, BTreeSet<IpAddr>)>,
    /// How many were read, also again.
    read: usize,
}

/// In the order of their names.
#[derive(Debug, Default, PartialEq)]
struct Found {
    nodes: BTreeSet<NodeKey>,
    services: BTreeSet<ServiceKey>,
}

impl Index {
    fn follow(mut self, at: &Snapshot) -> Index {
        for view in at.nodes(Bound::Unbounded) {
            self.node(view);
        }
        let all: Bound<ServiceRef<'_>> = Bound::Unbounded;
        for view in at.services(all) {
            self.service(view);
        }
        let is_gone = |key: &NodeKey| at.node(key).is_none_or(|view| view.facts.node.is_none());
        let gone: Vec<NodeKey> = self.nodes.keys().filter(|key| is_gone(key)).cloned().collect();
        for key in gone {
            if let Some((_, Some(address))) = self.nodes.remove(&key) {
                self.take(address, |found| found.nodes.remove(&key));
            }
        }
        let is_gone = |key: &ServiceKey| at.service(key.namespace.as_str(), key.service.as_str()).is_none();
        let gone: Vec<ServiceKey> = self.services.keys().filter(|key| is_gone(key)).cloned().collect();
        for key in gone {
            for address in self.services.remove(&key).map(|(_, addresses)| addresses).unwrap_or_default() {
                self.take(address, |found| found.services.remove(&key));
            }
        }
        self
    }

    fn node(&mut self, view: &NodeView) {
        let Some(node) = &view.facts.node else { return };
        let before = self.nodes.get(&node.key);
        if before.is_some_and(|(modified, _)| *modified == node.modified) {
            return;
        }
        self.read += 1;
        let (key, address) = (node.key.clone(), address(&node.address));
        if let Some((_, Some(before))) = self.nodes.insert(key.clone(), (node.modified, address)) {
            self.take(before, |found| found.nodes.remove(&key));
        }
        if let Some(address) = address {
            self.by_address.entry(address).or_default().nodes.insert(key);
        }
    }

    fn service(&mut self, view: &ServiceView) {
        let before = self.services.get(&view.key);
        if before.is_some_and(|(revision, _)| *revision == view.revision) {
            return;
        }
        self.read += 1;
        let now: BTreeSet<IpAddr> =
            view.instances().filter_map(|view| address(&view.instance.address)).collect();
        let key = view.key.clone();
        let before = self.services.insert(key.clone(), (view.revision, now.clone()));
        let before = before.map(|(_, addresses)| addresses).unwrap_or_default();
        for address in before.difference(&now) {
            self.take(*address, |found| found.services.remove(&key));
        }
        for address in now.difference(&before) {
            self.by_address.entry(*address).or_default().services.insert(key.clone());
        }
    }

    fn take(&mut self, address: IpAddr, take: impl FnOnce(&mut Found) -> bool) {
        let Some(found) = self.by_address.get_mut(&address) else { return };
        take(found);
        if *found == Found::default() {
            self.by_address.remove(&address);
        }
    }
}

fn address(text: &str) -> Option<IpAddr> {
    match host(text) {
        Host::Address(address) => Some(address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use switchboard_engine_memory::Memory;
    use switchboard_model::{
        Annex, Check, CheckKey, Entry, EntryKey, Id, Instance, InstanceKey, Lifecycle, Metadata, Name, Node,
        Owner, Probe, Status, Tags, Thresholds,
    };
    use switchboard_registry::plan::{DeleteNode, Deregister, Keep, PutEntry, PutNode, Register};
    use switchboard_registry::{Caller, OpenGate, Options, Registry, View};

    use super::*;

    struct World(Registry);

    async fn world() -> World {
        let registry = Registry::open(Arc::new(Memory::new()), Options::default(), Arc::new(OpenGate));
        registry.loaded().await.unwrap();
        World(registry)
    }

    fn name(text: &str) -> Name {
        Name::parse("name", text).unwrap()
    }

    fn node_key(node: &str) -> NodeKey {
        NodeKey { namespace: Name::default_namespace(), node: name(node) }
    }

    fn key(service: &str) -> Arc<InstanceKey> {
        let namespace = Name::default_namespace();
        Arc::new(InstanceKey {
            namespace,
            service: name(service),
            node: None,
            id: Id::parse("id", "a").unwrap(),
        })
    }

    impl World {
        async fn node(&self, node: &str, address: &str) {
            let node = Node {
                key: node_key(node),
                address: address.into(),
                metadata: Metadata::default(),
                annex: Annex::default(),
            };
            self.0.submit(&Caller::internal("test"), PutNode { node }).await.unwrap();
        }

        async fn instance(&self, service: &str, address: &str) {
            let instance = Instance {
                key: key(service),
                address: address.into(),
                ports: Box::default(),
                tags: Tags::default(),
                metadata: Metadata::default(),
                weight: 1,
                warning_weight: None,
                zone: None,
                lifecycle: Lifecycle::Up,
                lease: None,
                origin: "test".into(),
                annex: Annex::default(),
            };
            let key =
                CheckKey { owner: Owner::Instance(instance.key.clone()), id: Id::parse("id", "c").unwrap() };
            let check = Check {
                key,
                name: "c".into(),
                notes: "".into(),
                probe: Probe::Manual,
                interval: Duration::ZERO,
                timeout: Duration::ZERO,
                thresholds: Thresholds::default(),
                status: Status::Passing,
                output: "".into(),
                since_ms: 0,
                suspect: false,
                deregister_after: None,
                annex: Annex::default(),
            };
            let register = Register { instance, checks: Some(vec![check]), keep: Keep::Forever };
            self.0.submit(&Caller::internal("test"), register).await.unwrap();
        }

        fn view(&self) -> View {
            self.0.view(&Caller::internal("test")).unwrap()
        }
    }

    /// Who is found, in words, and how much was read for it so far.
    fn said(index: &Index) -> (Vec<String>, usize) {
        let of = |found: &Found| {
            let nodes = found.nodes.iter().map(|key| key.node.as_str());
            nodes.chain(found.services.iter().map(|key| key.service.as_str())).collect::<Vec<_>>().join(" ")
        };
        let mut said: Vec<String> =
            index.by_address.iter().map(|(address, found)| format!("{address}: {}", of(found))).collect();
        said.sort();
        (said, index.read)
    }

    /// All of it was read again whenever anything was written, be it a check or a key.
    #[tokio::test]
    async fn only_what_changed_is_read_again_and_what_went_is_forgotten() {
        let (world, caller) = (world().await, Caller::internal("test"));
        world.node("n1", "10.0.0.1").await;
        world.node("n2", "10.0.0.2").await;
        world.instance("web", "10.0.0.1").await;
        world.instance("db", "10.0.0.2").await;
        let index = Index::default().follow(&world.view());
        assert_eq!(said(&index), (vec!["10.0.0.1: n1 web".into(), "10.0.0.2: n2 db".into()], 4));
        let before = written(&world.view());
        let check = CheckKey { owner: Owner::Instance(key("web")), id: Id::parse("id", "c").unwrap() };
        world.0.report(&caller, &check, Status::Critical, "").await.unwrap();
        let entry = EntryKey { keyspace: "test".into(), key: "k".into() };
        let entry = Entry { key: entry, value: "v".into(), lease: None, flags: 0, annex: Annex::default() };
        world.0.submit(&caller, PutEntry { entry, if_revision: None }).await.unwrap();
        assert_eq!(written(&world.view()), before, "no address was written");
        world.instance("db", "10.0.0.1").await;
        world.node("n2", "nowhere.example").await;
        let index = index.follow(&world.view());
        // The service with the check that has changed its mind is among those that may have changed.
        assert_eq!(said(&index), (vec!["10.0.0.1: n1 db web".into()], 7));
        world.0.submit(&caller, Deregister { key: key("db") }).await.unwrap();
        let gone = DeleteNode { key: node_key("n1"), with_instances: true };
        world.0.submit(&caller, gone).await.unwrap();
        let index = index.follow(&world.view());
        assert_eq!(said(&index), (vec!["10.0.0.1: web".into()], 7));
        world.0.submit(&caller, Deregister { key: key("web") }).await.unwrap();
        let index = index.follow(&world.view());
        assert_eq!((said(&index).0.len(), index.nodes.len(), index.services.len()), (0, 1, 0));
    }

    /// The world was empty until something changed in it.
    #[tokio::test]
    async fn what_cannot_be_found_out_is_not_nobody() {
        let crashed = renewed(None, Revision(7), |_| panic!("on purpose")).await;
        assert!(matches!(crashed, Err(Rejection::Unavailable(_))), "{crashed:?}");
    }
}

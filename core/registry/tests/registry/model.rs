//! Random histories against what must hold after any of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use switchboard_model::*;
use switchboard_registry::plan::*;
use switchboard_registry::{Options, Snapshot, What};

use crate::support::*;

#[derive(Clone, Debug)]
enum Step {
    Register { service: u8, id: u8, node: Option<u8>, ttl: bool, checks: bool },
    Deregister { service: u8, id: u8, node: Option<u8> },
    Lifecycle { service: u8, id: u8, node: Option<u8>, up: bool },
    Report { service: u8, id: u8, node: Option<u8>, status: u8 },
    NodeCheck { node: u8, status: u8 },
    PutNode { node: u8 },
    DeleteNode { node: u8 },
    Entry { key: u8, value: u8 },
    DeleteEntry { key: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let place = (0..3u8, 0..3u8, proptest::option::of(0..2u8));
    prop_oneof![
        4 => (place.clone(), any::<bool>(), any::<bool>())
            .prop_map(|((service, id, node), ttl, checks)| Step::Register { service, id, node, ttl, checks }),
        2 => place.clone().prop_map(|(service, id, node)| Step::Deregister { service, id, node }),
        2 => (place.clone(), any::<bool>())
            .prop_map(|((service, id, node), up)| Step::Lifecycle { service, id, node, up }),
        2 => (place, 0..3u8).prop_map(|((service, id, node), status)| Step::Report { service, id, node, status }),
        1 => (0..2u8, 0..3u8).prop_map(|(node, status)| Step::NodeCheck { node, status }),
        1 => (0..2u8).prop_map(|node| Step::PutNode { node }),
        1 => (0..2u8).prop_map(|node| Step::DeleteNode { node }),
        1 => (0..3u8, any::<u8>()).prop_map(|(key, value)| Step::Entry { key, value }),
        1 => (0..3u8).prop_map(|key| Step::DeleteEntry { key }),
    ]
}

fn place(service: u8, id: u8, node: Option<u8>) -> Arc<InstanceKey> {
    let plain = instance(&format!("s{service}"), &format!("i{id}"));
    match node {
        Some(node) => on_node(plain, &format!("n{node}")).key,
        None => plain.key,
    }
}

fn node_key(node: u8) -> NodeKey {
    NodeKey { namespace: Name::default_namespace(), node: Name::parse("node", &format!("n{node}")).unwrap() }
}

fn status(n: u8) -> Status {
    [Status::Passing, Status::Warning, Status::Critical][usize::from(n)]
}

async fn take(world: &World, step: Step) {
    let (registry, me) = (&world.registry, caller());
    match step {
        Step::Register { service, id, node, ttl, checks } => {
            let key = place(service, id, node);
            let instance = Instance { key: key.clone(), ..instance("x", "x") };
            let keep = if ttl { Keep::Ttl { ttl: TTL, linger: LINGER } } else { Keep::Forever };
            let checks = checks.then(|| vec![ttl_check(Owner::Instance(key), "alive")]);
            registry.submit(&me, Register { instance, checks, keep }).await.unwrap();
        }
        Step::Deregister { service, id, node } => {
            let _ = registry.submit(&me, Deregister { key: place(service, id, node) }).await;
        }
        Step::Lifecycle { service, id, node, up } => {
            let lifecycle = if up { Lifecycle::Up } else { Lifecycle::OutOfService };
            let _ = registry.submit(&me, SetLifecycle { key: place(service, id, node), lifecycle }).await;
        }
        Step::Report { service, id, node, status: n } => {
            let key = ttl_check(Owner::Instance(place(service, id, node)), "alive").key;
            let _ = registry.report(&me, &key, status(n), "").await;
        }
        Step::NodeCheck { node, status: n } => {
            let check = Check { probe: Probe::Manual, ..ttl_check(Owner::Node(node_key(node)), "disk") };
            let _ = registry.submit(&me, PutCheck { check: check.clone() }).await;
            let _ = registry.report(&me, &check.key, status(n), "").await;
        }
        Step::PutNode { node } => {
            let node = Node {
                key: node_key(node),
                address: "10.0.0.9".into(),
                metadata: Metadata::default(),
                annex: Annex::default(),
            };
            registry.submit(&me, PutNode { node }).await.unwrap();
        }
        Step::DeleteNode { node } => {
            let _ = registry.submit(&me, DeleteNode { key: node_key(node), with_instances: node == 0 }).await;
        }
        Step::Entry { key, value } => {
            let entry = Entry {
                key: EntryKey { keyspace: "test".into(), key: vec![key].into() },
                value: vec![value].into(),
                lease: None,
                flags: 0,
                annex: Annex::default(),
            };
            registry.submit(&me, PutEntry { entry, if_revision: None }).await.unwrap();
        }
        Step::DeleteEntry { key } => {
            let key = EntryKey { keyspace: "test".into(), key: vec![key].into() };
            let _ = registry.submit(&me, DeleteEntry { key, if_revision: None }).await;
        }
    }
}

/// Everything that can be seen of a snapshot, as text. Views made by loading, by folding and by undoing must agree.
fn seen(at: &Snapshot, with_revisions: bool) -> Vec<String> {
    use std::ops::Bound::Unbounded;
    let mut seen = vec![format!("{:?}", at.tally())];
    for service in at.services(Unbounded) {
        let revision = if with_revisions { service.revision } else { Revision::ZERO };
        seen.push(format!("{:?} served {} {revision}", service.key, service.served));
        for view in service.instances() {
            let checks: Vec<_> =
                view.checks.iter().map(|check| (&check.key.id, check.status, check.version)).collect();
            let node = view.node.as_ref().map(|n| (n.node.is_some(), n.checks.len()));
            let lease = view.lease.as_ref().map(|lease| (lease.id, lease.standing));
            seen.push(format!(
                "{} {:?} {:?} {checks:?} {lease:?} {node:?}",
                view.key(),
                view.health,
                (view.instance.created, view.instance.modified, view.instance.version)
            ));
            let by_id = at.instances_by_id("default", view.key().id.as_str()).any(|key| key == view.key());
            assert!(by_id, "{} is not found by its id", view.key());
        }
    }
    for node in at.nodes(Unbounded) {
        seen.push(format!("{:?} {} {}", node.facts.key, node.members.len(), node.facts.checks.len()));
    }
    for lease in at.leases(Unbounded) {
        seen.push(format!("{} holds {:?}", lease.lease.id, lease.holds.iter().collect::<Vec<_>>()));
    }
    for entry in at.entries(Unbounded) {
        seen.push(format!(
            "{:?}",
            (&entry.key, &entry.value.value, entry.created, entry.modified, entry.version)
        ));
    }
    seen.push(format!("{:?}", at.namespaces().collect::<Vec<_>>()));
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn loading_folding_and_watching_agree(steps in proptest::collection::vec(step(), 1..60), cut in 0..60usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            let cut = cut.min(steps.len());
            let mut at_cut = None;
            for (i, step) in steps.into_iter().enumerate() {
                if i == cut {
                    at_cut = Some(world.view());
                }
                take(&world, step).await;
            }
            let folded = world.view();

            // A restart loads the same world.
            let again = open(world.engine.clone(), Options::default()).await;
            assert_eq!(seen(&again.view(&caller()).unwrap(), false), seen(&folded, false));

            // A watcher that knew the world at the cut knows the world now, from the ring and from history alike.
            let Some(past) = at_cut else { return };
            for registry in [&world.registry, &again] {
                let mut known: BTreeMap<String, Health> = past
                    .services(std::ops::Bound::Unbounded)
                    .flat_map(|service| service.instances())
                    .map(|view| (view.key().to_string(), view.health))
                    .collect();
                let mut watch = registry.watch(&caller(), &Selector::Everything, past.revision()).unwrap();
                let mut last = past.revision();
                while let Some(delivery) = watch.try_next().await.unwrap() {
                    assert_eq!(delivery.revision(), last.next(), "a revision was left out or told twice");
                    last = delivery.revision();
                    for item in delivery.items() {
                        let What::Instance { before, after } = &item.what else { continue };
                        let key = item.what.instance().unwrap().key().to_string();
                        let had = known.get(&key).copied();
                        assert_eq!(before.as_ref().map(|view| view.health), had, "the side before is not what was seen before");
                        match after {
                            Some(view) => known.insert(key, view.health),
                            None => known.remove(&key),
                        };
                    }
                }
                let now: BTreeMap<String, Health> = folded
                    .services(std::ops::Bound::Unbounded)
                    .flat_map(|service| service.instances())
                    .map(|view| (view.key().to_string(), view.health))
                    .collect();
                assert_eq!(known, now);
                assert_eq!(last, folded.revision());
            }
        });
    }
}

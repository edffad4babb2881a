//! Sets that another protocol keeps under names of its own.

use std::sync::Arc;
use std::time::Duration;

use switchboard_facade::{Asker, NamedSet, NamedSetSource};
use switchboard_registry::{InstanceView, Snapshot};

use crate::dns::names::{EMPTY, NONE};
use crate::dns::support::{answers, query, some, world, world_with};

/// Knows `nearest`: all of `web`, the last first, and `nobody`, which is empty.
struct Sets;

impl NamedSetSource for Sets {
    fn find(&self, at: &Snapshot, name: &str, asker: &Asker) -> Option<NamedSet> {
        assert_eq!(asker.peer, Some("127.0.0.1".parse().unwrap()));
        let web = at.service("default", "web").unwrap();
        let mut instances: Vec<_> = web.instances().cloned().collect();
        instances.reverse();
        match name {
            "nearest" | "near.by" => {
                let (service, ttl) = ("web".to_owned(), Some(Duration::from_secs(4)));
                Some(NamedSet { instances, service, ttl, in_order: true })
            }
            "web-as-always" => Some(NamedSet { instances, service: "web".to_owned(), ..NamedSet::default() }),
            "nobody" => Some(NamedSet::default()),
            "there" => {
                let (network, length) = asker.network?;
                assert_eq!((network.to_string().as_str(), length), ("192.0.2.0", 24));
                Some(NamedSet { instances, ..NamedSet::default() })
            }
            _ => None,
        }
    }

    fn itself(&self, at: &Snapshot) -> Option<Arc<InstanceView>> {
        at.service("default", "web")?.instances().next().cloned()
    }
}

/// A set that says nothing of it was told not to be kept at all.
#[tokio::test]
async fn without_a_lifetime_of_its_own_a_set_has_that_of_its_service() {
    let world = world_with("service_ttl = { web = '9s' }").await;
    world.sets.publish(Arc::new(Sets));
    world.register(some("web", "10.0.0.1")).await;
    for (name, ttl) in [("web-as-always", 9), ("nearest", 4)] {
        assert_eq!(world.ask(&format!("{name}.query.consul A")).await.answers[0].ttl, ttl, "{name}");
    }
}

/// Consul's clients look for `consul` to learn where its servers are.
#[tokio::test]
async fn this_registry_is_a_service() {
    let world = world().await;
    world.register(some("web", "10.0.0.1")).await;
    world.check("consul.service.consul A", NONE).await;
    world.sets.publish(Arc::new(Sets));
    for name in ["consul.service.consul A", "CONSUL.service.dc1.consul A"] {
        assert_eq!(answers(&world.ask(name).await), ["10.0.0.1"], "{name}");
    }
    let said = answers(&world.ask("consul.service.consul SRV").await);
    assert_eq!(said, ["1 1 80 0a000001.addr.dc1.consul."]);
    world.check("consul.service.consul AAAA", EMPTY).await;
    world.check("v1.consul.service.consul A", NONE).await;
}

#[tokio::test]
async fn sets_by_name() {
    let world = world_with("only_passing = true").await;
    world.sets.publish(Arc::new(Sets));
    for address in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        world.register(some("web", address)).await;
    }
    for name in ["nearest.query.consul", "near.by.query.dc1.consul", "_nearest._tcp.query.consul"] {
        for _ in 0..5 {
            let answer = world.ask(&format!("{name} A")).await;
            let order: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
            assert_eq!(order, ["10.0.0.3", "10.0.0.2", "10.0.0.1"], "the nearest first");
            assert_eq!(answer.answers[0].ttl, 4);
        }
    }
    assert_eq!(world.ask("nearest.query.consul SRV").await.additionals.len(), 3);
    world.check("nobody.query.consul A", NONE).await;
    world.check("unknown.query.consul A", NONE).await;
    world.check("nearest.query.consul AAAA", EMPTY).await;
    world.check("query.consul A", EMPTY).await;
}

#[tokio::test]
async fn the_network_of_the_asker_is_passed_on_and_given_back() {
    let world = world().await;
    world.sets.publish(Arc::new(Sets));
    world.register(some("web", "10.0.0.1")).await;
    for (name, scope) in [("there.query.consul A", 24), ("web.service.consul A", 0)] {
        let mut message = query(name, Some(1232)).to_vec().unwrap();
        // ECS 192.0.2.0/24, as the only option.
        let option = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];
        let length = message.len();
        message[length - 2..].copy_from_slice(&11u16.to_be_bytes());
        message.extend(option);
        let said = world.udp_raw(&message).await;
        let mut expected = option;
        expected[7] = scope;
        assert_eq!(said[said.len() - option.len()..], expected, "{name}");
        assert_eq!(answers(&hickory_proto::op::Message::from_vec(&said).unwrap()), ["10.0.0.1"]);
    }
}

//! DNS, asked of ours.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use switchboard::{Dns, Freshness, Health, Instance, Query, Source};
use switchboard_discover::suite;
use switchboard_discover::suite::{Abilities, World};
use tokio::net::UdpSocket;
use tokio::sync::watch;

use crate::sources::{consul_body, native_body};
use crate::support::{Api, Server, until};

/// A cable for datagrams that can be cut: then nothing comes back.
struct Cable {
    address: SocketAddr,
    whole: watch::Sender<bool>,
}

impl Cable {
    async fn to(server: SocketAddr) -> Cable {
        let near = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = near.local_addr().unwrap();
        let (whole, is_whole) = watch::channel(true);
        tokio::spawn(async move {
            let mut question = vec![0; 65_536];
            while let Ok((length, client)) = near.recv_from(&mut question).await {
                if !*is_whole.borrow() {
                    continue;
                }
                let (near, question) = (near.clone(), question[..length].to_vec());
                tokio::spawn(async move {
                    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                    far.send_to(&question, server).await.unwrap();
                    let mut answer = vec![0; 65_536];
                    let heard = tokio::time::timeout(Duration::from_secs(10), far.recv(&mut answer)).await;
                    if let Ok(Ok(length)) = heard {
                        // The client may have gone.
                        let _ = near.send_to(&answer[..length], client).await;
                    }
                });
            }
        });
        Cable { address, whole }
    }
}

/// Consul's names, of ours and of the real one. Instances are registered with Consul's API.
pub(crate) struct DnsWorld<Guard> {
    cable: Cable,
    source: Arc<dyn Source>,
    api: Api,
    _guard: Guard,
}

impl<Guard> DnsWorld<Guard> {
    pub(crate) async fn at(dns: SocketAddr, consul: SocketAddr, guard: Guard) -> DnsWorld<Guard> {
        let cable = Cable::to(dns).await;
        let source = Arc::new(Dns::srv_at(cable.address, "{service}.service.consul.").unwrap().source());
        DnsWorld { cable, source, api: Api::at(consul), _guard: guard }
    }
}

#[async_trait]
impl<Guard: Send + Sync> World for DnsWorld<Guard> {
    fn source(&self) -> Arc<dyn Source> {
        self.source.clone()
    }

    fn abilities(&self) -> Abilities {
        Abilities { tags: false, metadata: false, weights: true, zones: false, unhealthy: false, ids: false }
    }

    async fn put(&mut self, instance: &Instance) {
        self.api.put("/v1/agent/service/register", Some(consul_body(instance))).await;
        let word = if instance.health == Health::Critical { "fail" } else { "pass" };
        self.api.put(&format!("/v1/agent/check/{word}/service:{}", instance.key.id), None).await;
    }

    async fn remove(&mut self, instance: &Instance) {
        self.api.put(&format!("/v1/agent/service/deregister/{}", instance.key.id), None).await;
    }

    async fn cut(&mut self) -> bool {
        self.cable.whole.send_replace(false);
        true
    }

    async fn mend(&mut self) {
        self.cable.whole.send_replace(true);
    }
}

async fn world() -> DnsWorld<Server> {
    let server = Server::start().await;
    let api = Api::at(server.consul);
    until("the node is there", || async {
        api.get("/v1/catalog/node/here").await != serde_json::Value::Null
    })
    .await;
    DnsWorld::at(server.dns, server.consul, server).await
}

switchboard_discover::source_suite!(world().await);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srv_records_and_addresses_are_instances_and_changes_are_heard() {
    let server = Server::start().await;
    let api = Api::at(server.native);
    let instance = |id: &str, host: &str| Instance::new("users", id, host, 8080).unwrap();
    for it in [instance("a", "10.0.0.1"), instance("b", "fd00::7")] {
        api.call(Method::POST, "/v1/register", Some(native_body(&it))).await;
    }
    let srv = Dns::srv_at(server.dns, "{service}.service.consul.").unwrap().source();
    let hosts = Dns::hosts_at(server.dns, "{service}.service.consul.", 9090).unwrap().source();
    for (source, port) in [(Arc::new(srv) as Arc<dyn Source>, 8080), (Arc::new(hosts), 9090)] {
        let mut updates = source.watch(&Query::service("users").unwrap());
        let set = suite::until(&mut updates, "both are there", |set| set.instances.len() == 2).await;
        assert_eq!(suite::hosts(&set), ["10.0.0.1", "fd00::7"], "{}", source.name());
        assert!(set.instances.iter().all(|it| it.port() == Some(port)), "{set:?}");
        api.call(Method::POST, "/v1/register", Some(native_body(&instance("c", "10.0.0.3")))).await;
        suite::until(&mut updates, "the third is there", |set| set.instances.len() == 3).await;
        api.call(Method::DELETE, "/v1/instances/c", None).await;
        suite::until(&mut updates, "it is gone", |set| set.instances.len() == 2).await;
    }
    let source = Dns::srv_at(server.dns, "{service}.service.consul.").unwrap().source();
    let mut nobody = source.watch(&Query::service("nobody").unwrap());
    let set = suite::until(&mut nobody, "there is an answer", |set| !set.freshness.is_never()).await;
    assert_eq!((set.instances.len(), set.freshness), (0, Freshness::Fresh));
}

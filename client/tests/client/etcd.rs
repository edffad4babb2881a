//! etcd: what holds for ours and for the real one. Here it is asked of ours, in `peers.rs` of the real one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use switchboard::{
    Etcd, EtcdForm, Instance, Native, Query, Registrar, Registration, Registry, Shared, Source,
};
use switchboard_discover::suite;
use switchboard_discover::suite::{Abilities, World};

use crate::registrars::keeps_an_instance_registered;
use crate::sources::native_body;
use crate::support::{Api, Cable, Server};

/// Instances are registered with the client's own registrar.
pub(crate) struct EtcdWorld<Guard> {
    server: SocketAddr,
    cable: Cable,
    source: Arc<dyn Source>,
    direct: Etcd,
    /// Keeps the server alive.
    _guard: Guard,
}

impl<Guard> EtcdWorld<Guard> {
    pub(crate) async fn at(server: SocketAddr, guard: Guard) -> EtcdWorld<Guard> {
        let cable = Cable::to(server).await;
        let source = Arc::new(Etcd::at(&cable.url()).unwrap().source());
        let direct = Etcd::at(&format!("http://{server}")).unwrap();
        EtcdWorld { server, cable, source, direct, _guard: guard }
    }
}

fn registration(instance: &Instance) -> Registration {
    let tags: Vec<&str> = instance.tags.iter().map(|tag| &**tag).collect();
    let mut registration =
        Registration::new(instance.key.service.as_str(), &instance.host, instance.port().unwrap())
            .unwrap()
            .id(instance.key.id.as_str())
            .unwrap()
            .weight(instance.weight)
            .tags(&tags)
            .unwrap();
    for (key, value) in instance.metadata.iter() {
        registration = registration.metadata(key, value).unwrap();
    }
    match &instance.zone {
        Some(zone) => registration.zone(zone),
        None => registration,
    }
}

#[async_trait]
impl<Guard: Send + Sync> World for EtcdWorld<Guard> {
    fn source(&self) -> Arc<dyn Source> {
        self.source.clone()
    }

    fn abilities(&self) -> Abilities {
        Abilities { unhealthy: false, ..Abilities::ALL }
    }

    async fn put(&mut self, instance: &Instance) {
        self.direct.register(&registration(instance)).await.unwrap();
    }

    async fn remove(&mut self, instance: &Instance) {
        self.direct.deregister(&registration(instance)).await.unwrap();
    }

    async fn cut(&mut self) -> bool {
        self.cable.cut();
        true
    }

    async fn mend(&mut self) {
        self.cable.mend(self.server);
    }
}

fn users() -> Query {
    Query::service("users").unwrap()
}

async fn leases(server: SocketAddr) -> serde_json::Value {
    let body = Some(serde_json::json!({}));
    serde_json::from_str(&Api::at(server).call(Method::POST, "/v3/lease/leases", body).await).unwrap()
}

/// go-kit deletes the key and leaves the lease (K21), and registering ends the watches of the same client (K3).
pub(crate) async fn deregistering_leaves_no_lease_and_watching_goes_on(server: SocketAddr) {
    let registry = Etcd::at(&format!("http://{server}")).unwrap().form(EtcdForm::Address);
    let source = registry.source();
    let mut updates = source.watch(&users());
    for round in 0..3 {
        let registration = Registration::new("users", "10.0.0.1", 80).unwrap();
        let registrar = Registrar::start(registry.clone(), registration);
        suite::until(&mut updates, "it is there", |set| set.instances.len() == 1).await;
        assert!(!leases(server).await["leases"].as_array().unwrap().is_empty(), "there is no lease");
        registrar.leave(Duration::ZERO).await;
        suite::until(&mut updates, "it is gone", |set| set.instances.is_empty()).await;
        let left = leases(server).await;
        assert!(
            left["leases"].as_array().is_none_or(Vec::is_empty),
            "round {round}: a lease is left: {left}"
        );
    }
}

/// A lease that somebody takes away is granted again, and the instance is back (K1).
pub(crate) async fn survives_a_revoked_lease(server: SocketAddr) -> Shared<Etcd> {
    let registry = Etcd::at(&format!("http://{server}")).unwrap().form(EtcdForm::Address);
    let source = registry.source();
    let mut updates = source.watch(&users());
    // A lease that outlives a busy machine's pauses, and heartbeats that soon find out that it is gone.
    let registration = Registration::new("users", "10.0.0.1", 80).unwrap();
    let registration = registration.ttl(Duration::from_secs(20)).heartbeat(Duration::from_millis(500));
    let _registrar = Registrar::start(registry, registration);
    let first = suite::until(&mut updates, "it is there", |set| set.instances.len() == 1).await;
    let id = leases(server).await["leases"][0]["ID"].clone();
    let revoke = Some(serde_json::json!({ "ID": id }));
    Api::at(server).call(Method::POST, "/v3/lease/revoke", revoke).await;
    suite::until(&mut updates, "it is there again", |set| {
        set.instances.len() == 1 && set.revision > first.revision
    })
    .await;
    source
}

pub(crate) async fn another_member_is_asked(server: SocketAddr) {
    let cable = Cable::to(server).await;
    let registry = Etcd::at(&format!("http://127.0.0.1:1, {}, http://{server}", cable.url())).unwrap();
    let source = registry.source();
    let mut updates = source.watch(&users());
    let registration = Registration::new("users", "10.0.0.1", 80).unwrap();
    let registrar = Registrar::start(registry, registration);
    suite::until(&mut updates, "it is registered", |set| set.instances.len() == 1).await;
    cable.cut();
    registrar.leave(Duration::ZERO).await;
    suite::until(&mut updates, "it has left by another member", |set| {
        set.freshness.is_fresh() && set.instances.is_empty()
    })
    .await;
}

async fn world() -> EtcdWorld<Server> {
    let server = Server::start().await;
    EtcdWorld::at(server.etcd, server).await
}

switchboard_discover::source_suite!(world().await);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_left_behind_by_nobody_and_survived_by_everybody() {
    let server = Server::start().await;
    deregistering_leaves_no_lease_and_watching_goes_on(server.etcd).await;
    survives_a_revoked_lease(server.etcd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_leaves_and_its_siblings_stay() {
    let server = Server::start().await;
    let registry = Etcd::at(&format!("http://{}", server.etcd)).unwrap();
    crate::registrars::one_leaves_and_its_siblings_stay(registry.clone(), &registry.source()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_member_is_asked_of_ours() {
    let server = Server::start().await;
    another_member_is_asked(server.etcd).await;
}

/// A restart of the registry with an empty store, at the same address (K1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_with_lost_data_registers_again() {
    let first = Server::start().await;
    let cable = Cable::to(first.etcd).await;
    let registry = Etcd::at(&cable.url()).unwrap();
    let source = registry.source();
    keeps_an_instance_registered(registry, &source, async || {
        drop(first);
        let second = Server::start().await;
        cable.mend(second.etcd);
        // It lives as long as the test.
        std::mem::forget(second);
    })
    .await;
}

/// What is registered by one protocol is found by the other, whatever the form of the values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_cross_between_etcd_and_the_native_api() {
    let server = Server::start().await;
    let etcd = Etcd::at(&format!("http://{}", server.etcd)).unwrap();
    let native = Native::at(&format!("http://{}", server.native)).unwrap();
    let elsewhere = Instance::new("users", "b", "10.0.0.2", 80).unwrap();
    Api::at(server.native).call(Method::POST, "/v1/register", Some(native_body(&elsewhere))).await;
    let here = Registration::new("users", "10.0.0.1", 80).unwrap().id("a").unwrap().weight(7).zone("z");
    etcd.register(&here).await.unwrap();
    for source in [Arc::new(etcd.source()) as Arc<dyn Source>, Arc::new(native.source())] {
        let mut updates = source.watch(&users());
        let set = suite::until(&mut updates, "both are there", |set| set.instances.len() == 2).await;
        assert_eq!(suite::hosts(&set), ["10.0.0.1", "10.0.0.2"], "{}", source.name());
        assert_eq!((set.instances[0].weight, set.instances[0].zone.as_deref()), (7, Some("z")));
    }
}

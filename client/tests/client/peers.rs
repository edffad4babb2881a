//! The same against the real Consul and the real etcd. `SWITCHBOARD_CONSUL_BINARY` and `SWITCHBOARD_ETCD_BINARY` say where
//! they are; without them nothing is run, and that is said.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::{Mutex, MutexGuard};

use crate::support::{Api, free_port, until};

/// One real server at a time: a machine that runs tests has other things to do.
static ONE: Mutex<()> = Mutex::const_new(());

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    child: Child,
    data: tempfile::TempDir,
    restart: Vec<String>,
    _one: MutexGuard<'static, ()>,
}

fn binary(variable: &str) -> Option<String> {
    let path = std::env::var(variable).ok().filter(|path| !path.is_empty());
    if path.is_none() {
        eprintln!("not run: {variable} does not say where the real server is");
    }
    path
}

fn start(command: &[String]) -> Child {
    let (program, args) = command.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap()
}

pub(crate) async fn consul() -> Option<Peer> {
    let binary = binary("SWITCHBOARD_CONSUL_BINARY")?;
    let one = ONE.lock().await;
    let data = tempfile::tempdir().unwrap();
    let mut ports = Vec::new();
    for _ in 0..4 {
        ports.push(free_port().await);
    }
    let config = data.path().join("ports.json");
    let text = format!(
        r#"{{"ports":{{"http":{},"server":{},"serf_lan":{},"serf_wan":{},"dns":-1,"grpc":-1,"grpc_tls":-1}}}}"#,
        ports[0], ports[1], ports[2], ports[3]
    );
    std::fs::write(&config, text).unwrap();
    let command =
        [binary.as_str(), "agent", "-dev", "-bind=127.0.0.1", "-config-file", config.to_str().unwrap()];
    let restart: Vec<String> = command.iter().map(ToString::to_string).collect();
    let address = SocketAddr::from(([127, 0, 0, 1], ports[0]));
    let peer = Peer { address, child: start(&restart), data, restart, _one: one };
    peer.consul_is_up().await;
    Some(peer)
}

#[cfg(feature = "etcd")]
pub(crate) async fn etcd() -> Option<Peer> {
    let binary = binary("SWITCHBOARD_ETCD_BINARY")?;
    let one = ONE.lock().await;
    let data = tempfile::tempdir().unwrap();
    let (port, peer_port) = (free_port().await, free_port().await);
    let (url, peer_url) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    let cluster = format!("default={peer_url}");
    let folder = data.path().join("etcd");
    let command = [
        binary.as_str(),
        "--data-dir",
        folder.to_str().unwrap(),
        "--listen-client-urls",
        &url,
        "--advertise-client-urls",
        &url,
        "--listen-peer-urls",
        &peer_url,
        "--initial-advertise-peer-urls",
        &peer_url,
        "--initial-cluster",
        &cluster,
        "--unsafe-no-fsync",
        "--log-level",
        "error",
    ];
    let restart: Vec<String> = command.iter().map(ToString::to_string).collect();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let peer = Peer { address, child: start(&restart), data, restart, _one: one };
    peer.listens().await;
    Some(peer)
}

impl Peer {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn listens(&self) {
        until("the server listens", || async { tokio::net::TcpStream::connect(self.address).await.is_ok() })
            .await;
    }

    async fn consul_is_up(&self) {
        self.listens().await;
        let api = Api::at(self.address);
        until("there is a leader and a node", || async {
            let (status, text) = api.try_call(http::Method::GET, "/v1/catalog/nodes", None).await;
            status.is_success() && text.contains("Address")
        })
        .await;
    }

    async fn stop(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Kills it, forgets its data, and starts it again at the same place.
    async fn lose_everything(&mut self) {
        self.stop().await;
        // Consul in development mode has none.
        let _ = std::fs::remove_dir_all(self.data.path().join("etcd"));
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.child = start(&self.restart);
        self.listens().await;
    }
}

mod real_consul {
    use super::*;
    use crate::registrars::keeps_an_instance_registered;
    use crate::sources::ConsulWorld;
    use switchboard::Consul;

    macro_rules! suite {
        ($($name:ident),* $(,)?) => {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(peer) = consul().await else { return };
                    let mut world = ConsulWorld::at(peer.address, peer).await;
                    switchboard_discover::suite::$name(&mut world).await;
                }
            )*
        };
    }

    suite!(
        a_service_that_nobody_registered_is_an_empty_set,
        the_whole_set_comes_on_subscribing_and_after_each_change,
        what_is_said_about_an_instance_arrives,
        what_must_not_be_used_is_not_given,
        during_an_outage_the_known_set_is_given_as_stale,
        a_hundred_readers_are_one_watch,
        the_watch_ends_with_its_last_reader,
    );

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn registers_again_after_consul_lost_everything_and_deregisters() {
        let Some(mut peer) = consul().await else { return };
        let registry = Consul::at(&peer.url()).unwrap();
        let source = registry.source();
        keeps_an_instance_registered(registry, &source, async || peer.lose_everything().await).await;
    }
}

#[cfg(feature = "etcd")]
mod real_etcd {
    use std::sync::Arc;

    use async_trait::async_trait;
    use switchboard::{Etcd, EtcdForm, Instance, Registrar, Registration, Registry, Source};
    use switchboard_discover::suite::{Abilities, World};

    use super::*;
    use crate::registrars::keeps_an_instance_registered;
    use crate::support::Cable;

    struct EtcdWorld {
        cable: Cable,
        source: Arc<dyn Source>,
        direct: Etcd,
        peer: Peer,
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
    impl World for EtcdWorld {
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
            self.cable.mend(self.peer.address);
        }
    }

    macro_rules! suite {
        ($($name:ident),* $(,)?) => {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(peer) = etcd().await else { return };
                    let cable = Cable::to(peer.address).await;
                    let source = Arc::new(Etcd::at(&cable.url()).unwrap().source());
                    let direct = Etcd::at(&peer.url()).unwrap();
                    let mut world = EtcdWorld { cable, source, direct, peer };
                    switchboard_discover::suite::$name(&mut world).await;
                }
            )*
        };
    }

    suite!(
        a_service_that_nobody_registered_is_an_empty_set,
        the_whole_set_comes_on_subscribing_and_after_each_change,
        what_is_said_about_an_instance_arrives,
        an_address_of_ipv6_arrives,
        a_tag_narrows_the_set,
        during_an_outage_the_known_set_is_given_as_stale,
        whoever_comes_during_an_outage_is_given_the_known_set,
        before_the_first_answer_nothing_is_known,
        a_slow_reader_delays_nobody,
        a_hundred_readers_are_one_watch,
    );

    /// go-kit never registers again after a lost lease (K1, #1043).
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn k01_registers_again_after_etcd_lost_everything_and_deregisters() {
        let Some(mut peer) = etcd().await else { return };
        let registry = Etcd::at(&peer.url()).unwrap();
        let source = registry.source();
        keeps_an_instance_registered(registry, &source, async || peer.lose_everything().await).await;
    }

    /// K21: go-kit deletes the key and leaves the lease; K3: registering ends the watches of the same client.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn k21_deregistering_revokes_the_lease_and_k03_watching_goes_on() {
        let Some(peer) = etcd().await else { return };
        let registry = Etcd::at(&peer.url()).unwrap().form(EtcdForm::Address);
        let source = registry.source();
        let mut updates = source.watch(&switchboard::Query::service("users").unwrap());
        for round in 0..3 {
            let registrar =
                Registrar::start(registry.clone(), Registration::new("users", "10.0.0.1", 80).unwrap());
            switchboard_discover::suite::until(&mut updates, "it is there", |set| set.instances.len() == 1)
                .await;
            registrar.leave(Duration::ZERO).await;
            switchboard_discover::suite::until(&mut updates, "it is gone", |set| set.instances.is_empty())
                .await;
            let leases = Api::at(peer.address)
                .call(http::Method::POST, "/v3/lease/leases", Some(serde_json::json!({})))
                .await;
            assert!(!leases.contains("ID"), "round {round}: a lease is left: {leases}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn k03_a_watch_goes_on_after_compaction_and_a_revoked_lease_registers_again() {
        let Some(peer) = etcd().await else { return };
        let registry = Etcd::at(&peer.url()).unwrap().form(EtcdForm::Address);
        let api = Api::at(peer.address);
        let source = registry.source();
        let mut updates = source.watch(&switchboard::Query::service("users").unwrap());
        let registration =
            Registration::new("users", "10.0.0.1", 80).unwrap().ttl(Duration::from_millis(1500));
        let _registrar = Registrar::start(registry.clone(), registration);
        let first =
            switchboard_discover::suite::until(&mut updates, "it is there", |set| set.instances.len() == 1)
                .await;
        let leases: serde_json::Value = serde_json::from_str(
            &api.call(http::Method::POST, "/v3/lease/leases", Some(serde_json::json!({}))).await,
        )
        .unwrap();
        let id = leases["leases"][0]["ID"].clone();
        api.call(http::Method::POST, "/v3/lease/revoke", Some(serde_json::json!({ "ID": id }))).await;
        let again = switchboard_discover::suite::until(&mut updates, "it is there again", |set| {
            set.instances.len() == 1 && set.revision > first.revision
        })
        .await;
        let revision = again.revision.0.to_string();
        api.call(http::Method::POST, "/v3/kv/compaction", Some(serde_json::json!({ "revision": revision })))
            .await;
        drop(updates);
        let mut updates = source.watch(&switchboard::Query::service("users").unwrap());
        switchboard_discover::suite::until(&mut updates, "it is still there", |set| set.instances.len() == 1)
            .await;
    }
}

//! The same against the real Consul, of HTTP and of DNS, and the real etcd. `CONSUL_BIN` says where a Consul is, or there is
//! one in `target/peers` as `bench/peers/build` puts it there; `ETCD_BIN` says where an etcd is, or it comes with the
//! dependencies of the tests. What is not there is not run, and that is said.

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
    /// Of Consul.
    pub(crate) dns: Option<SocketAddr>,
    child: Child,
    data: tempfile::TempDir,
    restart: Vec<String>,
    _one: MutexGuard<'static, ()>,
}

fn named_by(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|path| !path.is_empty())
}

fn consul_binary() -> Option<String> {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/peers/consul");
    let there = || std::path::Path::new(built).exists().then(|| built.to_owned());
    let found = named_by("CONSUL_BIN").or_else(there);
    if found.is_none() {
        eprintln!("not run: CONSUL_BIN does not say where a real Consul is, and {built} is not there");
    }
    found
}

fn etcd_binary() -> Option<String> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    let vendored = etcd_bin_vendored::etcd_bin_path().ok().map(|path| path.display().to_string());
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    let vendored = None;
    let found = named_by("ETCD_BIN").or(vendored);
    if found.is_none() {
        eprintln!(
            "not run: ETCD_BIN does not say where a real etcd is, and none is vendored for this platform"
        );
    }
    found
}

fn start(command: &[String]) -> Child {
    let (program, args) = command.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap()
}

pub(crate) async fn consul() -> Option<Peer> {
    let binary = consul_binary()?;
    let one = ONE.lock().await;
    let data = tempfile::tempdir().unwrap();
    let mut ports = Vec::new();
    for _ in 0..5 {
        ports.push(free_port().await);
    }
    let config = data.path().join("ports.json");
    let text = format!(
        r#"{{"ports":{{"http":{},"server":{},"serf_lan":{},"serf_wan":{},"dns":{},"grpc":-1,"grpc_tls":-1}}}}"#,
        ports[0], ports[1], ports[2], ports[3], ports[4]
    );
    std::fs::write(&config, text).unwrap();
    let command =
        [binary.as_str(), "agent", "-dev", "-bind=127.0.0.1", "-config-file", config.to_str().unwrap()];
    let restart: Vec<String> = command.iter().map(ToString::to_string).collect();
    let address = SocketAddr::from(([127, 0, 0, 1], ports[0]));
    let dns = Some(SocketAddr::from(([127, 0, 0, 1], ports[4])));
    let peer = Peer { address, dns, child: start(&restart), data, restart, _one: one };
    peer.consul_is_up().await;
    Some(peer)
}

pub(crate) async fn etcd() -> Option<Peer> {
    let binary = etcd_binary()?;
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
    let peer = Peer { address, dns: None, child: start(&restart), data, restart, _one: one };
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

    async fn world() -> Option<ConsulWorld<Peer>> {
        let peer = consul().await?;
        Some(ConsulWorld::at(peer.address, peer).await)
    }

    switchboard_discover::source_suite!(if_there world().await);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn k06_one_leaves_and_its_siblings_stay() {
        let Some(peer) = consul().await else { return };
        let registry = Consul::at(&peer.url()).unwrap();
        crate::registrars::one_leaves_and_its_siblings_stay(registry.clone(), &registry.source()).await;
    }

    #[cfg(feature = "dns")]
    mod dns {
        use super::*;

        async fn world() -> Option<crate::dns::DnsWorld<Peer>> {
            let peer = consul().await?;
            Some(crate::dns::DnsWorld::at(peer.dns.unwrap(), peer.address, peer).await)
        }

        switchboard_discover::source_suite!(if_there world().await);
    }

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
    use switchboard::{Etcd, Query, Source};
    use switchboard_discover::suite;

    use super::*;
    use crate::etcd::{
        EtcdWorld, deregistering_leaves_no_lease_and_watching_goes_on, survives_a_revoked_lease,
    };
    use crate::registrars::keeps_an_instance_registered;

    async fn world() -> Option<EtcdWorld<Peer>> {
        let peer = etcd().await?;
        Some(EtcdWorld::at(peer.address, peer).await)
    }

    switchboard_discover::source_suite!(if_there world().await);

    /// What is registered must be there before a sibling leaves, and after.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn k06_one_leaves_and_its_siblings_stay() {
        let Some(peer) = etcd().await else { return };
        let registry = Etcd::at(&peer.url()).unwrap();
        crate::registrars::one_leaves_and_its_siblings_stay(registry.clone(), &registry.source()).await;
    }

    /// go-kit never registers again after a lost lease (K1, #1043).
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn k01_registers_again_after_etcd_lost_everything_and_deregisters() {
        let Some(mut peer) = etcd().await else { return };
        let registry = Etcd::at(&peer.url()).unwrap();
        let source = registry.source();
        keeps_an_instance_registered(registry, &source, async || peer.lose_everything().await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn k21_deregistering_revokes_the_lease_and_k03_watching_goes_on() {
        let Some(peer) = etcd().await else { return };
        deregistering_leaves_no_lease_and_watching_goes_on(peer.address).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn k03_a_watch_goes_on_after_compaction_and_a_revoked_lease_registers_again() {
        let Some(peer) = etcd().await else { return };
        let source = survives_a_revoked_lease(peer.address).await;
        let mut updates = source.watch(&Query::service("users").unwrap());
        let set = updates.ready().await;
        let revision = set.revision.0.to_string();
        let body = serde_json::json!({ "revision": revision });
        Api::at(peer.address).call(http::Method::POST, "/v3/kv/compaction", Some(body)).await;
        drop(updates);
        let mut updates = source.watch(&Query::service("users").unwrap());
        suite::until(&mut updates, "it is read again", |set| set.freshness.is_fresh()).await;
    }

    /// Of several members whichever answers; and one that dies is left for the others.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_member_that_is_gone_is_left_for_another() {
        let Some(peer) = etcd().await else { return };
        crate::etcd::another_member_is_asked(peer.address).await;
    }
}

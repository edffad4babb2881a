use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::Value;
use switchboard::{
    ActiveCheck, Consul, Freshness, Health, Native, Query, Registered, Registrar, RegistrarOptions,
    Registration, Registry, RegistryError, Source,
};
use switchboard_discover::suite;

use crate::support::{Api, Cable, Server, until};

fn users() -> Query {
    Query::service("users").unwrap()
}

fn registration() -> Registration {
    Registration::new("users", "10.0.0.1", 8080).unwrap().ttl(Duration::from_secs(1))
}

/// Registers, comes back after the registry has lost all it knew, and leaves.
pub(crate) async fn keeps_an_instance_registered(
    registry: impl Registry,
    source: &dyn Source,
    lose_everything: impl AsyncFnOnce(),
) {
    let mut updates = source.watch(&users());
    let registrar = Registrar::start(registry, registration());
    registrar.registered().await;
    suite::until(&mut updates, "it is registered", |set| set.instances.len() == 1).await;
    lose_everything().await;
    let again = |state: &Registered| matches!(state, Registered::Yes { again } if *again > 0);
    let mut state = registrar.state();
    // Not kept: what is waited for holds a lock.
    let came = tokio::time::timeout(Duration::from_secs(60), state.wait_for(again)).await.is_ok();
    assert!(came, "it did not register again: {:?}", registrar.state().borrow().clone());
    suite::until(&mut updates, "it is there again", |set| {
        set.freshness == Freshness::Fresh && set.instances.len() == 1
    })
    .await;
    registrar.leave(Duration::ZERO).await;
    suite::until(&mut updates, "it is gone", |set| {
        set.freshness == Freshness::Fresh && set.instances.is_empty()
    })
    .await;
}

/// go-kit's ZooKeeper deregisters the folder of all instances instead of the one (K6).
pub(crate) async fn one_leaves_and_its_siblings_stay(registry: impl Registry + Clone, source: &dyn Source) {
    let mut updates = source.watch(&users());
    let start = |host: &str| {
        let registration = Registration::new("users", host, 80).unwrap();
        Registrar::start(registry.clone(), registration)
    };
    let (a, b, c) = (start("10.0.0.1"), start("10.0.0.2"), start("10.0.0.3"));
    suite::until(&mut updates, "all are there", |set| set.instances.len() == 3).await;
    b.leave(Duration::ZERO).await;
    let set = suite::until(&mut updates, "one is gone", |set| set.instances.len() == 2).await;
    assert_eq!(suite::hosts(&set), ["10.0.0.1", "10.0.0.3"]);
    drop(c);
    let set = suite::until(&mut updates, "two are gone", |set| set.instances.len() == 1).await;
    assert_eq!(suite::hosts(&set), ["10.0.0.1"]);
    a.leave(Duration::ZERO).await;
    suite::until(&mut updates, "all are gone", |set| set.instances.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k06_one_leaves_and_its_siblings_stay() {
    let server = Server::start().await;
    let native = Native::at(&format!("http://{}", server.native)).unwrap();
    one_leaves_and_its_siblings_stay(native.clone(), &native.source()).await;
    let consul = Consul::at(&format!("http://{}", server.consul)).unwrap();
    one_leaves_and_its_siblings_stay(consul.clone(), &consul.source()).await;
}

/// A registry that answers as it is told and keeps a diary.
#[derive(Clone, Default)]
struct Puppet {
    /// What the next calls are answered; then all is well.
    answers: Arc<Mutex<VecDeque<RegistryError>>>,
    diary: Arc<Mutex<Vec<(&'static str, tokio::time::Instant)>>>,
}

impl Puppet {
    fn answer(&self, what: &'static str) -> Result<(), RegistryError> {
        self.diary.lock().unwrap().push((what, tokio::time::Instant::now()));
        self.answers.lock().unwrap().pop_front().map_or(Ok(()), Err)
    }

    fn count(&self, what: &str) -> usize {
        self.diary.lock().unwrap().iter().filter(|(did, _)| *did == what).count()
    }
}

#[async_trait]
impl Registry for Puppet {
    fn name(&self) -> String {
        "puppet".to_owned()
    }

    async fn register(&self, _: &Registration) -> Result<(), RegistryError> {
        self.answer("register")
    }

    async fn renew(&self, _: &Registration) -> Result<(), RegistryError> {
        self.answer("renew")
    }

    async fn drain(&self, _: &Registration) -> Result<(), RegistryError> {
        self.answer("drain")
    }

    async fn deregister(&self, _: &Registration) -> Result<(), RegistryError> {
        self.answer("deregister")
    }

    fn afresh(&self) -> Arc<dyn Registry> {
        Arc::new(self.clone())
    }
}

/// A session that expired drops what hung on it, and go-kit only logs that (K2).
#[tokio::test(start_paused = true)]
async fn k02_a_session_that_expired_is_registered_again() {
    let puppet = Puppet::default();
    let registrar = Registrar::start(puppet.clone(), registration());
    registrar.registered().await;
    for times in 1..=3 {
        puppet.answers.lock().unwrap().push_back(RegistryError::Unknown("the session has expired".into()));
        let again = |state: &Registered| matches!(state, Registered::Yes { again } if *again == times);
        registrar.state().wait_for(again).await.unwrap();
    }
    assert_eq!(puppet.count("register"), 4);
    assert_eq!((registrar.status().again, registrar.status().failures), (3, 3));
}

/// go-kit takes a heartbeat as a setting and never uses it, and cuts TTLs to whole seconds (K21).
#[tokio::test(start_paused = true)]
async fn k21_the_heartbeat_that_was_asked_for_is_kept() {
    let puppet = Puppet::default();
    let registration = registration().ttl(Duration::from_secs(10)).heartbeat(Duration::from_millis(2500));
    let registrar = Registrar::start(puppet.clone(), registration);
    registrar.registered().await;
    tokio::time::sleep(Duration::from_millis(100_100)).await;
    assert_eq!((puppet.count("register"), puppet.count("renew")), (1, 40));
    // A registry that is away is asked more often than that, and never in a tight loop.
    let away = (0..20).map(|_| RegistryError::Unavailable("away".into()));
    puppet.answers.lock().unwrap().extend(away);
    let before = puppet.count("renew");
    tokio::time::sleep(Duration::from_secs(10)).await;
    let asked = puppet.count("renew") - before;
    assert!((4..=20).contains(&asked), "{asked} times in 10 s");
    // What is slow to answer is not registered twice meanwhile.
    assert_eq!(puppet.count("register"), 1);
}

#[tokio::test(start_paused = true)]
async fn leaving_happens_in_order_and_once() {
    let puppet = Puppet::default();
    let registrar = Registrar::start(puppet.clone(), registration());
    registrar.registered().await;
    registrar.leave(Duration::from_secs(5)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let diary = puppet.diary.lock().unwrap();
    let last: Vec<&str> = diary.iter().map(|(what, _)| *what).filter(|what| *what != "renew").collect();
    assert_eq!(last, ["register", "drain", "deregister"]);
    let at = |what: &str| diary.iter().find(|(did, _)| *did == what).unwrap().1;
    assert!(
        at("deregister") - at("drain") >= Duration::from_secs(5),
        "it did not wait for calls on their way"
    );
}

async fn wiped(server: &Server) {
    let api = Api::at(server.native);
    api.call(Method::DELETE, "/v1/instances/users-10.0.0.1-8080", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn native_registers_again_when_the_registry_forgot_it() {
    let server = Server::start().await;
    let registry = Native::at(&format!("http://{}", server.native)).unwrap();
    let source = registry.source();
    keeps_an_instance_registered(registry, &source, async || wiped(&server).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consul_registers_again_when_the_registry_forgot_it() {
    let server = Server::start().await;
    let registry = Consul::at(&format!("http://{}", server.consul)).unwrap();
    let source = registry.source();
    keeps_an_instance_registered(registry, &source, async || wiped(&server).await).await;
}

/// A restart of the registry with an empty store, at the same address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_with_lost_data_registers_again() {
    let first = Server::start().await;
    let cable = Cable::to(first.native).await;
    let registry = Native::at(&cable.url()).unwrap();
    let source = registry.source();
    keeps_an_instance_registered(registry, &source, async || {
        drop(first);
        let second = Server::start().await;
        cable.mend(second.native);
        // It lives as long as the test.
        std::mem::forget(second);
    })
    .await;
}

/// The network is away for longer than the TTL: the instance lapses, and is back with the network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_network_is_survived() {
    let server = Server::start().await;
    let cable = Cable::to(server.native).await;
    let near = Native::at(&format!("http://{}", server.native)).unwrap().source();
    let mut updates = near.watch(&users());
    let registrar = Registrar::start(Native::at(&cable.url()).unwrap(), registration());
    suite::until(&mut updates, "it is registered", |set| set.instances.len() == 1).await;
    cable.cut();
    suite::until(&mut updates, "it has lapsed", |set| set.instances.is_empty()).await;
    assert!(!registrar.state().borrow().is_yes(), "the registrar believes that all is well");
    cable.mend(server.native);
    suite::until(&mut updates, "it is back", |set| set.instances.len() == 1).await;
    until("the registrar knows", || async { registrar.state().borrow().is_yes() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_drains_first() {
    let server = Server::start().await;
    for registry in [
        Arc::new(Native::at(&format!("http://{}", server.native)).unwrap()) as Arc<dyn Registry>,
        Arc::new(Consul::at(&format!("http://{}", server.consul)).unwrap()),
    ] {
        let source = Native::at(&format!("http://{}", server.native)).unwrap().source();
        let mut all = source.watch(&users().with_unhealthy());
        let registrar = Registrar::with(registry, registration(), RegistrarOptions::default());
        suite::until(&mut all, "it is registered", |set| {
            set.instances.iter().any(|it| it.health == Health::Passing)
        })
        .await;
        let leaving = tokio::spawn(registrar.leave(Duration::from_millis(500)));
        suite::until(&mut all, "it drains", |set| {
            set.instances.iter().any(|it| matches!(it.health, Health::Draining | Health::OutOfService))
        })
        .await;
        leaving.await.unwrap();
        suite::until(&mut all, "it is gone", |set| set.instances.is_empty()).await;
    }
}

/// Also where the runtime ends with it, and has only one thread.
#[test]
fn dropping_deregisters_even_as_the_last_thing_that_a_runtime_does() {
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = servers.block_on(Server::start());
    for url in [format!("http://{}", server.native), format!("http://{}", server.consul)] {
        let registry: Arc<dyn Registry> = if url.contains(&server.native.to_string()) {
            Arc::new(Native::at(&url).unwrap())
        } else {
            Arc::new(Consul::at(&url).unwrap())
        };
        let own = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        own.block_on(async {
            let registrar = Registrar::with(registry, registration(), RegistrarOptions::default());
            registrar.registered().await;
        });
        drop(own);
        let left = servers.block_on(Api::at(server.native).get("/v1/services/users?status=any"));
        assert_eq!(left["instances"], Value::Array(Vec::new()));
    }
}

/// K24: where somebody checks, no heartbeat is needed; and the other way round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k24_both_a_heartbeat_and_an_active_check_keep_an_instance() {
    let server = Server::start().await;
    let check = ActiveCheck::Tcp { interval: Duration::from_secs(1) };
    let checked = Registration::new("checked", "127.0.0.1", server.native.port()).unwrap().check(check);
    let api = Api::at(server.native);
    for registry in [
        Arc::new(Native::at(&format!("http://{}", server.native)).unwrap()) as Arc<dyn Registry>,
        Arc::new(Consul::at(&format!("http://{}", server.consul)).unwrap()),
    ] {
        let registrar = Registrar::with(registry, checked.clone(), RegistrarOptions::default());
        registrar.registered().await;
        let found = api.get("/v1/instances?service=checked").await;
        let id = found["instances"][0]["id"].as_str().unwrap().to_owned();
        let detail = api.get(&format!("/v1/instances/{id}")).await;
        assert_eq!(detail["checks"][0]["type"], "tcp", "{detail}");
        assert_eq!(detail["lease"], Value::Null, "{detail}");
        // It notices that it was taken out, without any heartbeat.
        api.call(Method::DELETE, &format!("/v1/instances/{id}"), None).await;
        until("it is there again", || async {
            api.get("/v1/instances?service=checked").await["instances"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        })
        .await;
        registrar.leave(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn what_a_registry_has_no_words_for_is_refused_by_name() {
    let consul = Consul::at("http://127.0.0.1:1").unwrap();
    let two_ports = registration().port("admin", 81);
    assert!(consul.register(&two_ports).await.unwrap_err().to_string().contains("admin"));
    let elsewhere = registration().namespace("other").unwrap();
    assert!(consul.register(&elsewhere).await.unwrap_err().to_string().contains("namespace"));
    assert!(Registration::new("users", "h", 0).is_err());
    assert!(Registration::new("", "h", 1).is_err());
}

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use switchboard::{
    ActiveCheck, Consul, Freshness, Health, Native, Query, Registered, Registrar, RegistrarOptions,
    Registration, Registry, Source,
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

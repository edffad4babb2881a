use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use switchboard_health::{Config, Policy};
use switchboard_model::{
    Annex, Check, CheckKey, Health as State, Id, Metadata, Node, Owner, Probe, Rejection, Target, Thresholds,
};
use switchboard_registry::plan::{DeleteCheck, PutCheck, PutNode, SetLifecycle};
use switchboard_registry::{Caller, Gate};
use tokio::net::TcpListener;

use crate::support::*;

const INTERVAL: Duration = Duration::from_millis(300);

#[tokio::test]
async fn three_failures_take_an_instance_out_and_one_answer_brings_it_back() {
    let server = Server::start(200, Duration::ZERO).await;
    let (registry, health) = start(&Config::default());
    registry.loaded().await.unwrap();
    registry.submit(&TEST, register("i", server.address, check(http("/health"), INTERVAL))).await.unwrap();
    until("two probes", || server.asked.load(Ordering::SeqCst) == 2).await;
    let calm = registry.head();

    server.turn(503);
    until("two failures", || server.asked.load(Ordering::SeqCst) == 2).await;
    tokio::time::sleep(INTERVAL / 4).await;
    assert_eq!(state(&registry, "i"), State::Passing);
    assert_eq!(registry.head(), calm, "a probe that changes nothing made a commit");
    let check_key = CheckKey { owner: Owner::Instance(key("i")), id: Id::parse("id", "web").unwrap() };
    let output = registry.output(&check_key).unwrap().text;
    assert!(
        output.starts_with("HTTP GET http://")
            && output.ends_with("/health: 503 Service Unavailable (failure 2 of 3)"),
        "{output}"
    );
    until("critical", || state(&registry, "i") == State::Critical).await;
    assert_eq!(server.asked.load(Ordering::SeqCst), 3);

    server.turn(200);
    until("passing", || state(&registry, "i") == State::Passing).await;
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);

    let mut metrics = prometheus_client::registry::Registry::default();
    health.meters().register(&mut metrics);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &metrics).unwrap();
    assert!(text.contains("switchboard_health_probes_total{kind=\"http\",result=\"fail\"} 3"), "{text}");
    assert!(text.contains("switchboard_health_checks_scheduled 1"), "{text}");
}

#[tokio::test]
async fn checks_that_are_there_at_the_start_are_made() {
    let server = Server::start(200, Duration::ZERO).await;
    let (registry, _) = start(&Config::default());
    registry.loaded().await.unwrap();
    registry.submit(&TEST, register("i", server.address, check(http("/"), INTERVAL))).await.unwrap();
    let second = switchboard_health::spawn(registry.clone(), &Config::default()).unwrap();
    until("probes of both", || server.asked.load(Ordering::SeqCst) >= 4).await;
    drop(second);
    registry.stop().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.turn(200);
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(server.asked.load(Ordering::SeqCst), 0, "it outlived its registry");
}

#[tokio::test]
async fn a_check_of_a_node_counts_for_its_instances_and_draining_ones_are_probed_too() {
    let server = Server::start(200, Duration::ZERO).await;
    let (registry, _) = start(&Config::default());
    registry.loaded().await.unwrap();
    let node = key("i").node_key().unwrap();
    let record = Node {
        key: node.clone(),
        address: "127.0.0.1".into(),
        metadata: Metadata::default(),
        annex: Annex::default(),
    };
    registry.submit(&TEST, PutNode { node: record }).await.unwrap();
    let up = Server::start(200, Duration::ZERO).await;
    registry.submit(&TEST, register("i", up.address, check(http("/"), INTERVAL))).await.unwrap();
    let probe = Probe::Tcp { target: Target { host: None, port: Some(server.address.port()) } };
    let of_node = Check {
        key: CheckKey { owner: Owner::Node(node), id: Id::parse("id", "disk").unwrap() },
        thresholds: Thresholds { unhealthy: 1, healthy: 1 },
        ..check(probe, Duration::from_millis(100))
    };
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    registry.submit(&TEST, PutCheck { check: of_node.clone() }).await.unwrap();
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(state(&registry, "i"), State::Passing);

    let probe = Probe::Tcp { target: Target { host: Some("localhost".into()), port: Some(dead.port()) } };
    registry.submit(&TEST, PutCheck { check: Check { probe, ..of_node } }).await.unwrap();
    until("critical", || state(&registry, "i") == State::Critical).await;

    let drain = SetLifecycle { key: key("i"), lifecycle: switchboard_model::Lifecycle::Draining };
    registry.submit(&TEST, drain).await.unwrap();
    up.turn(200);
    until("probes of what drains", || up.asked.load(Ordering::SeqCst) >= 2).await;
}

#[tokio::test]
async fn deleting_a_check_ends_its_probe_and_redefining_it_begins_anew() {
    let server = Server::start(0, Duration::ZERO).await;
    let (registry, _) = start(&Config::default());
    registry.loaded().await.unwrap();
    let slow = check(http("/"), Duration::from_secs(60));
    let ask = register("i", server.address, slow.clone());
    registry.submit(&TEST, ask.clone()).await.unwrap();
    until("a hanging probe", || server.open.load(Ordering::SeqCst) == 1).await;
    let check_key = CheckKey { owner: Owner::Instance(key("i")), id: slow.key.id.clone() };
    registry.submit(&TEST, DeleteCheck { key: check_key }).await.unwrap();
    until("its end", || server.open.load(Ordering::SeqCst) == 0).await;

    registry.submit(&TEST, ask).await.unwrap();
    until("another one", || server.open.load(Ordering::SeqCst) == 1).await;
    server.turn(503);
    let quick =
        Check { thresholds: Thresholds { unhealthy: 1, healthy: 1 }, ..check(http("/quick"), INTERVAL) };
    registry.submit(&TEST, register("i", server.address, quick)).await.unwrap();
    until("critical", || state(&registry, "i") == State::Critical).await;
    assert_eq!(server.open.load(Ordering::SeqCst), 0, "the old probe still hangs");
}

/// 40 instances fail at once. The registry believes nine a minute and keeps the others in service as suspects; when
/// they answer again, nothing is left of it.
#[tokio::test]
async fn where_too_many_fail_at_once_the_registry_is_not_talked_into_it() {
    let server = Server::start(200, Duration::ZERO).await;
    let (registry, _) = start(&Config::default());
    registry.loaded().await.unwrap();
    let ids: Vec<String> = (0..40).map(|i| format!("i{i}")).collect();
    for id in &ids {
        registry.submit(&TEST, register(id, server.address, check(http("/"), INTERVAL))).await.unwrap();
    }
    let count = |wanted: State| ids.iter().filter(|id| state(&registry, id) == wanted).count();
    server.turn(503);
    until("9 critical, 31 suspect", || (count(State::Critical), count(State::Suspect)) == (9, 31)).await;
    server.turn(200);
    until("all passing", || count(State::Passing) == 40).await;
}

/// Holds everyone but the test to the policy, as if the check had been registered before the policy became strict.
struct StrictSince(Policy);

impl Gate for StrictSince {
    fn check(&self, caller: &Caller, check: &Check, owner: Option<&str>) -> Result<(), Rejection> {
        if caller.through == TEST.through {
            return Ok(());
        }
        self.0.admit_check(caller, owner.unwrap_or_default(), check)
    }
}

#[tokio::test]
async fn a_target_that_was_forbidden_since_fails_without_being_asked() {
    let server = Server::start(200, Duration::ZERO).await;
    let config = Config { deny: vec!["127.0.0.0/8".parse().unwrap()], ..Config::default() };
    let (registry, _) = start_behind(Arc::new(StrictSince(Policy::new(&config))), &config);
    registry.loaded().await.unwrap();
    let ask = register("i", server.address, check(http("/"), INTERVAL));
    registry.submit(&TEST, ask.clone()).await.unwrap();
    until("critical", || state(&registry, "i") == State::Critical).await;
    let reasons = registry.view(&TEST).unwrap().instance(&key("i")).unwrap().reasons().join("\n");
    assert!(reasons.contains("127.0.0.1 may not be probed: it is in `health.deny`"), "{reasons}");
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);

    let changed = register("i", server.address, check(http("/other"), INTERVAL));
    let rejection = registry.submit(&Caller::internal("native"), changed).await.unwrap_err();
    assert!(
        matches!(&rejection, Rejection::Forbidden { why } if why.contains("health.deny")),
        "{rejection:?}"
    );
}

use std::time::Duration;

use switchboard_model::*;
use switchboard_registry::plan::*;

use crate::support::*;

#[tokio::test(start_paused = true)]
async fn registering_twice_is_registering_once() {
    let world = world().await;
    let first = world.submit(with_ttl("web", "a")).await;
    assert!(first.changed && first.reply.created);
    let second = world.submit(with_ttl("web", "a")).await;
    assert!(!second.changed && !second.reply.created, "the same words made a commit");
    assert_eq!(world.registry.head(), first.revision);
    assert_eq!(first.reply.lease, second.reply.lease);
}

#[tokio::test(start_paused = true)]
async fn a_protocol_leaves_alone_what_another_said() {
    let world = world().await;
    let said = |text: &'static str| Annex::default().with("test", Some(text.into())).unwrap();
    let mut first = forever("web", "a");
    first.instance.annex = said("words of its own");
    world.submit(first).await;

    let mut other = forever("web", "a");
    other.instance.origin = "other".into();
    assert!(!world.submit(other.clone()).await.changed, "what was so already made a commit");

    other.instance.weight = 2;
    assert!(world.submit(other).await.changed);
    let view = world.view();
    let instance = &view.instance(&key("web", "a")).unwrap().instance;
    assert_eq!((&*instance.origin, &instance.annex), ("other", &said("words of its own")));
}

#[tokio::test(start_paused = true)]
async fn a_weight_while_warning_stays_until_somebody_says_another() {
    let world = world().await;
    let with = |weight, warning_weight| {
        let mut register = forever("web", "a");
        (register.instance.weight, register.instance.warning_weight) = (weight, warning_weight);
        register
    };
    let kept = || world.view().instance(&key("web", "a")).unwrap().instance.warning_weight;
    world.submit(with(10, Some(3))).await;
    assert!(!world.submit(with(10, None)).await.changed, "who has no word for it has taken it away");
    world.submit(with(8, None)).await;
    assert_eq!(kept(), Some(3));
    world.submit(with(8, Some(8))).await;
    assert_eq!(kept(), None);
    assert!(!world.submit(with(8, Some(8))).await.changed);
}

#[tokio::test(start_paused = true)]
async fn names_keep_the_case_of_the_first_registration() {
    let world = world().await;
    world.submit(forever("User-Service", "a")).await;
    let second = world.submit(forever("user-service", "b")).await;
    assert_eq!(second.reply.key.service.as_str(), "User-Service");
    assert_eq!(world.view().service("DEFAULT", "USER-SERVICE").unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_instance_goes_with_its_checks_and_its_own_lease() {
    let world = world().await;
    let mut register = with_ttl("web", "a");
    register.checks = Some(vec![ttl_check(Owner::Instance(key("web", "a")), "alive")]);
    let registered = world.submit(register).await;
    let lease = registered.reply.lease.unwrap();
    world.submit(Deregister { key: key("web", "a") }).await;
    let view = world.view();
    assert!(view.service("default", "web").is_none());
    assert!(view.lease(lease).is_none());
    assert_eq!(view.tally(), Default::default());
    assert!(matches!(world.registry.renew(lease), Err(Rejection::NotFound { noun: Noun::Lease, .. })));
}

#[tokio::test(start_paused = true)]
async fn health_is_the_worst_of_own_checks_node_checks_and_lifecycle() {
    let world = world().await;
    let node = NodeKey { namespace: Name::default_namespace(), node: Name::parse("node", "n1").unwrap() };
    let mut register = forever("web", "a");
    register.instance = on_node(register.instance, "n1");
    let key = register.instance.key.clone();
    let own = ttl_check(Owner::Instance(key.clone()), "own");
    register.checks = Some(vec![own.clone()]);
    world.submit(register).await;
    let health = || world.view().instance(&key).unwrap().health;
    assert_eq!(health(), Health::Passing);

    let on_node = Check { probe: Probe::Manual, ..ttl_check(Owner::Node(node.clone()), "disk") };
    world.submit(PutCheck { check: on_node.clone() }).await;
    world.registry.report(&caller(), &on_node.key, Status::Critical, "disk full").await.unwrap();
    assert_eq!(health(), Health::Critical);
    let reasons = world.view().instance(&key).unwrap().reasons();
    assert!(reasons[0].contains("disk full"), "{reasons:?}");

    world.registry.report(&caller(), &on_node.key, Status::Passing, "").await.unwrap();
    world.registry.report(&caller(), &own.key, Status::Warning, "slow").await.unwrap();
    assert_eq!(health(), Health::Warning);
    world.submit(SetLifecycle { key: key.clone(), lifecycle: Lifecycle::Draining }).await;
    assert_eq!(health(), Health::Draining);
    assert_eq!(world.view().tally().served, 0);
}

#[tokio::test(start_paused = true)]
async fn a_check_keeps_its_status_when_it_is_redefined() {
    let world = world().await;
    let owner = Owner::Instance(key("web", "a"));
    let mut register = forever("web", "a");
    register.checks = Some(vec![ttl_check(owner.clone(), "alive")]);
    world.submit(register.clone()).await;
    world
        .registry
        .report(&caller(), &ttl_check(owner.clone(), "alive").key, Status::Critical, "no")
        .await
        .unwrap();
    let redefined = Check { notes: "new words".into(), ..ttl_check(owner, "alive") };
    register.checks = Some(vec![redefined]);
    world.submit(register).await;
    let view = world.find("web", "a").unwrap();
    assert_eq!((view.checks[0].status, &*view.checks[0].notes), (Status::Critical, "new words"));
}

#[tokio::test(start_paused = true)]
async fn the_same_report_again_is_no_commit_and_only_its_output_is_kept() {
    let world = world().await;
    let owner = Owner::Instance(key("web", "a"));
    let mut register = forever("web", "a");
    register.checks = Some(vec![ttl_check(owner.clone(), "alive")]);
    world.submit(register).await;
    let head = world.registry.head();
    let check = ttl_check(owner, "alive").key;
    let reported = world.registry.report(&caller(), &check, Status::Passing, "still here").await.unwrap();
    assert!(!reported.changed);
    assert_eq!(world.registry.head(), head);
    assert_eq!(&*world.registry.output(&check).unwrap().text, "still here");
}

#[tokio::test(start_paused = true)]
async fn an_id_on_two_services_is_ambiguous_until_one_is_named() {
    let world = world().await;
    world.submit(forever("web", "a")).await;
    world.submit(forever("api", "a")).await;
    let view = world.view();
    let found = view.find_instance("default", "a", None, None).unwrap_err();
    assert!(matches!(found, Rejection::Ambiguous { candidates, .. } if candidates.len() == 2));
    assert!(view.find_instance("default", "a", Some("WEB"), None).is_ok());
    assert!(matches!(view.find_instance("default", "b", None, None), Err(Rejection::NotFound { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_only_replaced_at_the_revision_it_is_expected_at() {
    let world = world().await;
    let entry = |value: &'static str| Entry {
        key: EntryKey { keyspace: "test".into(), key: "k".into() },
        value: value.into(),
        lease: None,
        flags: 0,
        annex: Annex::default(),
    };
    let put = |value, if_revision| PutEntry { entry: entry(value), if_revision };
    let first = world.submit(put("1", Some(Revision::ZERO))).await;
    let again = world.registry.submit(&caller(), put("2", Some(Revision::ZERO))).await.unwrap_err();
    assert!(matches!(again, Rejection::Conflict { actual, .. } if actual == first.revision));
    let second = world.submit(put("2", Some(first.revision))).await;
    let kept = world.view().entry(&entry("").key).cloned().unwrap();
    assert_eq!((kept.created, kept.modified, kept.version), (first.revision, second.revision, 2));
}

#[tokio::test(start_paused = true)]
async fn a_node_with_instances_stays_unless_they_may_go_too() {
    let world = world().await;
    let key = NodeKey { namespace: Name::default_namespace(), node: Name::parse("node", "n1").unwrap() };
    let mut register = forever("web", "a");
    register.instance = on_node(register.instance, "n1");
    world.submit(register).await;
    let kept = world.registry.submit(&caller(), DeleteNode { key: key.clone(), with_instances: false }).await;
    assert!(matches!(kept, Err(Rejection::InUse { .. })));
    world.submit(DeleteNode { key: key.clone(), with_instances: true }).await;
    assert!(world.view().node(&key).is_none());
    assert_eq!(world.view().tally().instances, 0);
}

#[tokio::test(start_paused = true)]
async fn a_read_can_wait_for_a_revision() {
    let world = world().await;
    let wanted = Revision(1);
    let early = world.registry.view_at_least(&caller(), wanted, Duration::from_millis(10)).await;
    assert!(matches!(early, Err(Rejection::NotYet { .. })));
    let registry = world.registry.clone();
    let waiting =
        tokio::spawn(async move { registry.view_at_least(&caller(), wanted, Duration::from_secs(5)).await });
    world.submit(forever("web", "a")).await;
    assert_eq!(waiting.await.unwrap().unwrap().revision(), wanted);
}

struct Fortress;

impl switchboard_registry::Gate for Fortress {
    fn check(
        &self,
        _: &switchboard_registry::Caller,
        _: &Check,
        owner: Option<&str>,
    ) -> Result<(), Rejection> {
        match owner {
            Some("10.0.0.1") => Ok(()),
            other => Err(Rejection::Forbidden { why: format!("{other:?} may not be probed") }),
        }
    }
}

/// A check that was let through for one address must not follow its owner to another.
#[tokio::test(start_paused = true)]
async fn the_gate_judges_checks_again_when_their_owner_moves() {
    let engine = std::sync::Arc::new(switchboard_engine_memory::Memory::new());
    let options = switchboard_registry::Options::default();
    let registry = switchboard_registry::Registry::open(engine, options, std::sync::Arc::new(Fortress));
    registry.loaded().await.unwrap();
    let mut register = forever("web", "a");
    register.checks = Some(vec![ttl_check(Owner::Instance(key("web", "a")), "alive")]);
    registry.submit(&caller(), register.clone()).await.unwrap();
    register.checks = None;
    register.instance.address = "169.254.169.254".into();
    let moved = registry.submit(&caller(), register.clone()).await.unwrap_err();
    assert!(matches!(moved, Rejection::Forbidden { .. }));
    register.checks = Some(Vec::new());
    registry.submit(&caller(), register).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_record_tells_when_it_was_last_touched() {
    let world = world().await;
    let registered = world.submit(forever("web", "a")).await.revision;
    let entry = Entry {
        key: EntryKey { keyspace: "test".into(), key: "k".into() },
        value: "v".into(),
        lease: None,
        flags: 0,
        annex: Annex::default(),
    };
    let put = world.submit(PutEntry { entry, if_revision: None }).await.revision;
    let view = world.view();
    let touched = view.touched();
    assert_eq!((touched.instances, touched.entries("test")), (registered, put));
    assert!(touched.entries("other") < registered && touched.extinction < registered);
    let gone = world.submit(Deregister { key: key("web", "a") }).await.revision;
    assert_eq!(world.view().touched().extinction, gone);
    assert_eq!(world.view().touched().instances, gone);
}

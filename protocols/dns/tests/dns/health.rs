//! Which instances are told of.

use switchboard_model::{Lifecycle, Status};

use crate::dns::names::NONE;
use crate::dns::support::{Some as Registered, World, answers, some, world, world_with};

async fn of_every_health(world: &World) {
    for (address, lifecycle, status) in [
        ("10.0.0.1", Lifecycle::Up, None),
        ("10.0.0.2", Lifecycle::Up, Some(Status::Passing)),
        ("10.0.0.3", Lifecycle::Up, Some(Status::Warning)),
        ("10.0.0.4", Lifecycle::Up, Some(Status::Critical)),
        ("10.0.0.5", Lifecycle::Starting, None),
        ("10.0.0.6", Lifecycle::Draining, None),
        ("10.0.0.7", Lifecycle::OutOfService, Some(Status::Passing)),
    ] {
        let mut instance = some("web", address);
        instance.lifecycle = lifecycle;
        instance.status = status;
        world.register(instance).await;
    }
}

#[tokio::test]
async fn warnings_are_told_of_and_what_is_worse_is_not() {
    let world = world().await;
    of_every_health(&world).await;
    for name in ["web.service.consul A", "web.svc.switchboard A"] {
        assert_eq!(answers(&world.ask(name).await), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    }
    assert_eq!(world.ask("web.service.consul SRV").await.answers.len(), 3);
}

/// Consul's clients give an instance another share while it warns, and balance by what SRV records say.
#[tokio::test]
async fn an_instance_with_warnings_has_the_weight_that_it_has_with_warnings() {
    let world = world().await;
    for (address, status, warning_weight) in [
        ("10.0.0.1", Some(Status::Passing), Some(3)),
        ("10.0.0.2", Some(Status::Warning), Some(3)),
        ("10.0.0.3", Some(Status::Warning), Some(0)),
        ("10.0.0.4", Some(Status::Warning), None),
    ] {
        world.register(Registered { weight: 10, warning_weight, status, ..some("web", address) }).await;
    }
    let said = answers(&world.ask("web.service.consul SRV").await);
    let names = ["1 0 80 0a000003", "1 10 80 0a000001", "1 10 80 0a000004", "1 3 80 0a000002"];
    assert_eq!(said, names.map(|name| format!("{name}.addr.dc1.consul.")));
}

#[tokio::test]
async fn only_passing() {
    let world = world_with("only_passing = true").await;
    of_every_health(&world).await;
    assert_eq!(answers(&world.ask("web.service.consul A").await), ["10.0.0.1", "10.0.0.2"]);
}

#[tokio::test]
async fn when_the_last_one_goes_the_name_goes() {
    let world = world().await;
    let mut instance = some("web", "10.0.0.1");
    world.register(instance.clone()).await;
    assert_eq!(answers(&world.ask("web.service.consul A").await), ["10.0.0.1"]);
    instance.status = Some(Status::Critical);
    world.register(instance.clone()).await;
    world.check("web.service.consul A", NONE).await;
    world.check("web.service.consul AAAA", NONE).await;
    instance.status = None;
    instance.lifecycle = Lifecycle::Draining;
    world.register(instance).await;
    world.check("web.service.consul A", NONE).await;
}

#[tokio::test]
async fn lifetimes() {
    let settings = "node_ttl = '3s'\n[service_ttl]\n'web' = '10s'\n'we*' = '20s'\n'*' = 30";
    let world = world_with(settings).await;
    for service in ["web", "west", "db"] {
        world.register(some(service, "10.0.0.1")).await;
    }
    for (service, ttl) in [("WEB", 10), ("west", 20), ("db", 30)] {
        let answer = world.ask(&format!("{service}.service.consul SRV")).await;
        assert_eq!((answer.answers[0].ttl, answer.additionals[0].ttl), (ttl, ttl), "{service}");
    }
    assert_eq!(world.ask("0a000001.addr.dc1.consul A").await.answers[0].ttl, 3);
}

#[tokio::test]
async fn a_registry_that_has_not_loaded_does_not_say_that_nothing_is_there() {
    use std::sync::Arc;

    use switchboard_engine_memory::{Memory, StoreError, StoreErrorKind};
    use switchboard_registry::{OpenGate, Options, Registry};

    let engine = Arc::new(Memory::new());
    let damaged = StoreError::permanent(StoreErrorKind::Damaged, "as asked");
    engine.script().fail_next_load(damaged);
    let registry = Registry::open(engine, Options::default(), Arc::new(OpenGate));
    let world = crate::dns::support::serve(registry, "").await;
    world.check("web.service.consul A", "ServFail").await;
}

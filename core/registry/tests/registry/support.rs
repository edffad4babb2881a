use std::sync::Arc;
use std::time::Duration;

use switchboard_engine_memory::{Memory, Script};
use switchboard_model::*;
use switchboard_registry::plan::{Keep, Register};
use switchboard_registry::{Caller, InstanceView, OpenGate, Options, Registry, View};
use switchboard_store::Engine;

pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) engine: Arc<Memory>,
    pub(crate) script: Arc<Script>,
}

pub(crate) const TTL: Duration = Duration::from_secs(10);
pub(crate) const LINGER: Duration = Duration::from_secs(60);

pub(crate) fn caller() -> Caller {
    Caller::internal("test")
}

pub(crate) async fn world() -> World {
    world_with(Options::default()).await
}

pub(crate) async fn world_with(options: Options) -> World {
    let engine = Arc::new(Memory::new());
    let script = engine.script();
    let registry = open(engine.clone(), options).await;
    World { registry, engine, script }
}

/// A registry over an engine that may have been used before.
pub(crate) async fn open(engine: Arc<dyn Engine>, options: Options) -> Registry {
    let registry = Registry::open(engine, options, Arc::new(OpenGate));
    registry.loaded().await.unwrap();
    registry
}

pub(crate) fn key(service: &str, id: &str) -> Arc<InstanceKey> {
    Arc::new(InstanceKey {
        namespace: Name::default_namespace(),
        service: Name::parse("service", service).unwrap(),
        node: None,
        id: Id::parse("id", id).unwrap(),
    })
}

pub(crate) fn instance(service: &str, id: &str) -> Instance {
    Instance {
        key: key(service, id),
        address: "10.0.0.1".into(),
        ports: [Port { name: "".into(), number: 80 }].into(),
        tags: Tags::default(),
        metadata: Metadata::default(),
        weight: 1,
        warning_weight: None,
        zone: None,
        lifecycle: Lifecycle::Up,
        lease: None,
        origin: "test".into(),
        annex: Annex::default(),
    }
}

pub(crate) fn on_node(mut instance: Instance, node: &str) -> Instance {
    let node = Some(Name::parse("node", node).unwrap());
    instance.key = Arc::new(InstanceKey { node, ..(*instance.key).clone() });
    instance
}

pub(crate) fn forever(service: &str, id: &str) -> Register {
    Register { instance: instance(service, id), checks: None, keep: Keep::Forever }
}

pub(crate) fn with_ttl(service: &str, id: &str) -> Register {
    Register { keep: Keep::Ttl { ttl: TTL, linger: LINGER }, ..forever(service, id) }
}

pub(crate) fn ttl_check(owner: Owner, id: &str) -> Check {
    Check {
        key: CheckKey { owner, id: Id::parse("id", id).unwrap() },
        name: id.into(),
        notes: "".into(),
        probe: Probe::Ttl { ttl: TTL },
        interval: Duration::ZERO,
        timeout: Duration::ZERO,
        thresholds: Thresholds::default(),
        status: Status::Passing,
        output: "".into(),
        since_ms: 0,
        suspect: false,
        deregister_after: None,
        annex: Annex::default(),
    }
}

impl World {
    pub(crate) fn view(&self) -> View {
        self.registry.view(&caller()).unwrap()
    }

    pub(crate) async fn submit<I: switchboard_registry::Intent>(
        &self,
        intent: I,
    ) -> switchboard_registry::Committed<I::Reply> {
        self.registry.submit(&caller(), intent).await.unwrap()
    }

    pub(crate) fn find(&self, service: &str, id: &str) -> Option<Arc<InstanceView>> {
        self.view().instance(&key(service, id)).cloned()
    }

    pub(crate) fn health(&self, service: &str, id: &str) -> Option<Health> {
        self.find(service, id).map(|view| view.health)
    }

    /// Lets time pass, with every timer in it.
    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    pub(crate) async fn beat(&self, service: &str, id: &str) {
        let lease = self.find(service, id).unwrap().instance.lease.unwrap();
        self.registry.keep_alive(&caller(), lease).await.unwrap();
    }
}

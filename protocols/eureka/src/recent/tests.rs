//! Clients with the rules of the Java client against random histories: after a first full fetch, deltas are enough.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;
use std::sync::Arc;
use switchboard_engine_memory::Memory;
use switchboard_model::*;
use switchboard_registry::plan::{Deregister, Keep, Register, SetLifecycle};
use switchboard_registry::{OpenGate, Options};

use super::*;

#[derive(Default)]
struct Client(BTreeMap<String, BTreeMap<String, String>>);

impl Client {
    fn instances(answer: &[u8]) -> Vec<Value> {
        let answer: Value = serde_json::from_slice(answer).unwrap();
        let apps = answer["applications"]["application"].as_array().unwrap().clone();
        apps.iter().flat_map(|app| app["instance"].as_array().unwrap().clone()).collect()
    }

    fn full(&mut self, answer: &[u8]) {
        self.0.clear();
        for one in Client::instances(answer) {
            self.put(&one);
        }
    }

    fn put(&mut self, one: &Value) {
        let word = |name: &str| one[name].as_str().unwrap().to_owned();
        self.0.entry(word("app")).or_default().insert(word("instanceId"), word("status"));
    }

    fn apply(&mut self, answer: &[u8]) {
        for one in Client::instances(answer) {
            match one["actionType"].as_str().unwrap() {
                "ADDED" | "MODIFIED" => self.put(&one),
                "DELETED" => {
                    let app = one["app"].as_str().unwrap();
                    if let Some(instances) = self.0.get_mut(app) {
                        instances.remove(one["instanceId"].as_str().unwrap());
                        if instances.is_empty() {
                            self.0.remove(app);
                        }
                    }
                }
                other => panic!("{other}"),
            }
        }
    }

    fn hash(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for status in self.0.values().flat_map(|instances| instances.values()) {
            *counts.entry(status).or_default() += 1;
        }
        counts.iter().map(|(status, count)| format!("{status}_{count}_")).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Register {
        app: u8,
        id: u8,
        node: Option<u8>,
    },
    Deregister {
        app: u8,
        id: u8,
        node: Option<u8>,
    },
    Lifecycle {
        app: u8,
        id: u8,
        up: bool,
    },
    Poll {
        client: usize,
    },
    /// Time passes: whatever is in the window falls out, and everybody has polled before.
    Window,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = || proptest::option::weighted(0.3, 0..2_u8);
    let one = prop_oneof![
        4 => (0..3_u8, 0..4_u8, node()).prop_map(|(app, id, node)| Step::Register { app, id, node }),
        3 => (0..3_u8, 0..4_u8, node()).prop_map(|(app, id, node)| Step::Deregister { app, id, node }),
        3 => (0..3_u8, 0..4_u8, any::<bool>()).prop_map(|(app, id, up)| Step::Lifecycle { app, id, up }),
        3 => (0..3_usize).prop_map(|client| Step::Poll { client }),
        1 => Just(Step::Window),
    ];
    proptest::collection::vec(one, 1..60)
}

fn key(app: u8, id: u8, node: Option<u8>) -> Arc<InstanceKey> {
    Arc::new(InstanceKey {
        namespace: Name::default_namespace(),
        service: Name::parse("service", ["web", "Api", "db"][usize::from(app)]).unwrap(),
        node: node.map(|node| Name::parse("node", &format!("n{node}")).unwrap()),
        // One of them is called as another one is on a node.
        id: Id::parse("id", ["a", "b", "c", "n0:a"][usize::from(id)]).unwrap(),
    })
}

fn instance(key: Arc<InstanceKey>) -> Instance {
    Instance {
        key,
        address: "10.0.0.1".into(),
        ports: Box::default(),
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

async fn run(steps: Vec<Step>, is_complete: bool) {
    let registry = Registry::open(Arc::new(Memory::new()), Options::default(), Arc::new(OpenGate));
    registry.loaded().await.unwrap();
    let (me, namespace) = (Caller::internal("test"), Name::default_namespace());
    let recent = Recent::new(Duration::from_secs(3600));
    recent.follow(&registry).await.unwrap();
    if is_complete {
        recent.log.lock().await.as_mut().unwrap().is_whole = true;
    }
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..3 {
        clients.push(Client::default());
    }
    for step in steps {
        match step {
            Step::Register { app, id, node } => {
                let instance = instance(key(app, id, node));
                let wish = Register { instance, checks: None, keep: Keep::Forever };
                registry.submit(&me, wish).await.unwrap();
            }
            Step::Deregister { app, id, node } => {
                let _ = registry.submit(&me, Deregister { key: key(app, id, node) }).await;
            }
            Step::Lifecycle { app, id, up } => {
                let lifecycle = if up { Lifecycle::Up } else { Lifecycle::Draining };
                let _ = registry.submit(&me, SetLifecycle { key: key(app, id, None), lifecycle }).await;
            }
            Step::Poll { client } => poll(&registry, &recent, &namespace, &mut clients[client]).await,
            Step::Window => {
                for client in &mut clients {
                    poll(&registry, &recent, &namespace, client).await;
                }
                let mut log = recent.log.lock().await;
                while !log.as_ref().unwrap().by_age.is_empty() {
                    log.as_mut().unwrap().drop_oldest();
                }
            }
        }
    }
    for client in &mut clients {
        poll(&registry, &recent, &namespace, client).await;
    }
}

async fn poll(registry: &Registry, recent: &Recent, namespace: &Name, client: &mut Client) {
    let delta = recent.delta(registry).await.unwrap();
    let answer = delta.encode(namespace, Form::JSON);
    client.apply(&answer);
    let told: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(told["applications"]["apps__hashcode"], client.hash().as_str(), "{told}");
    let mut fresh = Client::default();
    fresh.full(&pages::full(&delta.view, namespace, Form::JSON));
    assert_eq!(client.0, fresh.0);
    assert!(fresh.0.keys().cloned().collect::<BTreeSet<_>>().iter().all(|app| *app == app.to_uppercase()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_client_never_has_to_reconcile(steps in steps(), is_complete in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps, is_complete));
    }

    /// A server that has just started knows nothing of what went before. Whoever still believes in what is gone must
    /// find out, and whoever does not must not be sent away.
    #[test]
    fn after_a_restart_the_hash_tells_who_believes_in_what_is_gone(now in steps(), known in proptest::collection::btree_set((0..3_u8, 0..3_u8), 0..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let registry = Registry::open(Arc::new(Memory::new()), Options::default(), Arc::new(OpenGate));
            registry.loaded().await.unwrap();
            let me = Caller::internal("test");
            for step in now {
                if let Step::Register { app, id, node: None } = step {
                    let wish = Register { instance: instance(key(app, id, None)), checks: None, keep: Keep::Forever };
                    registry.submit(&me, wish).await.unwrap();
                }
            }
            let recent = Recent::new(Duration::from_secs(3600));
            let delta = recent.delta(&registry).await.unwrap();
            let mut client = Client::default();
            for (app, id) in known {
                let (app, id) = (["WEB", "API", "DB"][usize::from(app)], ["a", "b", "c"][usize::from(id)]);
                client.0.entry(app.into()).or_default().insert(id.into(), "UP".into());
            }
            let answer = delta.encode(&Name::default_namespace(), Form::JSON);
            client.apply(&answer);
            let told: Value = serde_json::from_slice(&answer).unwrap();
            let mut fresh = Client::default();
            fresh.full(&pages::full(&delta.view, &Name::default_namespace(), Form::JSON));
            assert_eq!(told["applications"]["apps__hashcode"] == client.hash().as_str(), client.0 == fresh.0);
        });
    }
}

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use switchboard_model::{Check, CheckKey, Owner, ServiceKey};

use crate::plan::cut;

/// What a check said last. It changes with every probe and decides nothing, so it is never committed on its own.
#[derive(Clone, Debug)]
pub struct Output {
    pub text: Arc<str>,
    /// Wall-clock time, for people only.
    pub at_ms: u64,
}

/// The newest output of each check, and when those of a service last changed.
#[derive(Debug, Default)]
pub(crate) struct Outputs(RwLock<Said>);

#[derive(Debug, Default)]
struct Said {
    outputs: HashMap<CheckKey, Output>,
    /// Of services whose instances' checks have said something.
    services: HashMap<ServiceKey, Heard>,
    /// When a check of any node last said something else.
    nodes: u64,
    /// Never goes back, so that no version ever stands for two things.
    clock: u64,
}

#[derive(Debug, Default)]
struct Heard {
    version: u64,
    outputs: usize,
}

impl Outputs {
    pub(crate) fn set(&self, key: &CheckKey, text: &str, at_ms: u64) {
        let text = cut(text, Check::MAX_OUTPUT);
        let mut said = self.0.write();
        match said.outputs.get_mut(key) {
            Some(output) if *output.text == *text => output.at_ms = at_ms,
            Some(output) => {
                *output = Output { text: text.into(), at_ms };
                said.changed(&key.owner, |outputs| outputs);
            }
            None => {
                said.outputs.insert(key.clone(), Output { text: text.into(), at_ms });
                said.changed(&key.owner, |outputs| outputs + 1);
            }
        }
    }

    pub(crate) fn get(&self, key: &CheckKey) -> Option<Output> {
        self.0.read().outputs.get(key).cloned()
    }

    pub(crate) fn forget(&self, key: &CheckKey) {
        let mut said = self.0.write();
        if said.outputs.remove(key).is_some() {
            said.changed(&key.owner, |outputs| outputs.saturating_sub(1));
        }
    }

    /// Moves whenever a check that shows in the service says something else. Those of nodes move it for all services.
    pub(crate) fn version(&self, service: &ServiceKey) -> u64 {
        let said = self.0.read();
        said.services.get(service).map_or(0, |heard| heard.version).max(said.nodes)
    }
}

impl Said {
    fn changed(&mut self, owner: &Owner, count: impl FnOnce(usize) -> usize) {
        self.clock += 1;
        let Owner::Instance(instance) = owner else {
            self.nodes = self.clock;
            return;
        };
        let key = instance.service_key();
        let heard = self.services.entry(key.clone()).or_default();
        *heard = Heard { version: self.clock, outputs: count(heard.outputs) };
        if heard.outputs == 0 {
            self.services.remove(&key);
            // Of a service that nothing is known of any more: the version must not fall back below this.
            self.nodes = self.clock;
        }
    }
}

#[cfg(test)]
mod tests {
    use switchboard_model::{Id, InstanceKey, Name, NodeKey};

    use super::*;

    fn check(service: &str) -> CheckKey {
        let owner = Owner::Instance(Arc::new(InstanceKey {
            namespace: Name::default_namespace(),
            service: Name::parse("service", service).unwrap(),
            node: None,
            id: Id::parse("id", "a").unwrap(),
        }));
        CheckKey { owner, id: Id::parse("check", "c").unwrap() }
    }

    fn service(name: &str) -> ServiceKey {
        let service = Name::parse("service", name).unwrap();
        ServiceKey { namespace: Name::default_namespace(), service }
    }

    #[test]
    fn a_version_moves_when_something_else_is_said_and_at_no_other_time() {
        let outputs = Outputs::default();
        let version = || outputs.version(&service("web"));
        assert_eq!(version(), 0);
        outputs.set(&check("web"), "fine", 1);
        let first = version();
        assert!(first > 0);
        outputs.set(&check("web"), "fine", 2);
        outputs.set(&check("other"), "fine", 2);
        assert_eq!(version(), first, "the same words, and those of another service");
        assert_eq!(outputs.get(&check("web")).unwrap().at_ms, 2);
        outputs.set(&check("web"), "slow", 3);
        assert!(version() > first);
    }

    #[test]
    fn a_version_never_goes_back() {
        let outputs = Outputs::default();
        outputs.set(&check("web"), "fine", 1);
        let said = outputs.version(&service("web"));
        outputs.forget(&check("web"));
        let forgotten = outputs.version(&service("web"));
        assert!(forgotten > said);
        outputs.set(&check("web"), "fine", 2);
        assert!(outputs.version(&service("web")) > forgotten);
    }

    #[test]
    fn what_a_node_says_shows_in_every_service() {
        let outputs = Outputs::default();
        let node = NodeKey { namespace: Name::default_namespace(), node: Name::parse("node", "n").unwrap() };
        let key = CheckKey { owner: Owner::Node(node), id: Id::parse("check", "disk").unwrap() };
        outputs.set(&key, "full", 1);
        assert!(outputs.version(&service("web")) > 0);
    }
}

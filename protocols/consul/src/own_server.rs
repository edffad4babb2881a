//! This registry as a service. Every datacenter of Consul has one called `consul`, and clients look for it to learn whether
//! anyone is there. It is no record: other protocols have their own words for that.

use std::sync::Arc;

use switchboard_model::{
    DEFAULT_NAMESPACE, Health, Id, Instance, InstanceKey, Lifecycle, Metadata, Name, Port, Rejection,
    Revision, Status, Stored, Tags,
};
use switchboard_registry::{InstanceView, NodeFacts, Snapshot};

use crate::identity::Here;
use crate::lens::at_node;

pub(crate) const SERVER: &str = "consul";

impl Here {
    /// None: it has not registered its node yet, or somebody registered just this service there.
    pub(crate) fn server(&self, at: &Snapshot) -> Result<Option<Arc<InstanceView>>, Rejection> {
        let Some(facts) = at.node(&self.own().key()).map(|node| node.facts.clone()) else { return Ok(None) };
        let Some(node) = &facts.node else { return Ok(None) };
        let key = Arc::new(InstanceKey {
            namespace: Name::default_namespace(),
            service: Name::parse("service", SERVER)?,
            node: Some(facts.key.node.clone()),
            id: Id::parse("id", SERVER)?,
        });
        if at.instance(&key).is_some() {
            return Ok(None);
        }
        let instance = Instance {
            key,
            address: node.address.clone(),
            ports: vec![Port { name: "".into(), number: self.http_port }].into(),
            tags: Tags::default(),
            metadata: Metadata::default(),
            weight: 1,
            warning_weight: None,
            zone: None,
            lifecycle: Lifecycle::Up,
            lease: None,
            origin: SERVER.into(),
            annex: at_node()?,
        };
        let created = node.created;
        let instance = Arc::new(Stored { value: instance, created, modified: created, version: 1 });
        let (health, revision) = (health(&facts), revision(&facts));
        Ok(Some(Arc::new(InstanceView {
            instance,
            checks: Box::default(),
            lease: None,
            node: Some(facts),
            health,
            revision,
        })))
    }

    /// The newest commit that shows in it, if it is asked for by this name.
    pub(crate) fn server_revision(&self, at: &Snapshot, service: &str) -> Option<Revision> {
        let is_meant = service.eq_ignore_ascii_case(SERVER);
        let node = is_meant.then(|| at.node(&self.own().key())).flatten()?;
        node.facts.node.is_some().then(|| revision(&node.facts))
    }
}

fn health(facts: &NodeFacts) -> Health {
    let is = |status: Status| facts.checks.iter().any(|check| check.status == status);
    match () {
        () if is(Status::Critical) => Health::Critical,
        () if is(Status::Warning) => Health::Warning,
        () => Health::Passing,
    }
}

fn revision(facts: &NodeFacts) -> Revision {
    let node = facts.node.as_ref().map_or(Revision::ZERO, |node| node.modified);
    facts.checks.iter().map(|check| check.modified).fold(node, Revision::max)
}

/// The service of this name, and the registry itself where it is called so, too.
pub(crate) fn with_server<'a>(
    at: &'a Snapshot,
    server: Option<&'a Arc<InstanceView>>,
    name: &str,
) -> impl Iterator<Item = &'a Arc<InstanceView>> {
    let own = server.filter(|_| name.eq_ignore_ascii_case(SERVER)).into_iter();
    let service = at.service(DEFAULT_NAMESPACE, name);
    own.chain(service.into_iter().flat_map(|service| service.instances()))
}

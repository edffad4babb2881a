use std::net::Ipv6Addr;
use std::sync::Arc;

use switchboard_model::{
    Health, Id, InstanceKey, Metadata, Name, Port, Rejection, Revision, ServiceKey, Tags,
};

/// One place where a service answers, as its consumers see it.
///
/// ```
/// use switchboard_discover::Instance;
///
/// let instance = Instance { weight: 5, ..Instance::new("users", "a", "fd00::1", 8080)? };
/// assert_eq!(instance.authority().unwrap(), "[fd00::1]:8080");
/// assert!(instance.health.is_served());
/// # Ok::<(), switchboard_discover::Rejection>(())
/// ```
#[derive(Clone, Debug)]
pub struct Instance {
    /// Who it is. Everything else may change.
    pub key: Arc<InstanceKey>,
    /// A host name or an IP address without brackets.
    pub host: Box<str>,
    /// The first is meant when none is named.
    pub ports: Box<[Port]>,
    /// Its labels.
    pub tags: Tags,
    /// What its provider says about it.
    pub metadata: Metadata,
    /// Share of the traffic relative to the others; 0 takes no new calls.
    pub weight: u32,
    /// The failure domain it is in.
    pub zone: Option<Arc<str>>,
    /// What the registry thinks of it.
    pub health: Health,
    /// The newest revision that shows in it; 0 where the registry has none.
    pub revision: Revision,
}

impl Instance {
    /// A passing instance of weight 1 in the default namespace.
    pub fn new(service: &str, id: &str, host: &str, port: u16) -> Result<Instance, Rejection> {
        let service =
            ServiceKey { namespace: Name::default_namespace(), service: Name::parse("service", service)? };
        Instance::of(&service, id, host, port)
    }

    /// A passing instance of weight 1. Port 0 means that it has none.
    pub fn of(service: &ServiceKey, id: &str, host: &str, port: u16) -> Result<Instance, Rejection> {
        if host.is_empty() {
            return Err(Rejection::invalid("host", "must not be empty"));
        }
        let key = InstanceKey {
            namespace: service.namespace.clone(),
            service: service.service.clone(),
            node: None,
            id: Id::parse("id", id)?,
        };
        let ports = (port != 0).then(|| Port { name: Arc::from(""), number: port });
        Ok(Instance {
            key: Arc::new(key),
            host: host.into(),
            ports: ports.into_iter().collect(),
            tags: Tags::default(),
            metadata: Metadata::default(),
            weight: 1,
            zone: None,
            health: Health::Passing,
            revision: Revision(0),
        })
    }

    /// Its main port.
    pub fn port(&self) -> Option<u16> {
        self.ports.first().map(|port| port.number)
    }

    /// The port with this name.
    pub fn port_named(&self, name: &str) -> Option<u16> {
        self.ports.iter().find(|port| &*port.name == name).map(|port| port.number)
    }

    /// `host:port` with the main port, an IPv6 address in brackets. None: it has no port.
    ///
    /// ```
    /// let here = switchboard_discover::Instance::new("users", "a", "::1", 8080).unwrap();
    /// assert_eq!(here.authority().unwrap(), "[::1]:8080");
    /// ```
    pub fn authority(&self) -> Option<String> {
        self.port().map(|port| self.authority_at(port))
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority_at(&self, port: u16) -> String {
        match self.host.parse::<Ipv6Addr>() {
            Ok(_) => format!("[{}]:{port}", self.host),
            Err(_) => format!("{}:{port}", self.host),
        }
    }

    /// Whether a connection to the one is good for the other.
    pub fn is_at_the_same_place(&self, other: &Instance) -> bool {
        self.host == other.host && self.ports == other.ports
    }
}

/// Everything but the revision: what is the same at a later revision is the same.
impl PartialEq for Instance {
    fn eq(&self, other: &Instance) -> bool {
        let Instance { key, host, ports, tags, metadata, weight, zone, health, revision: _ } = self;
        *key == other.key
            && *host == other.host
            && *ports == other.ports
            && *tags == other.tags
            && *metadata == other.metadata
            && *weight == other.weight
            && *zone == other.zone
            && *health == other.health
    }
}

impl Eq for Instance {}

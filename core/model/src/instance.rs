use std::sync::Arc;

use crate::words::text_limit;
use crate::{Annex, Health, Id, LeaseId, Metadata, Name, NodeKey, Rejection, ServiceKey, Tags};

/// Who an instance is. Everything else about it may change.
///
/// ```
/// use switchboard_model::{Id, InstanceKey, Name};
///
/// let key = InstanceKey {
///     namespace: Name::default_namespace(),
///     service: Name::parse("service", "users")?,
///     node: None,
///     id: Id::parse("id", "a")?,
/// };
/// assert_eq!(key.to_string(), "default/users/a");
/// # Ok::<(), switchboard_model::Rejection>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    pub namespace: Name,
    pub service: Name,
    /// Protocols without nodes leave it empty.
    pub node: Option<Name>,
    pub id: Id,
}

impl InstanceKey {
    pub fn service_key(&self) -> ServiceKey {
        ServiceKey { namespace: self.namespace.clone(), service: self.service.clone() }
    }

    pub fn node_key(&self) -> Option<NodeKey> {
        self.node.clone().map(|node| NodeKey { namespace: self.namespace.clone(), node })
    }
}

impl std::fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{}/{}/{node}/{}", self.namespace, self.service, self.id),
            None => write!(f, "{}/{}/{}", self.namespace, self.service, self.id),
        }
    }
}

/// One place where a service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub key: Arc<InstanceKey>,
    /// A host name or an IP address without brackets; never empty.
    pub address: Box<str>,
    /// The first is the one a consumer means when it names none. Empty where the protocol knows no ports.
    pub ports: Box<[Port]>,
    pub tags: Tags,
    pub metadata: Metadata,
    /// Share of traffic relative to the other instances of the service; 0 takes no new traffic.
    pub weight: u32,
    /// The same while it is served with warnings. None: no other share. A registration without one leaves it as it was.
    pub warning_weight: Option<u32>,
    pub zone: Option<Arc<str>>,
    pub lifecycle: Lifecycle,
    /// The lease it lives by. None: it stays until someone deregisters it.
    pub lease: Option<LeaseId>,
    /// The protocol it was registered through.
    pub origin: Arc<str>,
    pub annex: Annex,
}

impl Instance {
    pub const MAX_PORTS: usize = 32;
    pub const MAX_WEIGHT: u32 = 65_535;

    /// The rules that hold for every instance, whoever registers it.
    pub fn validate(&self) -> Result<(), Rejection> {
        validate_address("address", &self.address)?;
        if self.ports.len() > Instance::MAX_PORTS {
            return Err(Rejection::Limit { what: "ports".into(), limit: Instance::MAX_PORTS as u64 });
        }
        for (i, port) in self.ports.iter().enumerate() {
            if port.number == 0 {
                return Err(Rejection::invalid(format!("ports[{i}].port"), "must be between 1 and 65535"));
            }
            text_limit(&format!("ports[{i}].name"), &port.name, 63)?;
            if self.ports.iter().skip(i + 1).any(|other| other.name == port.name) {
                return Err(Rejection::invalid(
                    format!("ports[{i}].name"),
                    format!("{:?} is given twice", port.name),
                ));
            }
        }
        for (field, weight) in [("weight", Some(self.weight)), ("warning_weight", self.warning_weight)] {
            if weight.is_some_and(|weight| weight > Instance::MAX_WEIGHT) {
                return Err(Rejection::invalid(field, format!("must be at most {}", Instance::MAX_WEIGHT)));
            }
        }
        match &self.zone {
            Some(zone) => text_limit("zone", zone, 255),
            None => Ok(()),
        }
    }

    /// Lets `share` replace each text that many instances have in common by an equal one.
    pub fn share(&mut self, share: &mut dyn FnMut(&mut Arc<str>)) {
        self.tags.share(share);
        self.metadata.share(share);
        self.zone.as_mut().into_iter().for_each(&mut *share);
        self.ports.iter_mut().for_each(|port| share(&mut port.name));
        share(&mut self.origin);
    }

    pub fn port(&self) -> Option<u16> {
        self.ports.first().map(|port| port.number)
    }

    /// Its share while it is as healthy as this.
    pub fn weight_at(&self, health: Health) -> u32 {
        match health {
            Health::Warning => self.warning_weight.unwrap_or(self.weight),
            _ => self.weight,
        }
    }
}

/// An address is a host name or an IP address; a URL, a port or white space in it is a mistake worth naming.
pub(crate) fn validate_address(field: &str, address: &str) -> Result<(), Rejection> {
    text_limit(field, address, 255)?;
    if address.is_empty() {
        return Err(Rejection::invalid(field, "must not be empty"));
    }
    if address.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match address.chars().find(|&c| !allowed(c)) {
        Some(c) => Err(Rejection::invalid(
            field,
            format!("must be a host name or an IP address, without scheme or port; it holds {c:?}"),
        )),
        None => Ok(()),
    }
}

/// A named port. The name of the main port may be empty.
///
/// ```
/// let admin = switchboard_model::Port { name: "admin".into(), number: 9090 };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: Arc<str>,
    pub number: u16,
}

/// What the provider wants for the instance. Health is what others found out about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifecycle {
    /// Not ready for traffic yet.
    Starting,
    #[default]
    Up,
    /// Finishes what it has and takes nothing new.
    Draining,
    /// Taken out by its owner until further notice.
    OutOfService,
}

impl Lifecycle {
    pub fn as_str(self) -> &'static str {
        match self {
            Lifecycle::Starting => "starting",
            Lifecycle::Up => "up",
            Lifecycle::Draining => "draining",
            Lifecycle::OutOfService => "out_of_service",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_nothing_more() {
        for good in ["192.168.1.100", "::1", "fe80::1", "web-01.example.com", "under_score"] {
            validate_address("host", good).unwrap();
        }
        for bad in ["", "http://x", "10.0.0.1:80", "[::1]", "a b", "a/b"] {
            assert!(validate_address("host", bad).is_err(), "{bad:?} was accepted");
        }
    }
}

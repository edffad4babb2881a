//! Where a check goes, with what it leaves open taken from its owner.

use switchboard_model::{Check, Owner};
use switchboard_registry::Snapshot;

use crate::policy::{Aim, Host, target};

/// The target of a probe, before its name is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aimed {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) aim: Aim,
}

impl Aimed {
    /// Err: the check cannot be made, and why.
    pub(crate) fn at(snapshot: &Snapshot, check: &Check) -> Result<Aimed, String> {
        let target = target(&check.probe).ok_or("it is not an active check")?;
        let (address, own_port) = match &check.key.owner {
            Owner::Instance(key) => {
                let view = snapshot.instance(key).ok_or("its instance is gone")?;
                (Some(&view.instance.address), view.instance.port())
            }
            Owner::Node(key) => {
                let node = snapshot.node(key).and_then(|view| view.facts.node.as_ref());
                (node.map(|node| &node.address), None)
            }
        };
        let port = target.port.or(own_port).ok_or("neither the check nor what it is about names a port")?;
        let (host, aim) = match (&target.host, address) {
            (Some(host), Some(address)) => (host, Aim::of(address, Some(host))),
            (Some(host), None) => (host, Aim::Elsewhere),
            (None, Some(address)) => (address, Aim::Own),
            (None, None) => return Err("neither the check nor its node names an address".to_owned()),
        };
        Ok(Aimed { host: Host::parse(host)?, port, aim })
    }

    /// Host and port as they stand in a URL.
    pub(crate) fn authority(&self) -> String {
        match &self.host {
            Host::Ip(std::net::IpAddr::V6(ip)) => format!("[{ip}]:{}", self.port),
            host => format!("{host}:{}", self.port),
        }
    }
}

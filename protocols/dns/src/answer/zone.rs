use std::net::IpAddr;

use switchboard_model::{DEFAULT_NAMESPACE, Name, NodeKey};

use super::Ground;
use crate::config::seconds;
use crate::lens::{self, Host};
use crate::names::Zone;
use crate::wire::{Data, DomainName, Owner, Sheaf, SheafBuilder, Soa, body};

/// What this server is and where.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) node_name: String,
    /// None: it listens on all addresses, and nobody said which of them is meant.
    pub(crate) address: Option<IpAddr>,
}

/// The service that servers are instances of, for whoever registers them.
pub(super) const SERVERS: &str = "consul";
const MOST_SERVERS: usize = 3;

impl Ground<'_> {
    pub(super) fn soa(&self, zone: &Zone) -> Sheaf {
        let (Some(server), Some(mailbox)) = (zone.below("ns"), zone.below("hostmaster")) else {
            return Sheaf::default();
        };
        let times = &self.config.soa;
        let min_ttl = seconds(times.min_ttl);
        let soa = Soa {
            server,
            mailbox,
            serial: self.now_s,
            refresh: seconds(times.refresh),
            retry: seconds(times.retry),
            expire: seconds(times.expire),
            min_ttl,
        };
        let mut records = SheafBuilder::default();
        records.add_alone(Owner::Domain, &body(min_ttl, &Data::Soa(&soa)));
        records.build()
    }

    /// Who is to be asked, with their addresses.
    pub(super) fn name_servers(&self, zone: &Zone) -> Sheaf {
        let ttl = seconds(self.config.node_ttl);
        let mut records = SheafBuilder::default();
        for (name, address) in self.servers(zone) {
            let glue = address.map(|address| (Owner::Target, body(ttl, &Data::Address(address))));
            let glue: Vec<_> = glue.into_iter().collect();
            records.add(Owner::Domain, records.len(), &body(ttl, &Data::Ns(&name)), &glue);
        }
        records.build()
    }

    /// Some of the servers that are registered, or else this one.
    fn servers(&self, zone: &Zone) -> Vec<(DomainName, Option<IpAddr>)> {
        let mut found = Vec::new();
        let service = self.at.service(DEFAULT_NAMESPACE, SERVERS);
        let mut views: Vec<_> = service.iter().flat_map(|service| service.instances()).collect();
        views.retain(|view| view.is_served() && lens::node(view).is_some());
        fastrand::shuffle(&mut views);
        for view in views.into_iter().take(MOST_SERVERS) {
            let Some(facts) = &view.node else { continue };
            let name = zone.node(facts.key.namespace.as_str(), facts.key.node.as_str());
            let address = lens::node(view).and_then(|node| match lens::host(&node.address) {
                Host::Address(address) => Some(address),
                Host::Name(_) => None,
            });
            found.extend(name.map(|name| (name, address)));
        }
        if found.is_empty() {
            let name = zone.node(DEFAULT_NAMESPACE, &self.own.node_name).or_else(|| zone.below("ns"));
            found.extend(name.map(|name| (name, self.own_address())));
        }
        found
    }

    /// As it is registered, or else as it is configured.
    fn own_address(&self) -> Option<IpAddr> {
        let node = Name::parse("node", &self.own.node_name).ok()?;
        let key = NodeKey { namespace: Name::default_namespace(), node };
        let registered = self.at.node(&key).and_then(|view| view.facts.node.as_ref());
        match registered.map(|node| lens::host(&node.address)) {
            Some(Host::Address(address)) => Some(address),
            Some(Host::Name(_)) | None => self.own.address,
        }
    }
}

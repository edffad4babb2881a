use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use domain::base::iana::Rtype;
use switchboard_registry::{InstanceView, MemoKey};

use super::is_asked;
use crate::lens::{self, Host};
use crate::names::{ServiceWanted, Zone};
use crate::wire::{Data, DomainName, Owner, Sheaf, SheafBuilder, body};

/// How instances are told: whichever they are, and whichever name they were asked for by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<'a> {
    pub(super) zone: &'a Zone,
    pub(super) qtype: Rtype,
    pub(super) port: Option<&'a str>,
    pub(super) ttl: u32,
    /// Tell the metadata of nodes, too.
    pub(super) texts: bool,
}

pub(super) fn given(view: &InstanceView, only_passing: bool, wanted: &ServiceWanted<'_>) -> bool {
    lens::is_given(view, only_passing) && lens::is_wanted(view, wanted)
}

impl Form<'_> {
    pub(super) fn memo_key(&self, only_passing: bool) -> MemoKey {
        // Addresses are the same in every zone.
        let zone = if self.qtype == Rtype::SRV { self.zone.index } else { 0 };
        let [high, low] = self.qtype.to_int().to_be_bytes();
        ("dns", u64::from_be_bytes([0, 0, 0, 0, u8::from(only_passing), zone, high, low]))
    }

    pub(super) fn sheaf<'v>(&self, instances: impl Iterator<Item = &'v InstanceView>) -> Sheaf {
        match self.qtype {
            Rtype::A | Rtype::AAAA | Rtype::ANY => self.addresses(instances),
            Rtype::SRV => self.services(instances),
            _ => Sheaf::default(),
        }
    }

    /// Each address once. Host names only where there are no addresses: an alias stands alone.
    fn addresses<'v>(&self, instances: impl Iterator<Item = &'v InstanceView>) -> Sheaf {
        let (mut addresses, mut aliases) = (SheafBuilder::default(), SheafBuilder::default());
        let mut seen = HashSet::new();
        for view in instances {
            let host = lens::host(&view.instance.address);
            if !seen.insert(host_key(host)) {
                continue;
            }
            match host {
                Host::Address(address) if is_asked(self.qtype, address) => {
                    addresses.add_alone(Owner::Question, &body(self.ttl, &Data::Address(address)));
                }
                Host::Address(_) => {}
                Host::Name(name) => {
                    if let Some(name) = DomainName::parse(name) {
                        aliases.add_alone(Owner::Question, &body(self.ttl, &Data::Cname(&name)));
                    }
                }
            }
        }
        if addresses.len() > 0 { addresses.build() } else { aliases.build() }
    }

    /// Each node, address and port once.
    fn services<'v>(&self, instances: impl Iterator<Item = &'v InstanceView>) -> Sheaf {
        let mut records = SheafBuilder::default();
        let mut groups: HashMap<DomainName, usize> = HashMap::new();
        let mut seen = HashSet::new();
        for view in instances {
            let Some(port) = lens::port(view, self.port) else { continue };
            let Some(target) = self.target(view) else { continue };
            if !seen.insert((view.key().node.clone(), &view.instance.address, port)) {
                continue;
            }
            let srv = body(self.ttl, &Data::Srv { weight: lens::weight(view), port, target: &target });
            let next = groups.len();
            let group = *groups.entry(target).or_insert(next);
            records.add(Owner::Question, group, &srv, &self.along(view));
        }
        records.build()
    }

    /// Where an instance is, as a name: its node's if it is found at that node's address, and else one that its
    /// address is spelled out in.
    fn target(&self, view: &InstanceView) -> Option<DomainName> {
        let node = lens::node_at_its_address(view)
            .and_then(|facts| self.zone.node(facts.key.namespace.as_str(), facts.key.node.as_str()));
        node.or_else(|| match lens::host(&view.instance.address) {
            Host::Address(address) => self.zone.address(address),
            Host::Name(name) => DomainName::parse(name),
        })
    }

    /// What goes along with a target: its address, and what is known of its node.
    fn along(&self, view: &InstanceView) -> Vec<(Owner, Vec<u8>)> {
        let mut along = Vec::new();
        match lens::host(&view.instance.address) {
            Host::Address(address) => along.push((Owner::Target, body(self.ttl, &Data::Address(address)))),
            // Where that is, is for others to say.
            Host::Name(_) => return along,
        }
        if self.texts
            && let Some(node) = lens::node(view)
        {
            let texts = lens::texts(node);
            along.extend(texts.iter().map(|text| (Owner::Target, body(self.ttl, &Data::Txt(text)))));
        }
        along
    }
}

fn host_key(host: Host<'_>) -> (Option<IpAddr>, String) {
    match host {
        Host::Address(address) => (Some(address), String::new()),
        Host::Name(name) => (None, name.to_ascii_lowercase()),
    }
}

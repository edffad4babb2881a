//! Records for whatever was asked: the one place where an answer is made, for all names and all transports.

mod alias;
mod instances;
mod node;
mod write;
mod zone;

use std::net::IpAddr;

use domain::base::iana::{OptRcode, Rtype};
use switchboard_facade::Asker;
use switchboard_model::DEFAULT_NAMESPACE;
use switchboard_registry::Snapshot;

use crate::config::{Config, seconds};
use crate::names::{ServiceWanted, Subject, Zone};
use crate::wire::{Data, DomainName, Owner, Sheaf, SheafBuilder, body};
use instances::Form;

pub(crate) use alias::MOST as MOST_BEHIND_ALIAS;
pub(crate) use write::{EVERYONE, Transport, most_bytes, write};
pub(crate) use zone::Own;
use zone::SERVERS;

/// An answer before it is known how much of it may be said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) rcode: OptRcode,
    pub(crate) answers: Sheaf,
    pub(crate) authority: Sheaf,
    pub(crate) additional: Sheaf,
    /// Any of the answers are as good as the others.
    pub(crate) shuffled: bool,
    /// Answers at most, wherever they go.
    pub(crate) most: usize,
    /// Where the answers lead, if they only say that it is somewhere else.
    pub(crate) alias: Option<DomainName>,
    /// It is the same for the whole of the network that was asked for, and not for others.
    pub(crate) for_network: bool,
}

impl Answer {
    pub(crate) fn new(rcode: OptRcode) -> Answer {
        Answer {
            rcode,
            answers: Sheaf::default(),
            authority: Sheaf::default(),
            additional: Sheaf::default(),
            shuffled: false,
            most: usize::MAX,
            alias: None,
            for_network: false,
        }
    }

    pub(crate) fn of(answers: Sheaf) -> Answer {
        Answer { answers, ..Answer::new(OptRcode::NOERROR) }
    }
}

/// What answers are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) config: &'a Config,
    pub(crate) own: &'a Own,
    pub(crate) at: &'a Snapshot,
    pub(crate) now_s: u32,
    pub(crate) sets: &'a switchboard_facade::NamedSets,
    pub(crate) asker: Asker,
}

impl Ground<'_> {
    /// What is said about `subject` when records of type `qtype` are asked for.
    pub(crate) fn answer(&self, zone: &Zone, subject: &Subject<'_>, qtype: Rtype) -> Answer {
        match qtype {
            Rtype::AXFR | Rtype::IXFR => return Answer::new(OptRcode::NOTIMP),
            Rtype::SOA => {
                let authority = self.name_servers(zone);
                return Answer { authority, ..Answer::of(self.soa(zone)) };
            }
            Rtype::NS => return Answer { shuffled: true, ..Answer::of(self.name_servers(zone)) },
            _ => {}
        }
        match subject {
            Subject::Nothing => self.does_not_exist(zone),
            Subject::Empty => self.has_none(zone),
            Subject::Server => self.addresses(zone, self.own.address.into_iter(), qtype),
            Subject::Address(address) => self.address(zone, *address, qtype),
            Subject::Service(wanted) => self.service(zone, wanted, qtype),
            Subject::Node { namespace, node } => self.node(zone, namespace, node, qtype),
            Subject::Set(name) => self.set(zone, name, qtype),
        }
    }

    fn service(&self, zone: &Zone, wanted: &ServiceWanted<'_>, qtype: Rtype) -> Answer {
        let Some(service) = self.at.service(wanted.namespace, wanted.service) else {
            return self.itself(zone, wanted, qtype).unwrap_or_else(|| self.does_not_exist(zone));
        };
        let only_passing = self.config.only_passing;
        let given = || {
            let instances = service.instances().map(|view| &**view);
            instances.filter(|view| instances::given(view, only_passing, wanted))
        };
        let form = Form {
            zone,
            qtype,
            port: wanted.port,
            ttl: self.config.ttl_of(wanted.service),
            texts: self.config.node_meta_txt,
        };
        let sheaf = match wanted.tag.is_none() && wanted.port.is_none() {
            true => {
                let encode = || form.sheaf(given()).into_bytes();
                Sheaf::from_bytes(service.memo.get_or_encode(form.memo_key(only_passing), encode))
            }
            false => form.sheaf(given()),
        };
        match sheaf.is_empty() {
            true if given().next().is_none() => self.does_not_exist(zone),
            true => self.has_none(zone),
            false => self.of_instances(sheaf, qtype),
        }
    }

    /// This registry, asked for as the service that it is. None: something else is asked for.
    fn itself(&self, zone: &Zone, wanted: &ServiceWanted<'_>, qtype: Rtype) -> Option<Answer> {
        let is_meant = wanted.service.eq_ignore_ascii_case(SERVERS)
            && wanted.namespace.eq_ignore_ascii_case(DEFAULT_NAMESPACE);
        let view = is_meant.then(|| self.sets.itself(self.at)).flatten()?;
        if !instances::given(&view, self.config.only_passing, wanted) {
            return None;
        }
        let ttl = self.config.ttl_of(wanted.service);
        let form = Form { zone, qtype, port: wanted.port, ttl, texts: self.config.node_meta_txt };
        let sheaf = form.sheaf(std::iter::once(&*view));
        Some(if sheaf.is_empty() { self.has_none(zone) } else { self.of_instances(sheaf, qtype) })
    }

    fn set(&self, zone: &Zone, name: &str, qtype: Rtype) -> Answer {
        let Some(set) = self.sets.find(self.at, name, &self.asker) else { return self.does_not_exist(zone) };
        let ttl = set.ttl.map(|ttl| seconds(switchboard_facade::Span(ttl)));
        let ttl = ttl.unwrap_or_else(|| self.config.ttl_of(&set.service));
        let form = Form { zone, qtype, port: None, ttl, texts: self.config.node_meta_txt };
        let sheaf = form.sheaf(set.instances.iter().map(|view| &**view));
        let answer = match sheaf.is_empty() {
            true if set.instances.is_empty() => self.does_not_exist(zone),
            true => self.has_none(zone),
            false => self.of_instances(sheaf, qtype),
        };
        Answer { shuffled: !set.in_order, for_network: true, ..answer }
    }

    fn of_instances(&self, sheaf: Sheaf, qtype: Rtype) -> Answer {
        let limit = match self.config.a_record_limit {
            limit if limit > 0 && qtype != Rtype::SRV => limit,
            _ => usize::MAX,
        };
        match alias::target(&sheaf) {
            Some(_) => {
                // Of several that are somewhere else, one is followed: a name has one alias.
                let one = alias::one_of(&sheaf);
                Answer { alias: alias::target(&one), ..Answer::of(one) }
            }
            None => Answer { shuffled: true, most: limit, ..Answer::of(sheaf) },
        }
    }

    /// For types that an address is not, it goes along with an empty answer.
    fn address(&self, zone: &Zone, address: IpAddr, qtype: Rtype) -> Answer {
        let answer = self.addresses(zone, std::iter::once(address), qtype);
        if !answer.answers.is_empty() {
            return answer;
        }
        let mut additional = SheafBuilder::default();
        let ttl = seconds(self.config.node_ttl);
        additional.add_alone(Owner::Question, &body(ttl, &Data::Address(address)));
        Answer { additional: additional.build(), ..Answer::new(OptRcode::NOERROR) }
    }

    fn addresses(&self, zone: &Zone, addresses: impl Iterator<Item = IpAddr>, qtype: Rtype) -> Answer {
        let ttl = seconds(self.config.node_ttl);
        let mut answers = SheafBuilder::default();
        for address in addresses.filter(|address| is_asked(qtype, *address)) {
            answers.add_alone(Owner::Question, &body(ttl, &Data::Address(address)));
        }
        match answers.len() {
            0 => self.has_none(zone),
            _ => Answer::of(answers.build()),
        }
    }

    fn does_not_exist(&self, zone: &Zone) -> Answer {
        Answer { authority: self.soa(zone), ..Answer::new(OptRcode::NXDOMAIN) }
    }

    /// It exists, and there is nothing of this type.
    fn has_none(&self, zone: &Zone) -> Answer {
        Answer { authority: self.soa(zone), ..Answer::new(OptRcode::NOERROR) }
    }
}

/// Whether an address is among what is asked for.
fn is_asked(qtype: Rtype, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => matches!(qtype, Rtype::A | Rtype::ANY),
        IpAddr::V6(_) => matches!(qtype, Rtype::AAAA | Rtype::ANY),
    }
}

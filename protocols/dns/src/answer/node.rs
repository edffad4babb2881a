use domain::base::iana::{OptRcode, Rtype};
use switchboard_model::{DEFAULT_NAMESPACE, NODELESS, Name, Node, NodeKey};

use super::{Answer, Ground, alias, is_asked};
use crate::config::seconds;
use crate::lens::{self, Host};
use crate::names::Zone;
use crate::wire::{Data, DomainName, Owner, SheafBuilder, body};

impl Ground<'_> {
    pub(super) fn node(&self, zone: &Zone, namespace: &str, node: &str, qtype: Rtype) -> Answer {
        // Nodes have these and nothing else; whether there is such a node is not even looked up.
        if !matches!(qtype, Rtype::ANY | Rtype::A | Rtype::AAAA | Rtype::TXT) {
            return Answer::new(OptRcode::NOERROR);
        }
        let names = (Name::parse("namespace", namespace), Name::parse("node", node));
        let (Ok(namespace), Ok(node)) = names else { return self.does_not_exist(zone) };
        let key = NodeKey { namespace, node };
        match self.at.node(&key).map(|view| view.facts.node.as_ref()) {
            Some(Some(node)) => self.registered_node(zone, &node.value, qtype),
            _ if self.is_own(&key) => self.addresses(zone, self.own.address.into_iter(), qtype),
            // Instances name it, and nobody said where it is.
            Some(None) => self.has_none(zone),
            None => self.does_not_exist(zone),
        }
    }

    fn is_own(&self, key: &NodeKey) -> bool {
        let is = |name: &str| key.node.as_str().eq_ignore_ascii_case(name);
        key.namespace.as_str().eq_ignore_ascii_case(DEFAULT_NAMESPACE)
            && (is(&self.own.node_name) || is(NODELESS))
    }

    fn registered_node(&self, zone: &Zone, node: &Node, qtype: Rtype) -> Answer {
        let ttl = seconds(self.config.node_ttl);
        let texts = || lens::texts(node).into_iter().map(|text| body(ttl, &Data::Txt(&text)));
        let mut answers = SheafBuilder::default();
        if qtype != Rtype::TXT {
            let record = match lens::host(&node.address) {
                Host::Address(address) if is_asked(qtype, address) => {
                    Some(body(ttl, &Data::Address(address)))
                }
                Host::Address(_) => None,
                Host::Name(name) => DomainName::parse(name).map(|name| body(ttl, &Data::Cname(&name))),
            };
            record.iter().for_each(|record| answers.add_alone(Owner::Question, record));
        }
        let mut additional = SheafBuilder::default();
        match qtype {
            Rtype::TXT | Rtype::ANY => texts().for_each(|text| answers.add_alone(Owner::Question, &text)),
            _ if self.config.node_meta_txt => {
                texts().for_each(|text| additional.add_alone(Owner::Question, &text));
            }
            _ => {}
        }
        if answers.len() == 0 {
            return self.has_none(zone);
        }
        let answers = answers.build();
        Answer { alias: alias::target(&answers), additional: additional.build(), ..Answer::of(answers) }
    }
}

//! A prefix under which keys are instances, and instances are keys.
//!
//! A key of the shape `prefix service/id` with a value that describes an instance is that instance; instances from
//! elsewhere appear under the same shape. Words that would break the shape are percent-encoded, and an instance on a
//! node other than this one has its node behind its id: `prefix service/id@node`. A key that is not written exactly so
//! is an ordinary key.

use std::sync::Arc;

use bytes::Bytes;
use switchboard_model::{
    Annex, Id, Instance, InstanceKey, Lifecycle, Metadata, Name, NodeKey, Revision, Selector, ServiceKey,
    Tags,
};
use switchboard_registry::{InstanceView, Snapshot};

use super::range::KeyRange;
use super::value::{Described, Form, to_wire};
use crate::wire::mvccpb::KeyValue;

/// The protocol as the origin of instances, and the name under which they keep the exact value that a client put.
const ORIGIN: &str = "etcd";

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Projection {
    pub(crate) prefix: String,
    pub(crate) namespace: Name,
    pub(crate) form: Form,
    /// The node whose instances are shown without it. None: there is no such node.
    pub(crate) home: Option<Name>,
}

impl Projection {
    /// Which instance the key would be. None: it does not have the shape.
    pub(crate) fn read(&self, key: &[u8]) -> Option<InstanceKey> {
        let rest = std::str::from_utf8(key.strip_prefix(self.prefix.as_bytes())?).ok()?;
        let (service, rest) = rest.split_once('/')?;
        let (id, node) = match rest.rsplit_once('@') {
            Some((id, node)) => (id, Some(node)),
            None => (rest, None),
        };
        let name = |text: &str| Name::parse("name", &decode(text)?).ok();
        let instance = InstanceKey {
            namespace: self.namespace.clone(),
            service: name(service)?,
            node: match node {
                Some(node) => Some(name(node)?),
                None => None,
            },
            id: Id::parse("id", &decode(id)?).ok()?,
        };
        (self.write(&instance)? == key).then_some(instance)
    }

    /// The key that the instance is. None: it is of another namespace.
    pub(crate) fn write(&self, instance: &InstanceKey) -> Option<Bytes> {
        if instance.namespace != self.namespace {
            return None;
        }
        let mut key = self.prefix.clone();
        encode(&mut key, instance.service.as_str());
        key.push('/');
        encode(&mut key, instance.id.as_str());
        if let Some(node) = &instance.node
            && self.home.as_ref() != Some(node)
        {
            key.push('@');
            encode(&mut key, node.as_str());
        }
        Some(key.into())
    }

    /// The instance that the key is now. One without a node goes before one of the same name on our own node.
    pub(crate) fn find<'a>(&self, at: &'a Snapshot, key: &[u8]) -> Option<&'a Arc<InstanceView>> {
        let instance = self.read(key)?;
        let found = at.instance(&instance).or_else(|| {
            let node = instance.node.is_none().then(|| self.home.clone())??;
            at.instance(&InstanceKey { node: Some(node), ..instance })
        })?;
        (self.write(found.key())? == key).then_some(found)
    }

    /// Like [`Projection::read`], and the registry spells its names this way or knows none of them.
    pub(crate) fn place(&self, at: &Snapshot, key: &[u8]) -> Option<InstanceKey> {
        if let Some(view) = self.find(at, key) {
            return Some((**view.key()).clone());
        }
        let instance = self.read(key)?;
        let spelled = InstanceKey {
            service: at.service_of(&instance).map_or(instance.service.clone(), |it| it.key.service.clone()),
            node: instance.node.as_ref().map(|node| {
                let named = NodeKey { namespace: self.namespace.clone(), node: node.clone() };
                at.node(&named).map_or(node.clone(), |view| view.facts.key.node.clone())
            }),
            ..instance.clone()
        };
        (at.instance(&instance).is_none() && self.write(&spelled)? == key).then_some(instance)
    }

    /// The one service that the whole range is about, if there is one.
    pub(crate) fn service(&self, range: &KeyRange) -> Option<ServiceKey> {
        let rest = std::str::from_utf8(range.start.strip_prefix(self.prefix.as_bytes())?).ok()?;
        let (service, _) = rest.split_once('/')?;
        if !range.is_within_prefix(format!("{}{service}/", self.prefix).as_bytes()) {
            return None;
        }
        let service = Name::parse("service", &decode(service)?).ok()?;
        Some(ServiceKey { namespace: self.namespace.clone(), service })
    }

    /// The instance as a key. None: consumers are not given it.
    pub(crate) fn show(&self, view: &InstanceView) -> Option<KeyValue> {
        if !view.is_served() {
            return None;
        }
        Some(KeyValue {
            key: self.write(view.key())?,
            create_revision: super::revision_to_wire(view.instance.created),
            mod_revision: super::revision_to_wire(modified(view)),
            version: view.instance.version.cast_signed(),
            value: self.value(view),
            lease: super::lease_to_wire(view.instance.lease),
        })
    }

    /// What the client put, as long as it still says what is true; otherwise the instance in this prefix's form.
    pub(crate) fn value(&self, view: &InstanceView) -> Bytes {
        let put = view.instance.annex.get(ORIGIN).and_then(|bytes| {
            let prefix = self.prefix.as_bytes();
            (bytes.starts_with(prefix) && bytes.get(prefix.len()) == Some(&0))
                .then(|| bytes.slice(prefix.len() + 1..))
        });
        if let Some(put) = put
            && let Some(described) = Described::from_wire(&put)
        {
            let mut as_described = view.instance.value.clone();
            described.apply(&mut as_described);
            if as_described == view.instance.value {
                return put;
            }
        }
        to_wire(self.form, &view.instance)
    }

    /// The instance that a value describes, over what is known of it. None: the value describes none.
    pub(crate) fn instance(
        &self,
        before: Option<&InstanceView>,
        key: InstanceKey,
        value: &Bytes,
    ) -> Option<Instance> {
        let described = Described::from_wire(value)?;
        let mut instance = match before {
            Some(view) => view.instance.value.clone(),
            None => Instance {
                key: Arc::new(key),
                address: "".into(),
                ports: Box::default(),
                tags: Tags::default(),
                metadata: Metadata::default(),
                weight: 1,
                warning_weight: None,
                zone: None,
                lifecycle: Lifecycle::Up,
                lease: None,
                origin: ORIGIN.into(),
                annex: Annex::default(),
            },
        };
        described.apply(&mut instance);
        // Registering keeps what the others said.
        instance.origin = ORIGIN.into();
        let put = [self.prefix.as_bytes(), &[0], value].concat();
        let differs = to_wire(self.form, &instance) != *value;
        instance.annex = instance.annex.with(ORIGIN, differs.then(|| put.into())).ok()?;
        instance.validate().ok()?;
        Some(instance)
    }
}

/// The newest commit that shows: of the instance, or of what decides whether consumers are given it. Made of the
/// records alone, so that it is the same after a restart.
pub(crate) fn modified(view: &InstanceView) -> Revision {
    let node_checks = view.node.iter().flat_map(|node| node.checks.iter());
    view.checks
        .iter()
        .chain(node_checks)
        .map(|check| check.modified)
        .chain(view.lease.as_ref().map(|lease| lease.modified))
        .fold(view.instance.modified, Revision::max)
}

/// All prefixes under which keys are instances. None of them is within another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Projections(pub(crate) Vec<Projection>);

impl Projections {
    pub(crate) fn of_key(&self, key: &[u8]) -> Option<&Projection> {
        self.0.iter().find(|projection| key.starts_with(projection.prefix.as_bytes()))
    }

    pub(crate) fn within<'a>(
        &'a self,
        range: &'a KeyRange,
    ) -> impl Iterator<Item = &'a Projection> + use<'a> {
        self.0.iter().filter(|projection| range.meets_prefix(projection.prefix.as_bytes()))
    }

    /// Everything whose changes can show in the range.
    pub(crate) fn selector(&self, range: &KeyRange) -> Selector {
        let entries =
            Selector::Entries { keyspace: super::keyspace(), start: range.start.clone(), end: range.end() };
        let instances = self.within(range).map(|projection| match projection.service(range) {
            Some(service) => Selector::Service(service),
            None => Selector::Services { namespace: Some(projection.namespace.clone()), prefix: "".into() },
        });
        let all: Vec<Selector> = instances.chain([entries.clone()]).collect();
        if all.len() == 1 { entries } else { Selector::AnyOf(all.into()) }
    }
}

fn encode(key: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '/' => key.push_str("%2F"),
            '%' => key.push_str("%25"),
            '@' => key.push_str("%40"),
            plain => key.push(plain),
        }
    }
}

/// None: it is not what `encode` would have written.
fn decode(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        plain.push(match after.get(..2)? {
            "2F" => '/',
            "25" => '%',
            "40" => '@',
            _ => return None,
        });
        rest = after.get(2..)?;
    }
    plain.push_str(rest);
    (!text.contains(['/', '@'])).then_some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn projection() -> Projection {
        Projection {
            prefix: "/services/".to_owned(),
            namespace: Name::default_namespace(),
            form: Form::Address,
            home: Some(Name::parse("node", "here").unwrap()),
        }
    }

    fn check(key: &str, expected: Option<(&str, Option<&str>, &str)>) {
        let read = projection().read(key.as_bytes());
        let said = read
            .as_ref()
            .map(|key| (key.service.as_str(), key.node.as_ref().map(Name::as_str), key.id.as_str()));
        assert_eq!(said, expected, "{key}");
    }

    #[test]
    fn keys_of_the_shape_are_instances_and_others_are_not() {
        check("/services/web/1.2.3.4:80", Some(("web", None, "1.2.3.4:80")));
        check("/services/web/a@node-1", Some(("web", Some("node-1"), "a")));
        check("/services/web/a%2Fb", Some(("web", None, "a/b")));
        for other in [
            "/services/web",
            "/services/web/",
            "/services//a",
            "/services/web/a/b",
            "/services/web/a%2f",
            "/x/web/a",
        ] {
            check(other, None);
        }
    }

    proptest! {
        #[test]
        fn every_instance_is_one_key_and_reads_back(
            service in "[a-zA-Z/@% ._é-]{1,8}", id in "[a-zA-Z/@%:.-]{1,8}", node in prop::option::of("[a-z/@%.]{1,8}")
        ) {
            let instance = InstanceKey {
                namespace: Name::default_namespace(),
                service: Name::parse("service", &service).unwrap(),
                node: node.map(|node| Name::parse("node", &node).unwrap()),
                id: Id::parse("id", &id).unwrap(),
            };
            let key = projection().write(&instance).unwrap();
            let read = projection().read(&key).unwrap();
            prop_assert_eq!(read.id.as_str(), id.as_str());
            prop_assert_eq!(read.service.as_str(), service.as_str());
            prop_assert_eq!(read.node.map(|it| it.to_string()), instance.node.map(|it| it.to_string()));
        }

        #[test]
        fn whatever_the_key_it_is_read_or_it_is_not(key in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut whole = b"/services/".to_vec();
            whole.extend(key);
            if let Some(instance) = projection().read(&whole) {
                prop_assert_eq!(projection().write(&instance).unwrap(), whole);
            }
        }
    }
}

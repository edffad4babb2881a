use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use switchboard_model::{Annex, Metadata, Name, Node, NodeKey, Rejection};
use switchboard_registry::InstanceView;
use switchboard_registry::NodeFacts;
use uuid::Uuid;

use crate::identity::Here;
use crate::wire;

/// What Consul says about a node and the model has no noun for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default)]
pub(crate) struct NodeWords {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) id: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tagged: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) zone: String,
    /// Where it said to be, if that is not here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) datacenter: String,
    /// Nobody has said where it is yet: its name stands for its address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_nowhere: bool,
}

impl NodeWords {
    pub(crate) fn of(annex: &Annex) -> NodeWords {
        annex.get("consul").and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    pub(crate) fn annex(&self) -> Result<Annex, Rejection> {
        annex_of(self, *self == NodeWords::default())
    }
}

pub(super) fn annex_of<T: Serialize>(words: &T, is_empty: bool) -> Result<Annex, Rejection> {
    if is_empty {
        return Ok(Annex::default());
    }
    let bytes = serde_json::to_vec(words).unwrap_or_default();
    Annex::new([("consul".into(), Bytes::from(bytes))])
}

/// What is said of a node that somebody registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeGiven<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: &'a str,
    pub(crate) tagged: &'a BTreeMap<String, String>,
    pub(crate) meta: &'a BTreeMap<String, String>,
    pub(crate) locality: Option<&'a wire::LocalityBody>,
    /// Empty: this one.
    pub(crate) datacenter: &'a str,
}

/// `id`: none is the one that it has anyway. `found` is where it is found if it does not say.
pub(crate) fn node_from_words(
    given: &NodeGiven<'_>,
    id: Option<String>,
    here: &str,
    found: &str,
) -> Result<Node, Rejection> {
    let locality = given.locality.cloned().unwrap_or_default();
    let words = NodeWords {
        id: id.unwrap_or_default(),
        tagged: given.tagged.clone(),
        region: locality.region,
        zone: locality.zone,
        datacenter: Some(given.datacenter).filter(|named| *named != here).unwrap_or_default().to_owned(),
        is_nowhere: given.address.is_empty(),
    };
    let pairs = given.meta.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    Ok(Node {
        key: NodeKey { namespace: Name::default_namespace(), node: Name::parse("node", given.name)? },
        address: if given.address.is_empty() { found.into() } else { given.address.into() },
        metadata: Metadata::new(pairs)?,
        annex: words.annex()?,
    })
}

/// A stable id for a node that brought none: clients key by it.
pub(crate) fn node_id(datacenter: &str, node: &str) -> Uuid {
    let name = format!("switchboard:{}:{}", datacenter.to_ascii_lowercase(), node.to_ascii_lowercase());
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

/// Whether this is the id of the node.
pub(crate) fn has_id(datacenter: &str, node: &Node, id: Uuid) -> bool {
    match NodeWords::of(&node.annex).id.as_str() {
        "" => node_id(datacenter, node.key.node.as_str()) == id,
        own => Uuid::parse_str(own).is_ok_and(|own| own == id),
    }
}

/// `member` is an instance on it: where nobody registered the node, its address is that of what runs there.
pub(crate) fn node_to_wire<'a>(
    here: &'a Here,
    facts: Option<&'a NodeFacts>,
    member: Option<&'a InstanceView>,
) -> wire::Node<'a> {
    let Some(facts) = facts else { return here.nodeless() };
    let words = facts.node.as_ref().map(|node| NodeWords::of(&node.annex)).unwrap_or_default();
    let name = facts.key.node.as_str();
    let address = match (&facts.node, member) {
        _ if words.is_nowhere => "",
        (Some(node), _) => &*node.address,
        (None, Some(member)) => &*member.instance.address,
        (None, None) => "",
    };
    let id = if words.id.is_empty() { node_id(&here.datacenter, name).to_string() } else { words.id };
    let tagged = words.tagged.into_iter().map(|(key, value)| (Cow::Owned(key), Cow::Owned(value))).collect();
    wire::Node {
        id: id.into(),
        node: name,
        address,
        datacenter: match words.datacenter.as_str() {
            "" => Cow::Borrowed(&*here.datacenter),
            _ => Cow::Owned(words.datacenter),
        },
        tagged_addresses: tagged,
        locality: wire::Locality::of(words.region, words.zone),
        meta: wire::Pairs(facts.node.as_ref().map(|node| &node.metadata)),
        create_index: facts.node.as_ref().map_or(0, |node| node.created.0),
        modify_index: facts.node.as_ref().map_or(0, |node| node.modified.0),
    }
}

//! Which node a client is on. Consul assumes an agent on every host; here every source address is given a node of its
//! own, so that services of the same id on different hosts do not collide.

use std::borrow::Cow;
use std::net::IpAddr;

use switchboard_model::{
    Annex, Check, CheckKey, Id, InstanceKey, Metadata, NODELESS, Name, Node, NodeKey, Owner, Probe,
    Rejection, Status, Thresholds,
};

use crate::ask::Ask;
use crate::config::Config;
use crate::lens::{NodeWords, node_id};
use crate::refusal::Refusal;
use crate::wire;

/// The check that says whether a node's agent answers.
pub(crate) const SERF: &str = "serfHealth";

/// This registry as a member of its datacenter.
#[derive(Debug)]
pub(crate) struct Here {
    pub(crate) datacenter: String,
    pub(crate) node: Name,
    pub(crate) node_id: String,
    pub(crate) address: String,
    pub(crate) http_port: u16,
    node_meta: Metadata,
    nodeless_id: String,
}

impl Here {
    pub(crate) fn new(config: &Config, listen: std::net::SocketAddr) -> Result<Here, Rejection> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let named = config.node_name.clone().filter(|name| !name.is_empty());
        let node = Name::parse("consul.node_name", &named.unwrap_or(host))?;
        let own_id = match &config.node_id {
            Some(id) => uuid::Uuid::parse_str(id)
                .map_err(|why| Rejection::invalid("consul.node_id", format!("is not a UUID: {why}")))?,
            None => node_id(&config.datacenter, node.as_str()),
        };
        let address = match listen.ip() {
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            ip => ip.to_string(),
        };
        Ok(Here {
            datacenter: config.datacenter.clone(),
            node_id: own_id.to_string(),
            nodeless_id: node_id(&config.datacenter, NODELESS).to_string(),
            node,
            address,
            http_port: listen.port(),
            node_meta: Metadata::new(node_meta(config).map(|(k, v)| (k.into(), v.into())))?,
        })
    }

    /// The node of instances that name none.
    pub(crate) fn nodeless(&self) -> wire::Node<'_> {
        wire::Node {
            id: Cow::Borrowed(&self.nodeless_id),
            node: NODELESS,
            address: &self.address,
            datacenter: Cow::Borrowed(&self.datacenter),
            tagged_addresses: Default::default(),
            meta: wire::Pairs(None),
            locality: None,
            create_index: 1,
            modify_index: 1,
        }
    }

    /// Where this API is.
    pub(crate) fn http_address(&self) -> String {
        match self.address.parse::<IpAddr>() {
            Ok(ip) => std::net::SocketAddr::new(ip, self.http_port).to_string(),
            Err(_) => format!("{}:{}", self.address, self.http_port),
        }
    }

    pub(crate) fn id_of(&self, agent: &Agent) -> String {
        if agent.is_own {
            self.node_id.clone()
        } else {
            node_id(&self.datacenter, agent.name.as_str()).to_string()
        }
    }

    pub(crate) fn node_meta_of(&self, agent: &Agent) -> wire::Pairs<'_> {
        wire::Pairs(agent.is_own.then_some(&self.node_meta))
    }

    /// The node that a client speaks for.
    pub(crate) fn agent_of(&self, ask: &Ask) -> Result<Agent, Refusal> {
        let peer = ask.caller.peer.map(|ip| ip.to_canonical());
        if let Some(name) = &ask.node
            && *name != self.node
        {
            let address =
                peer.filter(|ip| !ip.is_loopback()).map_or_else(|| self.address.clone(), |ip| ip.to_string());
            return Ok(Agent { name: name.clone(), address, is_own: false });
        }
        match peer {
            Some(ip) if !ip.is_loopback() && ask.node.is_none() => {
                let name = match ip {
                    IpAddr::V4(ip) => ip.to_string().replace('.', "-"),
                    IpAddr::V6(ip) => ip.to_string().replace(':', "-"),
                };
                Ok(Agent {
                    name: Name::parse("node", &format!("agent-{name}"))?,
                    address: ip.to_string(),
                    is_own: false,
                })
            }
            _ => Ok(self.own()),
        }
    }

    pub(crate) fn own(&self) -> Agent {
        Agent { name: self.node.clone(), address: self.address.clone(), is_own: true }
    }

    /// The record of an agent's node.
    pub(crate) fn node_record(&self, agent: &Agent) -> Result<Node, Rejection> {
        let made = node_id(&self.datacenter, agent.name.as_str()).to_string();
        // The id that it has anyway is not worth a word.
        let id = if agent.is_own && self.node_id != made { self.node_id.clone() } else { String::new() };
        let v4 = agent.address.parse::<std::net::Ipv4Addr>().is_ok();
        let kinds: &[&str] = if v4 {
            &["lan", "lan_ipv4", "wan", "wan_ipv4"]
        } else {
            &["lan", "lan_ipv6", "wan", "wan_ipv6"]
        };
        let words = NodeWords {
            id,
            tagged: kinds.iter().map(|kind| ((*kind).to_owned(), agent.address.clone())).collect(),
            ..NodeWords::default()
        };
        Ok(Node {
            key: agent.key(),
            address: agent.address.as_str().into(),
            metadata: if agent.is_own { self.node_meta.clone() } else { Metadata::default() },
            annex: words.annex()?,
        })
    }
}

/// What is configured, and what Consul's servers of that version say of themselves.
fn node_meta(config: &Config) -> impl Iterator<Item = (&str, &str)> {
    let mut numbers = config.version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let says_version = (version >= (1, 16)).then_some(("consul-version", config.version.as_str()));
    let given = config.node_meta.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    [("consul-network-segment", "")].into_iter().chain(says_version).chain(given)
}

/// A node that a client registers on.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) name: Name,
    pub(crate) address: String,
    /// It is this registry's own: what it calls loopback is loopback here.
    pub(crate) is_own: bool,
}

impl Agent {
    pub(crate) fn key(&self) -> NodeKey {
        NodeKey { namespace: Name::default_namespace(), node: self.name.clone() }
    }
}

/// The node of an instance, as an index into the catalogue sees it.
pub(crate) fn node_name(key: &InstanceKey) -> &str {
    key.node.as_ref().map_or(NODELESS, Name::as_str)
}

/// The check that a node's agent answers.
pub(crate) fn serf(node: NodeKey) -> Result<Check, Rejection> {
    Ok(Check {
        key: CheckKey { owner: Owner::Node(node), id: Id::parse("check", SERF)? },
        name: "Serf Health Status".into(),
        notes: "".into(),
        probe: Probe::Manual,
        interval: std::time::Duration::ZERO,
        timeout: std::time::Duration::ZERO,
        thresholds: Thresholds { unhealthy: 1, healthy: 1 },
        status: Status::Passing,
        output: "Agent alive and reachable".into(),
        since_ms: 0,
        suspect: false,
        deregister_after: None,
        annex: Annex::default(),
    })
}

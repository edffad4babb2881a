use std::collections::BTreeMap;

use serde_json::Value;

use super::check::ServiceCheck;

/// A service to be registered. Which of this may be said depends on where: each endpoint has a decoder of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServiceBody {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    pub(crate) address: String,
    pub(crate) tagged_addresses: BTreeMap<String, Address>,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) port: i64,
    pub(crate) ports: Vec<PortBody>,
    pub(crate) socket_path: String,
    pub(crate) enable_tag_override: bool,
    pub(crate) weights: Option<WeightsBody>,
    pub(crate) check: Option<ServiceCheck>,
    pub(crate) checks: Vec<ServiceCheck>,
    /// There are no ACLs, so it opens nothing.
    pub(crate) token: String,
    pub(crate) proxy: Option<Value>,
    pub(crate) connect: Option<Value>,
    pub(crate) locality: Option<LocalityBody>,
    pub(crate) peer_name: String,
    pub(crate) namespace: String,
    pub(crate) partition: String,
    /// Said back to whoever reads, and only then of any meaning, as are the indexes and the hash.
    pub(crate) datacenter: String,
    pub(crate) content_hash: String,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

/// What all of them take, and what is its own.
macro_rules! service_body {
    ($(#[$meta:meta])* struct $name:ident { $($own:tt)* }) => {
        go_body! {
            $(#[$meta])*
            struct $name of ServiceBody {
                "Kind" => kind,
                "ID" => id,
                "Tags" => tags,
                "Address" => address,
                "Meta" => meta,
                "Port" => port,
                "Ports" => ports,
                "SocketPath" => socket_path,
                "Weights" => weights,
                "Proxy" => proxy,
                "Connect" => connect,
                "Locality" => locality,
                "Namespace" => namespace,
                "Partition" => partition,
                $($own)*
            }
        }
    };
}

service_body! {
    /// As an agent takes it.
    struct AgentServiceBody {
        "Name" => name,
        "TaggedAddresses" or "tagged_addresses" => tagged_addresses,
        "EnableTagOverride" or "enable_tag_override" => enable_tag_override,
        "Check" => check,
        "Checks" => checks,
        "Token" => token,
    }
}

service_body! {
    /// As the catalogue takes it, which calls its name the service.
    struct CatalogServiceBody {
        "Service" => name,
        "TaggedAddresses" => tagged_addresses,
        "EnableTagOverride" => enable_tag_override,
        "PeerName" => peer_name,
        "CreateIndex" => create_index,
        "ModifyIndex" => modify_index,
    }
}

service_body! {
    /// As a transaction takes it: in the form in which agents show a service.
    struct TxnServiceBody {
        "Service" => name,
        "TaggedAddresses" => tagged_addresses,
        "EnableTagOverride" => enable_tag_override,
        "PeerName" => peer_name,
        "CreateIndex" => create_index,
        "ModifyIndex" => modify_index,
        "ContentHash" => content_hash,
        "Datacenter" => datacenter,
    }
}

go_body! {
    struct Address {
        "Address" => address: String,
        "Port" => port: i64,
    }
}

go_body! {
    struct PortBody {
        "Name" => name: String,
        "Port" => port: i64,
        "Default" => default: bool,
    }
}

go_body! {
    struct WeightsBody {
        "Passing" => passing: i64,
        "Warning" => warning: i64,
    }
}

go_body! {
    struct LocalityBody {
        "Region" => region: String,
        "Zone" => zone: String,
    }
}

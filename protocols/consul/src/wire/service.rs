use std::collections::BTreeMap;

use serde_json::Value;

use super::check::CheckBody;

go_body! {
    /// A service to be registered.
    struct ServiceBody {
        "Kind" => kind: String,
        "ID" => id: String,
        "Name" => name: String,
        // What the catalogue calls the name.
        "Service" => service: String,
        "Tags" => tags: Vec<String>,
        "Address" => address: String,
        "TaggedAddresses" or "tagged_addresses" => tagged_addresses: BTreeMap<String, Address>,
        "Meta" => meta: BTreeMap<String, String>,
        "Port" => port: i64,
        "Ports" => ports: Vec<PortBody>,
        "SocketPath" => socket_path: String,
        "EnableTagOverride" or "enable_tag_override" => enable_tag_override: bool,
        "Weights" => weights: Option<WeightsBody>,
        "Check" => check: Option<CheckBody>,
        "Checks" => checks: Vec<CheckBody>,
        "Token" => token: String,
        "Proxy" => proxy: Option<Value>,
        "Connect" => connect: Option<Value>,
        "Locality" => locality: Option<LocalityBody>,
        "PeerName" => peer_name: String,
        "Namespace" => namespace: String,
        "Partition" => partition: String,
        "Datacenter" => datacenter: String,
        "CreateIndex" => create_index: u64,
        "ModifyIndex" => modify_index: u64,
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

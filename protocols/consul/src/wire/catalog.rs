use std::collections::BTreeMap;

use serde_json::Value;

use super::service::{CatalogServiceBody, LocalityBody};

go_body! {
    struct CatalogRegister {
        "Datacenter" => datacenter: String,
        "ID" => id: String,
        "Node" => node: String,
        "Address" => address: String,
        "TaggedAddresses" => tagged_addresses: BTreeMap<String, String>,
        "NodeMeta" => meta: BTreeMap<String, String>,
        "Service" => service: Option<CatalogServiceBody>,
        "Check" => check: Option<CatalogCheck>,
        "Checks" => checks: Vec<CatalogCheck>,
        "SkipNodeUpdate" => skip_node_update: bool,
        "Locality" => locality: Option<LocalityBody>,
        "Partition" => partition: String,
        "Namespace" => namespace: String,
    }
}

go_body! {
    /// A check that somebody else runs.
    struct CatalogCheck {
        "Node" => node: String,
        "CheckID" => check_id: String,
        "Name" => name: String,
        "Status" => status: String,
        "Notes" => notes: String,
        "Output" => output: String,
        "ServiceID" => service_id: String,
        "ServiceName" => service_name: String,
        "ServiceTags" => service_tags: Vec<String>,
        "Type" => kind: String,
        "Interval" => interval: String,
        "Timeout" => timeout: String,
        "ExposedPort" => exposed_port: i64,
        "Definition" => definition: Value,
        "PeerName" => peer_name: String,
        "Namespace" => namespace: String,
        "Partition" => partition: String,
        "CreateIndex" => create_index: u64,
        "ModifyIndex" => modify_index: u64,
    }
}

go_body! {
    /// The same in a transaction, which is told no times beside the definition.
    struct TxnCheck of CatalogCheck {
        "Node" => node,
        "CheckID" => check_id,
        "Name" => name,
        "Status" => status,
        "Notes" => notes,
        "Output" => output,
        "ServiceID" => service_id,
        "ServiceName" => service_name,
        "ServiceTags" => service_tags,
        "Type" => kind,
        "ExposedPort" => exposed_port,
        "Definition" => definition,
        "PeerName" => peer_name,
        "Namespace" => namespace,
        "Partition" => partition,
        "CreateIndex" => create_index,
        "ModifyIndex" => modify_index,
    }
}

go_body! {
    struct CatalogDeregister {
        "Datacenter" => datacenter: String,
        "Node" => node: String,
        "Address" => address: String,
        "ServiceID" => service_id: String,
        "CheckID" => check_id: String,
        "Namespace" => namespace: String,
        "Partition" => partition: String,
    }
}

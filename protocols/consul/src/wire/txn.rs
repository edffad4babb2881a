use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::catalog::TxnCheck;
use super::out::QueryMeta;
use super::service::{LocalityBody, TxnServiceBody};

go_body! {
    /// One operation of a transaction: exactly one of these is meant.
    struct OpBody {
        "KV" => kv: Option<KvOpBody>,
        "Node" => node: Option<NodeOpBody>,
        "Service" => service: Option<ServiceOpBody>,
        "Check" => check: Option<CheckOpBody>,
        "Session" => session: Option<SessionOpBody>,
    }
}

go_body! {
    struct KvOpBody {
        "Verb" => verb: String,
        "Key" => key: String,
        "Value" => value: String,
        "Flags" => flags: u64,
        "Index" => index: u64,
        "Session" => session: String,
        "Namespace" => namespace: String,
        "Partition" => partition: String,
    }
}

go_body! {
    struct NodeOpBody {
        "Verb" => verb: String,
        "Node" => node: NodeBody,
    }
}

go_body! {
    struct NodeBody {
        "ID" => id: String,
        "Node" => node: String,
        "Address" => address: String,
        "Datacenter" => datacenter: String,
        "TaggedAddresses" => tagged_addresses: BTreeMap<String, String>,
        "Meta" => meta: BTreeMap<String, String>,
        "Locality" => locality: Option<LocalityBody>,
        "PeerName" => peer_name: String,
        "Partition" => partition: String,
        "CreateIndex" => create_index: u64,
        "ModifyIndex" => modify_index: u64,
    }
}

go_body! {
    struct ServiceOpBody {
        "Verb" => verb: String,
        "Node" => node: String,
        "Service" => service: TxnServiceBody,
        "Namespace" => namespace: String,
        "Partition" => partition: String,
    }
}

go_body! {
    struct CheckOpBody {
        "Verb" => verb: String,
        "Check" => check: TxnCheck,
    }
}

go_body! {
    struct SessionOpBody {
        "Verb" => verb: String,
        "Session" => session: SessionRef,
    }
}

go_body! {
    struct SessionRef {
        "ID" => id: String,
        "Name" => name: String,
        "Node" => node: String,
        "LockDelay" => lock_delay: Option<Value>,
        "Behavior" => behavior: String,
        "TTL" => ttl: String,
        "Namespace" => namespace: String,
        "CreateIndex" => create_index: u64,
        "ModifyIndex" => modify_index: u64,
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OpError {
    pub(crate) op_index: usize,
    pub(crate) what: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TxnAnswer {
    pub(crate) results: Option<Vec<Value>>,
    pub(crate) errors: Option<Vec<OpError>>,
    #[serde(flatten)]
    pub(crate) read: Option<QueryMeta>,
}

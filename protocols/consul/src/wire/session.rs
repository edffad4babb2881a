use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Session {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) node: String,
    /// Nanoseconds.
    pub(crate) lock_delay: u64,
    pub(crate) behavior: &'static str,
    #[serde(rename = "TTL")]
    pub(crate) ttl: String,
    pub(crate) node_checks: Option<Vec<String>>,
    pub(crate) service_checks: Option<Vec<ServiceCheck>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checks: Option<Vec<String>>,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct ServiceCheck {
    #[serde(rename = "ID", alias = "id", alias = "Id", default)]
    pub(crate) id: String,
    #[serde(rename = "Namespace", alias = "namespace", default)]
    pub(crate) namespace: String,
}

go_body! {
    /// A session to be made. What it does not know is left alone, as Consul does here and nowhere else.
    lenient struct SessionBody {
        "ID" => id: String,
        "Name" => name: String,
        "Node" => node: String,
        "LockDelay" => lock_delay: Option<Value>,
        "Behavior" => behavior: String,
        "TTL" => ttl: String,
        "NodeChecks" => node_checks: Option<Vec<String>>,
        "ServiceChecks" => service_checks: Option<Vec<ServiceCheck>>,
        "Checks" => checks: Option<Vec<String>>,
        "Namespace" => namespace: String,
        "Partition" => partition: String,
    }
}

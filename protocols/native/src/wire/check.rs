use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::number::{Seconds, some, some_whole};

/// A check as it is registered. Which fields mean something depends on `type`; one that does not is refused. Its exact
/// schema is in `describe.rs`.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckBody {
    #[serde(default, deserialize_with = "some")]
    pub(crate) id: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) name: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) notes: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default, deserialize_with = "some")]
    pub(crate) host: Option<String>,
    #[serde(default, deserialize_with = "some_whole")]
    pub(crate) port: Option<u16>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) path: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) method: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) headers: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) body: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) expect: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) tls: Option<Tls>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) tls_skip_verify: Option<bool>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) grpc_service: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) ttl: Option<Seconds>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) interval: Option<Seconds>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) timeout: Option<Seconds>,
    #[serde(default, deserialize_with = "some_whole")]
    pub(crate) unhealthy_threshold: Option<u32>,
    #[serde(default, deserialize_with = "some_whole")]
    pub(crate) healthy_threshold: Option<u32>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) initial: Option<Status>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) deregister_after: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CheckType)]
pub(crate) enum Kind {
    Http,
    Tcp,
    Udp,
    Grpc,
    Ttl,
    #[default]
    Manual,
}

/// `true`, or the name that the server's certificate must have. Plain text is said by saying nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected true or a server name")]
pub(crate) enum Tls {
    Flag(bool),
    Name(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CheckStatus)]
pub(crate) enum Status {
    Passing,
    Warning,
    Critical,
}

/// A verdict on the check that the path names.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportBody {
    pub(crate) status: Status,
    /// For people.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) output: Option<String>,
}

/// A verdict on an instance.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusBody {
    pub(crate) status: Status,
    /// For people.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) output: Option<String>,
    /// The check it is about; without it, one called `status` that is made for the purpose.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false)]
    pub(crate) check: Option<String>,
}

/// A check with its newest answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Check {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) notes: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    /// What the probe asks: an address, a URL, a gRPC service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unhealthy_threshold: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healthy_threshold: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deregister_after: Option<Seconds>,
    pub(crate) status: Status,
    /// Critical by its own evidence, but kept in service because too many failed at once.
    pub(crate) suspect: bool,
    pub(crate) output: String,
    /// When the status changed last; RFC 3339.
    pub(crate) since: String,
    /// When the check was heard of last; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checked: Option<String>,
    pub(crate) revision: u64,
}

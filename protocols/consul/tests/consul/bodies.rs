//! Which fields an endpoint takes: what it does not know would vanish with an answer that says it was done.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::support::{World, world};

const AGENT: &[&str] = &[
    "Kind",
    "ID",
    "Name",
    "Tags",
    "Address",
    "TaggedAddresses",
    "Meta",
    "Port",
    "SocketPath",
    "EnableTagOverride",
    "enable_tag_override",
    "tagged_addresses",
    "Weights",
    "Check",
    "Checks",
    "Token",
    "Proxy",
    "Connect",
    "Locality",
];
const CATALOG: &[&str] = &[
    "Kind",
    "ID",
    "Service",
    "Tags",
    "Address",
    "TaggedAddresses",
    "Meta",
    "Port",
    "SocketPath",
    "EnableTagOverride",
    "Weights",
    "Proxy",
    "Connect",
    "Locality",
    "PeerName",
    "CreateIndex",
    "ModifyIndex",
];
const TXN: &[&str] = &[
    "Kind",
    "ID",
    "Service",
    "Tags",
    "Address",
    "TaggedAddresses",
    "Meta",
    "Port",
    "SocketPath",
    "EnableTagOverride",
    "Weights",
    "Proxy",
    "Connect",
    "Locality",
    "PeerName",
    "CreateIndex",
    "ModifyIndex",
    "ContentHash",
    "Datacenter",
];
const SERVICE_CHECK: &[&str] = &[
    "CheckID",
    "ServiceID",
    "service_id",
    "Name",
    "Status",
    "Notes",
    "args",
    "HTTP",
    "DisableRedirects",
    "TCPUseTLS",
    "tcp_use_tls",
    "h2ping_use_tls",
    "ProxyHTTP",
    "ProxyGRPC",
    "OutputMaxSize",
    "Interval",
    "Timeout",
];
const AGENT_CHECK: &[&str] = &[
    "ID",
    "ServiceID",
    "service_id",
    "Name",
    "Status",
    "Notes",
    "Token",
    "args",
    "HTTP",
    "DisableRedirects",
    "disable_redirects",
    "TCPUseTLS",
    "tcp_use_tls",
    "h2ping_use_tls",
    "OutputMaxSize",
    "Interval",
    "Timeout",
];
const CATALOG_CHECK: &[&str] = &[
    "Node",
    "CheckID",
    "Name",
    "Status",
    "Notes",
    "Output",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "Type",
    "Interval",
    "Timeout",
    "ExposedPort",
    "Definition",
    "PeerName",
    "CreateIndex",
    "ModifyIndex",
];
const TXN_CHECK: &[&str] = &[
    "Node",
    "CheckID",
    "Name",
    "Status",
    "Notes",
    "Output",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "Type",
    "ExposedPort",
    "Definition",
    "PeerName",
    "CreateIndex",
    "ModifyIndex",
];

/// Asks with each field of all endpoints by itself, and with none of any meaning.
async fn takes(world: &World, path: &str, whole: impl Fn(Value) -> Value, known: &[&str], all: &[&[&str]]) {
    let mut fields: Vec<&str> = all.iter().flat_map(|list| list.iter().copied()).collect();
    fields.sort_unstable();
    fields.dedup();
    for field in fields {
        let body = Value::Object(Map::from_iter([(field.to_owned(), Value::Null)]));
        let answer = world.put(path, whole(body).to_string()).await;
        let unknown = format!("json: unknown field {field:?}");
        let refused = answer.status == StatusCode::BAD_REQUEST && answer.text().ends_with(&unknown);
        assert_eq!(refused, !known.contains(&field), "{path} {field}: {:?}", answer.body);
    }
}

#[tokio::test]
async fn each_endpoint_takes_its_own_fields_of_a_service() {
    let world = world().await;
    let all = &[AGENT, CATALOG, TXN];
    takes(&world, "/v1/agent/service/register", |body| body, AGENT, all).await;
    let catalog = |body| json!({"Node": "n1", "Address": "10.0.0.1", "Service": body});
    takes(&world, "/v1/catalog/register", catalog, CATALOG, all).await;
    let txn = |body| json!([{"Service": {"Verb": "set", "Node": "n1", "Service": body}}]);
    takes(&world, "/v1/txn", txn, TXN, all).await;
}

#[tokio::test]
async fn each_endpoint_takes_its_own_fields_of_a_check() {
    let world = world().await;
    let all = &[SERVICE_CHECK, AGENT_CHECK, CATALOG_CHECK];
    takes(
        &world,
        "/v1/agent/service/register",
        |body| json!({"Name": "web", "Check": body}),
        SERVICE_CHECK,
        all,
    )
    .await;
    takes(&world, "/v1/agent/check/register", |body| body, AGENT_CHECK, all).await;
    let catalog = |body| json!({"Node": "n1", "Address": "10.0.0.1", "Check": body});
    takes(&world, "/v1/catalog/register", catalog, CATALOG_CHECK, all).await;
    let txn = |body| json!([{"Check": {"Verb": "set", "Check": body}}]);
    takes(&world, "/v1/txn", txn, TXN_CHECK, all).await;
}

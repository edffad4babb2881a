use std::ops::Bound;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use switchboard_model::{CheckKey, Name, NodeKey, Noun, Owner};
use switchboard_registry::plan::{DeleteNode, PutNode};

use super::checks::{delete_check, put_check, read_check};
use super::instances::report_on;
use super::page::cut;
use super::{Shared, missing};
use crate::answer;
use crate::ask::{Ask, json};
use crate::lens;
use crate::refusal::Refusal;
use crate::wire::{self, CheckBody, Done, NodeBody, NodeDetail, Nodes, Refusals, ReportBody};

/// List nodes
#[utoipa::path(
    get, path = "/v1/nodes", tag = "nodes", operation_id = "list_nodes",
    params(
        ("namespace" = Option<String>, Query),
        ("limit" = Option<u32>, Query),
        ("after" = Option<String>, Query),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = Nodes), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn list(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let namespace = ask.take_namespace()?;
    let limit = ask.take_limit(1000, 10_000)?;
    let after = ask.take_name("after")?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let from = match after {
        Some(node) => Bound::Excluded(NodeKey { namespace: namespace.clone(), node }),
        // No name is empty, so this one is before all others.
        None => {
            Bound::Included(NodeKey { namespace: namespace.clone(), node: Name::parse("node", "\u{20}")? })
        }
    };
    let nodes = view.nodes(from).take_while(|it| it.facts.key.namespace == namespace);
    let (page, next) = cut(nodes, limit, |it| it.facts.key.node.to_string());
    let nodes = page.into_iter().map(|it| lens::node_to_wire(it)).collect();
    let body = Nodes { revision: view.revision().0, nodes, next };
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&body)))
}

/// One node, with its checks and the names of its instances
#[utoipa::path(
    get, path = "/v1/nodes/{node}", tag = "nodes", operation_id = "get_node",
    params(
        ("node" = String, Path),
        ("namespace" = Option<String>, Query),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = NodeDetail), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn get(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let key = node_key(&mut ask)?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let found = view.node(&key).ok_or_else(|| missing(Noun::Node, key.node.as_str()))?;
    let registry = &native.context.registry;
    let detail = NodeDetail {
        node: lens::node_to_wire(found),
        checks: found
            .facts
            .checks
            .iter()
            .map(|it| lens::check_to_wire(it, registry.output(&it.key)))
            .collect(),
        instance_names: found
            .members
            .iter()
            .take(1000)
            .map(|it| format!("{}/{}", it.service, it.id))
            .collect(),
    };
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&detail)))
}

/// Register a node, or change it
#[utoipa::path(
    put, path = "/v1/nodes/{node}", tag = "nodes", operation_id = "put_node",
    params(
        ("node" = String, Path),
        ("namespace" = Option<String>, Query)
    ),
    request_body = NodeBody,
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn put(State(native): State<Shared>, mut ask: Ask, body: Body) -> Result<Response, Refusal> {
    let key = node_key(&mut ask)?;
    ask.finish()?;
    let body: NodeBody = json(&ask, body, &native.config.limits).await?;
    let node = lens::node_from_wire(key, body)?;
    let committed = native.context.registry.submit(&ask.caller, PutNode { node }).await?;
    let id = committed.reply.node.to_string();
    let body = Done { status: "success", id, revision: committed.revision.0, changed: committed.changed };
    Ok(answer::written(committed.revision, &body))
}

/// Remove a node
///
/// Its instances stand in the way unless `with_instances` asks for them to go, too.
#[utoipa::path(
    delete, path = "/v1/nodes/{node}", tag = "nodes", operation_id = "delete_node",
    params(
        ("node" = String, Path),
        ("namespace" = Option<String>, Query),
        ("with_instances" = Option<bool>, Query)
    ),
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn delete(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let key = node_key(&mut ask)?;
    let with_instances = ask.take_flag("with_instances")?;
    ask.finish()?;
    let id = key.node.to_string();
    let committed = native.context.registry.submit(&ask.caller, DeleteNode { key, with_instances }).await?;
    let body = Done { status: "success", id, revision: committed.revision.0, changed: committed.changed };
    Ok(answer::written(committed.revision, &body))
}

/// One check of a node
#[utoipa::path(
    get, path = "/v1/nodes/{node}/checks/{check}", tag = "nodes", operation_id = "get_node_check",
    params(
        ("node" = String, Path),
        ("check" = String, Path),
        ("namespace" = Option<String>, Query),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = wire::Check), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn get_check(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let key = check_key(&mut ask)?;
    let view = native.view(&ask, freshness).await?;
    read_check(&native, &ask, &view, &key)
}

/// Add a check to a node, or redefine one
///
/// It counts for every instance on the node.
#[utoipa::path(
    put, path = "/v1/nodes/{node}/checks/{check}", tag = "nodes", operation_id = "put_node_check",
    params(
        ("node" = String, Path),
        ("check" = String, Path),
        ("namespace" = Option<String>, Query)
    ),
    request_body = CheckBody,
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn put_check_of(
    State(native): State<Shared>,
    mut ask: Ask,
    body: Body,
) -> Result<Response, Refusal> {
    let key = check_key(&mut ask)?;
    put_check(&native, &ask, key, body).await
}

/// Remove a check from a node
#[utoipa::path(
    delete, path = "/v1/nodes/{node}/checks/{check}", tag = "nodes", operation_id = "delete_node_check",
    params(
        ("node" = String, Path),
        ("check" = String, Path),
        ("namespace" = Option<String>, Query)
    ),
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn delete_check_of(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let key = check_key(&mut ask)?;
    delete_check(&native, &ask, key).await
}

/// Report on a check of a node
#[utoipa::path(
    put, path = "/v1/nodes/{node}/checks/{check}/status", tag = "nodes", operation_id = "report_node_check",
    params(
        ("node" = String, Path),
        ("check" = String, Path),
        ("namespace" = Option<String>, Query)
    ),
    request_body = ReportBody,
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn report(
    State(native): State<Shared>,
    mut ask: Ask,
    body: Body,
) -> Result<Response, Refusal> {
    let key = check_key(&mut ask)?;
    let body: ReportBody = json(&ask, body, &native.config.limits).await?;
    let id = key.id.to_string();
    report_on(&native, &ask, key, id, body).await
}

fn node_key(ask: &mut Ask) -> Result<NodeKey, Refusal> {
    Ok(NodeKey { namespace: ask.take_namespace()?, node: ask.path_name("node")? })
}

fn check_key(ask: &mut Ask) -> Result<CheckKey, Refusal> {
    let owner = Owner::Node(node_key(ask)?);
    let id = ask.path_id("check")?;
    ask.finish()?;
    Ok(CheckKey { owner, id })
}

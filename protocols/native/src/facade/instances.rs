use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use switchboard_model::{Check, CheckKey, Id, Noun, Owner, Probe, Record, Rejection, Status, Thresholds};
use switchboard_registry::plan::{Deregister, Intent, Planned, Report, Reporter, SetLifecycle};
use switchboard_registry::{InstanceView, Now, ServiceRef, Snapshot};

use super::page::{Filter, Wanted, cut};
use super::{Shared, State as Native};
use crate::answer;
use crate::ask::{Ask, json};
use crate::lens;
use crate::refusal::Refusal;
use crate::wire::{
    Done, InstanceDetail, Instances, LifecycleBody, Refusals, Renewed, ReportBody, Seconds, StatusBody,
    StatusWord,
};

/// The check that a report without a check's name is about.
const STATUS_CHECK: &str = "status";

/// An id, and what tells it apart from the same id elsewhere.
#[derive(Debug)]
pub(super) struct Named {
    namespace: String,
    id: String,
    service: Option<String>,
    node: Option<String>,
}

impl Named {
    pub(super) fn take(ask: &mut Ask) -> Result<Named, Refusal> {
        Ok(Named {
            namespace: ask.take_namespace()?.to_string(),
            id: ask.path_id("id")?.to_string(),
            service: ask.take_name("service")?.map(|name| name.to_string()),
            node: ask.take_name("node")?.map(|name| name.to_string()),
        })
    }

    pub(super) fn find<'a>(&self, at: &'a Snapshot) -> Result<&'a Arc<InstanceView>, Rejection> {
        at.find_instance(&self.namespace, &self.id, self.service.as_deref(), self.node.as_deref())
    }
}

/// List instances
///
/// Of all services in the namespace, whatever their health.
#[utoipa::path(
    get, path = "/v1/instances", tag = "instances", operation_id = "list_instances",
    params(
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query),
        ("status" = Option<StatusWord>, Query, description = "`any` by default"),
        ("tag" = Option<Vec<String>>, Query, description = "Only instances with all of these tags"),
        ("zone" = Option<String>, Query),
        ("node" = Option<String>, Query),
        ("limit" = Option<u32>, Query),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = Instances), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn list(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let namespace = ask.take_namespace()?;
    let service = ask.take_name("service")?;
    let filter = Filter::take(&mut ask, Wanted::Any)?;
    let limit = ask.take_limit(1000, 10_000)?;
    let after = ask.take("after")?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let namespace = namespace.as_str();
    // The place of an instance is `service` or `service/node/id`, the node possibly empty.
    let place = |view: &InstanceView| {
        let key = view.key();
        format!("{}/{}/{}", key.service, key.node.as_ref().map_or("", |node| node.as_str()), key.id)
    };
    let after_service = after.as_deref().and_then(|after| after.split('/').next());
    let from = service.as_ref().map(|name| name.as_str()).or(after_service).unwrap_or_default();
    let found = view
        .services(Bound::Included(ServiceRef { namespace, service: from }))
        .take_while(|it| it.key.namespace.as_str().eq_ignore_ascii_case(namespace))
        .take_while(|it| service.as_ref().is_none_or(|name| *name == it.key.service))
        .flat_map(|it| it.instances())
        .skip_while(|it| {
            let same = after_service.is_some_and(|name| it.key().service.as_str().eq_ignore_ascii_case(name));
            same && after.as_deref().is_some_and(|after| place(it) != after)
        })
        .skip_while(|it| after.as_deref().is_some_and(|after| place(it) == after))
        .filter(|it| filter.admits(it));
    let (page, next) = cut(found, limit, |it| place(it));
    let instances = page.into_iter().map(|it| lens::instance_to_wire(it)).collect();
    let body = Instances { revision: view.revision().0, instances, next };
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&body)))
}

/// One instance, with its checks, its lease and its history
#[utoipa::path(
    get, path = "/v1/instances/{id}", tag = "instances", operation_id = "get_instance",
    params(
        ("id" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query, description = "Needed where several services have this id"),
        ("node" = Option<String>, Query, description = "Needed where several nodes have this id"),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = InstanceDetail), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn get(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let named = Named::take(&mut ask)?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let registry = &native.context.registry;
    let found = named.find(&view)?;
    let lease = found.instance.lease.and_then(|id| view.lease(id));
    let lease = lease.map(|lease| lens::lease_to_wire(lease, registry.remaining(lease.lease.id)));
    let detail =
        lens::detail_to_wire(found, lease, &registry.history(found.key()), |key| registry.output(key));
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&detail)))
}

/// Deregister an instance
#[utoipa::path(
    delete, path = "/v1/instances/{id}", tag = "instances", operation_id = "deregister",
    params(
        ("id" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query, description = "Needed where several services have this id"),
        ("node" = Option<String>, Query, description = "Needed where several nodes have this id")
    ),
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn deregister(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let named = Named::take(&mut ask)?;
    ask.finish()?;
    let registry = &native.context.registry;
    let key = named.find(&*registry.view(&ask.caller)?)?.key().clone();
    let committed = registry.submit(&ask.caller, Deregister { key: key.clone() }).await?;
    let body = Done {
        status: "success",
        id: key.id.to_string(),
        revision: committed.revision.0,
        changed: committed.changed,
    };
    Ok(answer::written(committed.revision, &body))
}

/// Renew: the heartbeat
///
/// Moves the deadline of the instance's lease in memory; nothing is committed. An instance that had lapsed comes back.
/// 404 means that the registry does not know the instance (any more): register it again.
#[utoipa::path(
    put, path = "/v1/instances/{id}/renew", tag = "instances", operation_id = "renew",
    params(
        ("id" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query, description = "Needed where several services have this id"),
        ("node" = Option<String>, Query, description = "Needed where several nodes have this id")
    ),
    responses((status = 200, body = Renewed), Refusals)
)]
pub(super) async fn renew(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let named = Named::take(&mut ask)?;
    ask.finish()?;
    let registry = &native.context.registry;
    let view = registry.view(&ask.caller)?;
    let found = named.find(&view)?;
    let Some(lease) = found.instance.lease else {
        let name = named.id.clone();
        let by = "it was registered without a `ttl`, so there is nothing to renew".to_owned();
        return Err(Rejection::InUse { noun: Noun::Instance, name, by }.into());
    };
    let ttl = registry.keep_alive(&ask.caller, lease).await?;
    Ok(answer::written(registry.head(), &renewed(&named.id, ttl)))
}

pub(crate) fn renewed(id: &str, ttl: Duration) -> Renewed {
    Renewed { status: "success", id: id.to_owned(), ttl: Seconds(ttl) }
}

/// Report a status
///
/// The provider's own word on its health, believed always. With `check` it is about that check, and counts as the
/// report that a check of type ttl waits for.
#[utoipa::path(
    put, path = "/v1/instances/{id}/status", tag = "instances", operation_id = "report_status",
    params(
        ("id" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query, description = "Needed where several services have this id"),
        ("node" = Option<String>, Query, description = "Needed where several nodes have this id")
    ),
    request_body = StatusBody,
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn report(
    State(native): State<Shared>,
    mut ask: Ask,
    body: Body,
) -> Result<Response, Refusal> {
    let named = Named::take(&mut ask)?;
    ask.finish()?;
    let body: StatusBody = json(&ask, body, &native.config.limits).await?;
    let view = native.context.registry.view(&ask.caller)?;
    let owner = Owner::Instance(named.find(&view)?.key().clone());
    let id = Id::parse("check", body.check.as_deref().unwrap_or(STATUS_CHECK))?;
    let key = CheckKey { owner, id };
    if body.check.is_none() && view.check(&key).is_none() {
        let status = lens::status_from_wire(body.status);
        let intent = BeginStatus { key, status, output: body.output.unwrap_or_default().into() };
        let committed = native.context.registry.submit(&ask.caller, intent).await?;
        let body = Done {
            status: "success",
            id: named.id,
            revision: committed.revision.0,
            changed: committed.changed,
        };
        return Ok(answer::written(committed.revision, &body));
    }
    let body = ReportBody { status: body.status, output: body.output };
    report_on(&native, &ask, key, named.id, body).await
}

pub(super) async fn report_on(
    native: &Native,
    ask: &Ask,
    key: CheckKey,
    id: String,
    body: ReportBody,
) -> Result<Response, Refusal> {
    let status = lens::status_from_wire(body.status);
    let output = body.output.unwrap_or_default();
    let reported = native.context.registry.report(&ask.caller, &key, status, &output).await?;
    let body = Done { status: "success", id, revision: reported.revision.0, changed: reported.changed };
    Ok(answer::written(reported.revision, &body))
}

/// A first report on an instance as a whole makes the check that it is about.
struct BeginStatus {
    key: CheckKey,
    status: Status,
    output: Box<str>,
}

impl Intent for BeginStatus {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let Owner::Instance(owner) = &self.key.owner else {
            return Err(Rejection::not_found(Noun::Check, &self.key.id));
        };
        if at.instance(owner).is_none() {
            return Err(Rejection::not_found(Noun::Instance, &owner.id));
        }
        let (status, output) = (self.status, self.output.clone());
        if at.check(&self.key).is_some() {
            return Report { key: self.key.clone(), status, output, by: Reporter::Provider }.plan(at, now);
        }
        let mut planned = Planned::default();
        planned.plan.put(Record::Check(Check {
            key: self.key.clone(),
            name: "reported status".into(),
            notes: "".into(),
            probe: Probe::Manual,
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            thresholds: Thresholds { unhealthy: 1, healthy: 1 },
            status,
            output,
            since_ms: now.wall_ms,
            suspect: false,
            deregister_after: None,
            annex: Default::default(),
        }));
        Ok(planned)
    }
}

/// Drain, take out of service, or bring up again
#[utoipa::path(
    put, path = "/v1/instances/{id}/lifecycle", tag = "instances", operation_id = "set_lifecycle",
    params(
        ("id" = String, Path),
        ("namespace" = Option<String>, Query),
        ("service" = Option<String>, Query, description = "Needed where several services have this id"),
        ("node" = Option<String>, Query, description = "Needed where several nodes have this id")
    ),
    request_body = LifecycleBody,
    responses((status = 200, body = Done), Refusals)
)]
pub(super) async fn lifecycle(
    State(native): State<Shared>,
    mut ask: Ask,
    body: Body,
) -> Result<Response, Refusal> {
    let named = Named::take(&mut ask)?;
    ask.finish()?;
    let body: LifecycleBody = json(&ask, body, &native.config.limits).await?;
    let registry = &native.context.registry;
    let key = named.find(&*registry.view(&ask.caller)?)?.key().clone();
    let intent = SetLifecycle { key, lifecycle: lens::lifecycle_from_wire(body.lifecycle) };
    let committed = registry.submit(&ask.caller, intent).await?;
    let body =
        Done { status: "success", id: named.id, revision: committed.revision.0, changed: committed.changed };
    Ok(answer::written(committed.revision, &body))
}

use std::ops::Bound;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use switchboard_model::Revision;
use switchboard_registry::{InstanceView, ServiceRef, ServiceView};

use super::Shared;
use super::page::{Filter, Wanted, cut};
use crate::answer;
use crate::ask::Ask;
use crate::lens;
use crate::refusal::Refusal;
use crate::wire::{self, Namespaces, Refusals, ServiceInstances, Services};

/// Instances in one answer, unless the caller asks for fewer.
const PAGE: usize = 10_000;

/// List services
#[utoipa::path(
    get, path = "/v1/services", tag = "services", operation_id = "list_services",
    params(
        ("namespace" = Option<String>, Query),
        ("prefix" = Option<String>, Query, description = "Beginning of the name, without case"),
        ("tag" = Option<String>, Query, description = "Only services with an instance that has this tag"),
        ("limit" = Option<u32>, Query),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = Services), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn list(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let namespace = ask.take_namespace()?;
    let prefix = ask.take("prefix")?.unwrap_or_default();
    let tag = ask.take("tag")?;
    let limit = ask.take_limit(1000, PAGE)?;
    let after = ask.take("after")?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let namespace = namespace.as_str();
    let from = match after.as_deref() {
        Some(after) if *after >= *prefix => Bound::Excluded(ServiceRef { namespace, service: after }),
        _ => Bound::Included(ServiceRef { namespace, service: &prefix }),
    };
    let services = view
        .services(from)
        .take_while(|service| {
            service.key.namespace.as_str().eq_ignore_ascii_case(namespace)
                && service.key.service.starts_with(&prefix)
        })
        .filter(|service| {
            tag.as_ref().is_none_or(|tag| service.instances().any(|it| it.instance.tags.contains(tag)))
        });
    let (page, next) = cut(services, limit, |service| service.key.service.to_string());
    let services = page.into_iter().map(|service| lens::service_to_wire(service)).collect();
    let body = Services { revision: view.revision().0, services, next };
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&body)))
}

/// Look up a service
///
/// Its live instances: those that consumers should use. `status=any` gives all of them, with the reasons for their
/// health. A service that nobody registered has no instances, which is not an error.
#[utoipa::path(
    get, path = "/v1/services/{service}", tag = "services", operation_id = "look_up",
    params(
        ("service" = String, Path),
        ("namespace" = Option<String>, Query),
        ("status" = Option<wire::StatusWord>, Query, description = "`healthy` by default"),
        ("tag" = Option<Vec<String>>, Query, description = "Only instances with all of these tags"),
        ("zone" = Option<String>, Query),
        ("node" = Option<String>, Query),
        ("limit" = Option<u32>, Query),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = ServiceInstances), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn look_up(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    let namespace = ask.take_namespace()?;
    let name = ask.path_name("service")?;
    let whole = ask.is_plain();
    let filter = Filter::take(&mut ask, Wanted::Healthy)?;
    let limit = ask.take_limit(PAGE, PAGE)?;
    let after = ask.take("after")?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    match view.service(namespace.as_str(), name.as_str()) {
        Some(service) if whole => Ok(served(&ask.headers, view.revision(), service)),
        Some(service) => {
            let body = instances_of(service, &filter, limit, after.as_deref());
            Ok(answer::read(&ask.headers, view.revision(), answer::encode(&body)))
        }
        None => {
            let body = ServiceInstances {
                service: name.to_string(),
                namespace: namespace.to_string(),
                revision: 0,
                instances: Vec::new(),
                next: None,
            };
            Ok(answer::read(&ask.headers, view.revision(), answer::encode(&body)))
        }
    }
}

/// The live instances of a service: encoded once, and served to everyone until the service changes.
pub(crate) fn served(headers: &HeaderMap, revision: Revision, service: &Arc<ServiceView>) -> Response {
    let body: Bytes = service.memo.get_or_encode(("native", 0), || {
        let live = Filter::live();
        answer::encode(&instances_of(service, &live, PAGE, None))
    });
    let tag = format!("\"{:x}\"", service.revision.0);
    answer::read_tagged(headers, revision, &tag, answer::JSON, body)
}

fn instances_of(
    service: &ServiceView,
    filter: &Filter,
    limit: usize,
    after: Option<&str>,
) -> ServiceInstances {
    let place = |view: &InstanceView| {
        let key = view.key();
        match &key.node {
            Some(node) => format!("{node}/{}", key.id),
            None => key.id.to_string(),
        }
    };
    let found = service
        .instances()
        .skip_while(|view| after.is_some_and(|after| place(view) != after))
        .skip(usize::from(after.is_some()))
        .filter(|view| filter.admits(view));
    let (page, next) = cut(found, limit, |view| place(view));
    ServiceInstances {
        service: service.key.service.to_string(),
        namespace: service.key.namespace.to_string(),
        revision: service.revision.0,
        instances: page.into_iter().map(|view| lens::instance_to_wire(view)).collect(),
        next,
    }
}

/// List namespaces
#[utoipa::path(
    get, path = "/v1/namespaces", tag = "services", operation_id = "list_namespaces",
    params(
        ("at_least" = Option<u64>, Query, description = "Wait for this revision"),
        ("wait" = Option<String>, Query, description = "How long, such as `10s`; only with `at_least`"),
        ("If-None-Match" = Option<String>, Header)
    ),
    responses((status = 200, body = Namespaces), (status = 304, description = "Not modified"), Refusals)
)]
pub(super) async fn namespaces(State(native): State<Shared>, mut ask: Ask) -> Result<Response, Refusal> {
    let freshness = ask.take_freshness()?;
    ask.finish()?;
    let view = native.view(&ask, freshness).await?;
    let namespaces = view
        .namespaces()
        .map(|(name, tally)| wire::Namespace {
            namespace: name.to_string(),
            services: tally.services,
            instances: tally.instances,
        })
        .collect();
    let body = Namespaces { revision: view.revision().0, namespaces };
    Ok(answer::read(&ask.headers, view.revision(), answer::encode(&body)))
}

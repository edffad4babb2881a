//! The operations, one file per resource: decode, ask the registry, encode.

mod checks;
mod entries;
pub(crate) mod instances;
mod leases;
mod nodes;
mod operations;
mod page;
mod register;
pub(crate) mod services;
mod sse;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::response::IntoResponse;
use http::StatusCode;
use switchboard_facade::{Context, Facade, HttpMeters, Listener, Listening, Needs, serve_http};
use switchboard_model::Rejection;
use switchboard_registry::View;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ask::{Ask, Freshness};
use crate::config::Config;
use crate::front::Front;
use crate::refusal::Refusal;
use crate::wire::Code;

const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

/// Binds the listener.
pub(crate) fn open(config: Config) -> anyhow::Result<Box<dyn Facade>> {
    let listener = Listener::bind("native", &config.listen())?;
    Ok(Box::new(Native { config, listener }))
}

struct Native {
    config: Config,
    listener: Listener,
}

#[async_trait]
impl Facade for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn listening(&self) -> Vec<Listening> {
        vec![self.listener.listening("http")]
    }

    async fn serve(self: Box<Self>, context: Context) -> anyhow::Result<()> {
        let meters = HttpMeters::default();
        meters.register("native", &context.metrics);
        let (limits, stop) = (self.config.limits, context.stop.clone());
        let state = Shared(Arc::new(State { config: self.config, context }));
        serve_http(self.listener, limits, meters, Front::new(state.clone(), router(state)), stop).await;
        Ok(())
    }
}

/// What every operation needs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) context: Context,
}

#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<State>);

impl std::ops::Deref for Shared {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl State {
    /// The snapshot that a read is answered from: the newest, or one that is at least as new as the caller asks. Called
    /// last, so that nobody waits only to hear that the request was wrong.
    async fn view(&self, ask: &Ask, freshness: Freshness) -> Result<View, Refusal> {
        let registry = &self.context.registry;
        match freshness.at_least {
            Some(revision) => {
                let patience = freshness.wait.unwrap_or(DEFAULT_PATIENCE);
                Ok(registry.view_at_least(&ask.caller, revision, patience).await?)
            }
            // There is nothing to wait for.
            None => Ok(registry.view(&ask.caller)?),
        }
    }
}

#[derive(OpenApi)]
#[openapi(
    components(schemas(crate::wire::Failure, crate::wire::StatusWord, Code)),
    info(
        title = "Switchboard native API",
        description = "Registration and discovery as plain HTTP and JSON. Every read carries the revision that it was \
        read at in the header `Switchboard-Revision`, can wait for a revision with `at_least`, and has an `ETag`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    )
)]
struct Description;

fn api() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(register::register))
        .routes(routes!(services::list))
        .routes(routes!(services::look_up))
        .routes(routes!(instances::list))
        .routes(routes!(instances::get, instances::deregister))
        .routes(routes!(instances::renew))
        .routes(routes!(instances::report))
        .routes(routes!(instances::lifecycle))
        .routes(routes!(checks::list))
        .routes(routes!(checks::get, checks::put, checks::delete))
        .routes(routes!(checks::report))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::get, nodes::put, nodes::delete))
        .routes(routes!(nodes::get_check, nodes::put_check_of, nodes::delete_check_of))
        .routes(routes!(nodes::report))
        .routes(routes!(leases::list, leases::grant))
        .routes(routes!(leases::get, leases::revoke))
        .routes(routes!(leases::renew))
        .routes(routes!(entries::list))
        .routes(routes!(entries::get, entries::put, entries::delete))
        .routes(routes!(services::namespaces))
        .routes(routes!(watch::watch))
        .routes(routes!(operations::status))
}

pub(crate) fn description() -> String {
    let (_, description) = api().split_for_parts();
    crate::describe::exact(&description)
}

fn router(state: Shared) -> Router {
    let (router, _) = api().split_for_parts();
    router
        .route("/v1/openapi.json", axum::routing::get(operations::openapi))
        .route("/metrics", axum::routing::get(operations::metrics))
        .route("/healthz", axum::routing::get(operations::healthz))
        .route("/readyz", axum::routing::get(operations::readyz))
        .route("/", axum::routing::get(operations::index))
        .fallback(async |uri: http::Uri| {
            let message =
                format!("there is nothing at {}; the API is described at /v1/openapi.json", uri.path());
            Refusal::new(StatusCode::NOT_FOUND, Code::NotFound, message).into_response()
        })
        .method_not_allowed_fallback(async |method: http::Method, uri: http::Uri| {
            let message =
                format!("{} does not take {method}; the header `Allow` says what it takes", uri.path());
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, message).into_response()
        })
        .with_state(state)
}

/// What does not exist, said as this protocol says it.
fn missing(noun: switchboard_model::Noun, name: &str) -> Refusal {
    Rejection::not_found(noun, name).into()
}

//! The operations, one file per family of routes: decode, ask the registry, encode.

pub(crate) mod agent;
mod alias;
mod background;
pub(crate) mod catalog;
pub(crate) mod catalog_write;
pub(crate) mod connect;
pub(crate) mod coordinate;
pub(crate) mod event;
mod gauges;
pub(crate) mod health;
pub(crate) mod kv;
pub(crate) mod mesh;
pub(crate) mod operator;
pub(crate) mod process;
pub(crate) mod query;
mod query_run;
pub(crate) mod register;
pub(crate) mod report;
pub(crate) mod session;
pub(crate) mod snapshot;
pub(crate) mod txn;
pub(crate) mod ui;
mod upkeep;

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use async_trait::async_trait;
use http::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::Value;
use switchboard_facade::{
    Context, Facade, HttpMeters, Listener, Listening, Needs, RequestBody, keep_running, serve_http,
};
use switchboard_model::{Name, NodeKey, Revision};
use switchboard_registry::plan::PutNode;
use switchboard_registry::{Caller, Output};
use tokio_util::task::AbortOnDropHandle;
use tower_service::Service;

use crate::answer::{Answer, Body, is_gzip_accepted};
use crate::ask::{Ask, Unprintable, decode_path};
use crate::config::Config;
use crate::events::Events;
use crate::files::{self, Files};
use crate::filter::{Filter, FilterError, Shape};
use crate::identity::{Agent, Here, serf};
use crate::plan::EnsureNode;
use crate::queries::Remembered;
use crate::refusal::Refusal;
use crate::routes;
use crate::socket::Socket;
use query_run::QuerySets;

/// Binds the listener.
pub(crate) fn open(config: Config) -> anyhow::Result<Box<dyn Facade>> {
    let listener = Listener::bind("consul", &config.listen())?;
    let here = Here::new(&config, listener.address())?;
    let socket = config.socket.as_deref().map(Socket::bind).transpose()?;
    Ok(Box::new(Consul { config, listener, socket, here }))
}

struct Consul {
    config: Config,
    listener: Listener,
    socket: Option<Socket>,
    here: Here,
}

#[async_trait]
impl Facade for Consul {
    fn name(&self) -> &'static str {
        "consul"
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn listening(&self) -> Vec<Listening> {
        vec![self.listener.listening("http")]
    }

    async fn serve(self: Box<Self>, context: Context) -> anyhow::Result<()> {
        let meters = HttpMeters::default();
        meters.register("consul", &context.metrics);
        let (limits, stop) = (self.config.limits, context.stop.clone());
        let state = Shared(Arc::new(State {
            files: Files::new(self.config.services.clone()),
            config: self.config,
            here: self.here,
            context,
            queries: Remembered::default(),
            events: Events::default(),
            all_services: Default::default(),
        }));
        state.context.named_sets.publish(Arc::new(QuerySets(Arc::downgrade(&state.0))));
        // Where the listener is reached from this machine.
        let mut inside = self.listener.address();
        if inside.ip().is_unspecified() {
            inside.set_ip(match inside.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let socket = self.socket.map(Arc::new).map(|socket| {
            let carry = move || socket.clone().carry(inside, limits.connections);
            keep_running("consul.socket", stop.clone(), carry)
        });
        let beside = [
            state.beside("consul: its own node and its files", Shared::begin),
            state.beside("consul: sessions", upkeep::keep_sessions),
            state.beside("consul: aliases", alias::keep_aliases),
        ];
        serve_http(self.listener, limits, meters, Front(state), stop).await;
        drop((socket, beside));
        Ok(())
    }
}

/// What every operation needs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) here: Here,
    pub(crate) context: Context,
    all_services: catalog::AllServices,
    pub(crate) queries: Remembered,
    pub(crate) events: Events,
    pub(crate) files: Files,
}

#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<State>);

impl std::ops::Deref for Shared {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl Shared {
    /// Work that goes on beside the listener.
    fn beside<W>(
        &self,
        what: &'static str,
        work: impl Fn(Shared) -> W + Send + 'static,
    ) -> AbortOnDropHandle<()>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let state = self.clone();
        keep_running(what, self.context.stop.clone(), move || work(state.clone()))
    }

    async fn begin(self) {
        self.register_own_node().await;
        files::follow(self).await;
    }

    /// Our own node is there before anyone registers on it.
    async fn register_own_node(&self) {
        let registry = &self.context.registry;
        if registry.loaded().await.is_err() {
            return;
        }
        if let Err(refusal) = self.write_own_node().await {
            tracing::warn!(why = refusal.text, node = %self.here.node, "cannot register this registry's own node");
        }
    }

    async fn write_own_node(&self) -> Result<(), Refusal> {
        let registry = &self.context.registry;
        let caller = Caller::internal("consul");
        let wish = self.ensure(&self.here.own(), true)?;
        // Consul's own tools take an index below 2 for a server that has not started, so the very first node is
        // written twice: by itself, and with its check.
        if registry.head() == Revision::ZERO {
            registry.submit(&caller, PutNode { node: wish.node.clone() }).await?;
        }
        registry.submit(&caller, wish).await?;
        Ok(())
    }
}

impl State {
    pub(crate) fn ensure(&self, agent: &Agent, refresh: bool) -> Result<EnsureNode, Refusal> {
        Ok(EnsureNode { node: self.here.node_record(agent)?, serf: serf(agent.key())?, refresh })
    }

    /// The newest output of a check.
    pub(crate) fn output(&self) -> impl Fn(&switchboard_model::CheckKey) -> Option<Output> {
        |key| self.context.registry.output(key)
    }

    pub(crate) fn node_key(name: &str) -> Result<NodeKey, Refusal> {
        Ok(NodeKey { namespace: Name::default_namespace(), node: Name::parse("node", name)? })
    }
}

/// The expression of `?filter=`, if there is one.
pub(crate) fn filter_of(ask: &Ask, shape: &'static Shape) -> Result<Option<Filter>, Refusal> {
    ask.get("filter").map(|text| Filter::parse(text, shape)).transpose().map_err(failed)
}

/// Those that the expression lets through.
pub(crate) fn filtered<T: Serialize>(filter: Option<&Filter>, items: Vec<T>) -> Result<Vec<T>, Refusal> {
    let Some(filter) = filter else { return Ok(items) };
    let mut kept = Vec::new();
    for item in items {
        if filter.matches(&serde_json::to_value(&item).unwrap_or(Value::Null)).map_err(failed)? {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn failed(error: FilterError) -> Refusal {
    Refusal::failed(error.to_string())
}

/// Requests on their way to their route.
#[derive(Clone)]
struct Front(Shared);

impl Service<Request<RequestBody>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let state = self.0.clone();
        Box::pin(async move {
            let pretty = request.uri().query().is_some_and(|query| {
                query.split('&').any(|part| part == "pretty" || part.starts_with("pretty="))
            });
            let zipped = is_gzip_accepted(request.headers());
            let asked = tracing::enabled!(tracing::Level::DEBUG)
                .then(|| (request.method().clone(), request.uri().path().to_owned()));
            let answer = answer(state, request).await.unwrap_or_else(Answer::from);
            if let Some((method, path)) = asked {
                tracing::debug!(%method, path, status = answer.status.as_u16(), "Request finished");
            }
            Ok(answer.into_response(pretty, zipped).await)
        })
    }
}

async fn answer(state: Shared, request: Request<RequestBody>) -> Result<Answer, Refusal> {
    let path = request.uri().path().to_owned();
    match decode_path(&path) {
        Ok(_) => {}
        Err(Unprintable::Escape) => return Err(Refusal::bad("400 Bad Request")),
        Err(Unprintable::Control) => return Err(Refusal::bad("")),
        Err(Unprintable::NotText) => return Err(Refusal::bad("Invalid URL path: it is not UTF-8")),
    }
    if let Some(clean) = cleaned(&path) {
        return Ok(moved(&request, &clean));
    }
    let (node, path) = named_node(&path)?;
    let Some((route, rest)) = routes::find(path) else {
        if routes::find(&format!("{path}/")).is_some_and(|(route, _)| route.path.len() == path.len() + 1) {
            return Ok(moved(&request, &format!("{}/", request.uri().path())));
        }
        return Err(Refusal::missing(match path {
            "/" => "Consul's API without its UI: paths start with /v1/.",
            _ if path.contains("/v1/") => "Invalid URL path: not a recognized HTTP API endpoint\n",
            _ => "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n",
        }));
    };
    if request.method() == Method::OPTIONS {
        return Ok(Answer::empty().with("allow", route.allow));
    }
    if !route.takes(request.method().as_str()) {
        let text = format!("method {} not allowed", request.method());
        let allow = Some(route.allow);
        return Err(Refusal { allow, ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text) });
    }
    let rest =
        decode_path(rest).map_err(|_| Refusal::bad("Invalid URL path: it holds what cannot be printed"))?;
    let (path, ask) = (route.path, Ask::new(request, node, rest)?);
    ask.check_enterprise(
        !["/v1/catalog/nodes", "/v1/coordinate/nodes", "/v1/status/leader"].contains(&path),
    )?;
    // What an agent says is of no datacenter, and what is written into the catalogue says itself where it belongs.
    let is_of_agent = path.starts_with("/v1/agent/") || path == "/v1/event/list";
    if !is_of_agent && !CATALOG_WRITES.contains(&path) && !path.ends_with("/datacenters") {
        ask.check_datacenter(&state.here.datacenter)?;
    }
    if let Some(nothing) = mesh::of_no_peer(path).filter(|_| ask.get("peer").is_some()) {
        return state.nothing_of_a_peer(&ask, nothing).await;
    }
    let freshness = Freshness::of(path, &ask)?;
    Ok(freshness.said((route.run)(state, ask).await?))
}

const CATALOG_WRITES: [&str; 2] = ["/v1/catalog/register", "/v1/catalog/deregister"];

/// What is said of answers that a client would take from a cache: here they are always made of what is true now.
#[derive(Clone, Copy)]
enum Freshness {
    /// Nobody asked, or this is never cached.
    Unsaid,
    /// As good as any cache could have it.
    Hit,
    /// Looked up because the client wants that.
    Miss,
}

impl Freshness {
    const CACHED: [&str; 10] = [
        "/v1/agent/connect/ca/roots",
        "/v1/catalog/datacenters",
        "/v1/catalog/services",
        "/v1/catalog/service/",
        "/v1/catalog/connect/",
        "/v1/catalog/node-services/",
        "/v1/health/service/",
        "/v1/health/connect/",
        "/v1/health/ingress/",
        "/v1/query/",
    ];

    fn of(path: &str, ask: &Ask) -> Result<Freshness, Refusal> {
        let must_look = ask.cache_control()?;
        let is_asked = ask.has("cached") && Freshness::CACHED.contains(&path);
        Ok(match (is_asked, must_look) {
            (false, _) => Freshness::Unsaid,
            (true, false) => Freshness::Hit,
            (true, true) => Freshness::Miss,
        })
    }

    fn said(self, answer: Answer) -> Answer {
        match self {
            Freshness::Unsaid => answer,
            Freshness::Hit => answer.with("x-cache", "HIT").with("age", "0"),
            Freshness::Miss => answer.with("x-cache", "MISS"),
        }
    }
}

/// The path without empty, `.` and `..` parts. None: it has none of them.
fn cleaned(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    let mut clean = format!("/{}", parts.join("/"));
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    (clean != path).then_some(clean)
}

/// Where a client should have asked.
fn moved(request: &Request<RequestBody>, path: &str) -> Answer {
    let mut location = path.to_owned();
    if let Some(query) = request.uri().query() {
        location = format!("{location}?{query}");
    }
    let answer = match *request.method() {
        Method::GET => {
            let shown = location.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;");
            Answer::bytes(format!("<a href=\"{shown}\">Temporary Redirect</a>.\n\n"))
                .of_type("text/html; charset=utf-8")
        }
        _ => Answer::empty(),
    };
    answer.with_status(StatusCode::TEMPORARY_REDIRECT).with("location", &location)
}

/// `/node/<name>/v1/...`: the same path, spoken for a node by name.
fn named_node(path: &str) -> Result<(Option<Name>, &str), Refusal> {
    let Some(rest) = path.strip_prefix("/node/") else { return Ok((None, path)) };
    let Some(end) = rest.find('/') else { return Ok((None, path)) };
    let (name, path) = rest.split_at(end);
    let name = decode_path(name).map_err(|_| Refusal::bad("Invalid node name"))?;
    Ok((Some(Name::parse("node", &name)?), path))
}

//! The operations, one file per resource: decode, ask the registry, encode.

mod apps;
mod batch;
mod brake;
mod dashboard;
mod instance;
mod metadata;
mod register;
mod status;

pub(crate) use register::enrol;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Request, Response, StatusCode};
use switchboard_facade::{Context, Facade, HttpMeters, Listener, Listening, Needs, RequestBody, serve_http};
use switchboard_model::{Name, Rejection};
use switchboard_registry::{Caller, InstanceView, View};
use tower_service::Service;

use crate::answer::{Answer, Body};
use crate::ask::Ask;
use crate::config::Config;
use crate::lens::find;
use crate::pages::Pages;
use crate::peers::{self, Peers};
use crate::recent::Recent;
use crate::refusal::Refusal;
use crate::routes::{self, Resource};

/// How often changes are taken in when nobody asks.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// Binds the listener.
pub(crate) fn open(config: Config) -> anyhow::Result<Box<dyn Facade>> {
    let peers = Peers::new(&config)?;
    let listener = Listener::bind("eureka", &config.listen())?;
    Ok(Box::new(Eureka { config, listener, peers }))
}

struct Eureka {
    config: Config,
    listener: Listener,
    peers: Peers,
}

#[async_trait]
impl Facade for Eureka {
    fn name(&self) -> &'static str {
        "eureka"
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn listening(&self) -> Vec<Listening> {
        vec![self.listener.listening("http")]
    }

    async fn serve(self: Box<Self>, context: Context) -> anyhow::Result<()> {
        let meters = HttpMeters::default();
        meters.register("eureka", &context.metrics);
        self.peers.register_meters(&context.metrics);
        let (limits, stop) = (self.config.limits, context.stop.clone());
        let state = Shared(Arc::new(State {
            recent: Recent::new(self.config.delta_window.0),
            pages: Pages::default(),
            peers: self.peers,
            address: self.listener.address(),
            config: self.config,
            context,
        }));
        let following = tokio::spawn(follow(state.clone()));
        let replicating = tokio::spawn(peers::run(state.clone()));
        serve_http(self.listener, limits, meters, Front(state), stop).await;
        following.abort();
        replicating.abort();
        Ok(())
    }
}

async fn follow(state: Shared) {
    let registry = &state.context.registry;
    if registry.loaded().await.is_err() {
        return;
    }
    loop {
        if let Err(rejection) = state.recent.follow(registry).await {
            tracing::debug!(%rejection, "changes could not be taken in; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
            () = state.context.stop.cancelled() => return,
        }
    }
}

/// What every operation needs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) recent: Recent,
    pub(crate) pages: Pages,
    pub(crate) peers: Peers,
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
    /// What a read is answered from.
    pub(crate) fn view(&self, ask: &Ask) -> Result<View, Refusal> {
        let view = self.context.registry.view(&ask.caller).map_err(Refusal::not_ready)?;
        if view.tally().instances == 0 && self.peers.is_copying() {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "the peers have not been asked yet"));
        }
        Ok(view)
    }

    /// The instance that a write is about.
    pub(crate) fn find(
        &self,
        caller: &Caller,
        namespace: &Name,
        app: &str,
        id: &str,
    ) -> Result<Arc<InstanceView>, Refusal> {
        let view = self.context.registry.view(caller)?;
        find(&view, namespace.as_str(), app, id).cloned().ok_or_else(Refusal::missing)
    }

    /// A sign of life, also of one that had lapsed.
    pub(crate) async fn keep_alive(&self, caller: &Caller, view: &InstanceView) -> Result<(), Rejection> {
        match view.instance.lease {
            Some(lease) => self.context.registry.keep_alive(caller, lease).await.map(|_| ()),
            // Another protocol keeps it, or it stays anyway.
            None => Ok(()),
        }
    }
}

/// Requests on their way to their resource.
#[derive(Clone)]
struct Front(Shared);

impl Service<Request<RequestBody>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Answering {
        let uri = request.uri().clone();
        let Some(place) = routes::find(uri.path()) else {
            return Answering::at_once(Err(Refusal::missing()));
        };
        let ask = match Ask::new(request, &place) {
            Ok(ask) => ask,
            Err(refusal) => return Answering::at_once(Err(refusal)),
        };
        match at_once(&self.0, &ask, &place.resource) {
            Ok(Some(answer)) => Answering::at_once(Ok(answer)),
            Err(refusal) => Answering::at_once(Err(refusal)),
            Ok(None) => {
                let state = self.0.clone();
                Answering::Later(Box::pin(async move {
                    let Some(place) = routes::find(uri.path()) else { return Refusal::missing().into() };
                    later(&state, ask, &place.resource).await.unwrap_or_else(Answer::from)
                }))
            }
        }
    }
}

/// An answer that is there, or on its way. Most of them are there: what nearly all requests ask for is in memory.
enum Answering {
    AtOnce(Option<Answer>),
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

impl Answering {
    fn at_once(answer: Result<Answer, Refusal>) -> Answering {
        Answering::AtOnce(Some(answer.unwrap_or_else(Answer::from)))
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let answer = match self.get_mut() {
            Answering::AtOnce(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Answering::Later(later) => later.as_mut().poll(task),
        };
        answer.map(|answer| Ok(answer.into_response()))
    }
}

/// None: something has to be written, read or encoded first.
fn at_once(state: &State, ask: &Ask, resource: &Resource<'_>) -> Result<Option<Answer>, Refusal> {
    let is_get = matches!(ask.method, Method::GET | Method::HEAD);
    let answer = match resource {
        Resource::Apps if is_get => return Ok(apps::kept(state, ask, false)?.ok()),
        Resource::Delta if is_get => return Ok(apps::kept(state, ask, true)?.ok()),
        Resource::App { app } if is_get => apps::one(state, ask, app),
        Resource::Vip { vip, secure } if is_get => apps::vip(state, ask, vip, *secure),
        Resource::Instance { app, id } if is_get => instance::get(state, ask, app, id),
        Resource::Instance { app, id } if ask.method == Method::PUT => {
            return instance::renew_at_once(state, ask, app, id);
        }
        Resource::ById { id } if is_get => instance::by_id(state, ask, id),
        Resource::ServerStatus if is_get => status::server(state, ask),
        Resource::Overrides if is_get => status::overrides(state, ask),
        Resource::Dashboard if is_get => dashboard::page(state, ask),
        _ => return Ok(None),
    };
    answer.map(Some)
}

async fn later(state: &State, ask: Ask, resource: &Resource<'_>) -> Result<Answer, Refusal> {
    let is = |method: Method| ask.method == method || (method == Method::GET && ask.method == Method::HEAD);
    match resource {
        Resource::Apps if is(Method::GET) => apps::all(state, &ask, false).await,
        Resource::Delta if is(Method::GET) => apps::all(state, &ask, true).await,
        Resource::App { app } if is(Method::POST) => register::register(state, ask, app).await,
        Resource::Instance { app, id } if is(Method::PUT) => instance::renew(state, &ask, app, id).await,
        Resource::Instance { app, id } if is(Method::DELETE) => instance::cancel(state, &ask, app, id).await,
        Resource::Status { app, id } if is(Method::PUT) => status::put(state, &ask, app, id).await,
        Resource::Status { app, id } if is(Method::DELETE) => status::delete(state, &ask, app, id).await,
        Resource::Metadata { app, id } if is(Method::PUT) => metadata::put(state, &ask, app, id).await,
        Resource::Batch if is(Method::POST) => batch::post(state, ask).await,
        Resource::AutoScaling if is(Method::PUT) => {
            Err(Refusal::bad("there are no auto scaling groups here"))
        }
        Resource::LastN if is(Method::GET) => dashboard::last(state, &ask).await,
        other => Ok(Answer::not_allowed(other.methods())),
    }
}

//! The two requests that most of the traffic consists of, answered before routing: looking up a service as it is by
//! default, and a heartbeat. Both are answered in full by the operations behind the router as well; what is here
//! must never answer differently, and hands on everything that is not the plainest form.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request};
use switchboard_facade::{Peer, RequestBody};
use switchboard_model::DEFAULT_NAMESPACE;
use switchboard_registry::Renewed;
use tower_service::Service;

use crate::answer;
use crate::ask::caller;
use crate::facade::Shared;
use crate::facade::{instances, services};

#[derive(Clone)]
pub(crate) struct Front {
    state: Shared,
    router: Router,
}

impl Front {
    pub(crate) fn new(state: Shared, router: Router) -> Front {
        Front { state, router }
    }

    fn at_once(&self, request: &Request<RequestBody>) -> Option<Response> {
        if request.uri().query().is_some() {
            return None;
        }
        let path = request.uri().path();
        match *request.method() {
            Method::GET => self.look_up(request, plain(path.strip_prefix("/v1/services/")?)?),
            Method::PUT => {
                self.renew(request, plain(path.strip_prefix("/v1/instances/")?.strip_suffix("/renew")?)?)
            }
            _ => None,
        }
    }

    fn look_up(&self, request: &Request<RequestBody>, service: &str) -> Option<Response> {
        let view = self.state.context.registry.view(&self.caller(request)).ok()?;
        let service = view.service(DEFAULT_NAMESPACE, service)?;
        Some(services::served(request.headers(), view.revision(), service))
    }

    fn renew(&self, request: &Request<RequestBody>, id: &str) -> Option<Response> {
        let registry = &self.state.context.registry;
        let view = registry.view(&self.caller(request)).ok()?;
        let lease = view.find_instance(DEFAULT_NAMESPACE, id, None, None).ok()?.instance.lease?;
        match registry.renew(lease).ok()? {
            Renewed::Kept { ttl } => Some(answer::written(view.revision(), &instances::renewed(id, ttl))),
            Renewed::Late { .. } => None,
        }
    }

    fn caller(&self, request: &Request<RequestBody>) -> switchboard_registry::Caller {
        caller(request.extensions().get::<Peer>())
    }
}

/// A path segment that means what it says.
fn plain(segment: &str) -> Option<&str> {
    let sound = !segment.is_empty() && !segment.bytes().any(|byte| matches!(byte, b'/' | b'%'));
    sound.then_some(segment)
}

impl Service<Request<RequestBody>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Answering {
        match self.at_once(&request) {
            Some(response) => Answering::AtOnce(Some(response)),
            None => Answering::Routed(Box::pin(self.router.call(request.map(Body::new)))),
        }
    }
}

/// An answer that is there, or on its way.
pub(crate) enum Answering {
    AtOnce(Option<Response>),
    Routed(Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>),
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Answering::AtOnce(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // Polling on after the answer is a bug of the caller; nothing more comes.
                None => Poll::Pending,
            },
            Answering::Routed(routed) => routed.as_mut().poll(cx),
        }
    }
}

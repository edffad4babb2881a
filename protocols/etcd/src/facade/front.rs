//! One port: gRPC by its content type, everything else as HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use switchboard_facade::RequestBody;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_health::pb::health_server::HealthServer;
use tower_service::Service;

use super::calls::Counting;
use super::{Shared, gateway};
use crate::refusal;
use crate::wire::etcdserverpb::auth_server::AuthServer;
use crate::wire::etcdserverpb::cluster_server::ClusterServer;
use crate::wire::etcdserverpb::kv_server::KvServer;
use crate::wire::etcdserverpb::lease_server::LeaseServer;
use crate::wire::etcdserverpb::maintenance_server::MaintenanceServer;
use crate::wire::etcdserverpb::watch_server::WatchServer;
use crate::wire::v3electionpb::election_server::ElectionServer;
use crate::wire::v3lockpb::lock_server::LockServer;

#[derive(Clone)]
pub(super) struct Front {
    state: Shared,
}

impl Front {
    pub(super) fn new(state: Shared) -> Front {
        Front { state }
    }
}

impl Service<Request<RequestBody>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (state, unread) = (self.state.clone(), self.state.unread.clone());
        let grpc = request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if !grpc {
            return Box::pin(async move { Ok(unread.guard(gateway::answer(state, request).await)) });
        }
        let limit = state.config.limits.body_bytes;
        let counting = Counting::begin(&state, request.uri().path());
        let answer = grpc_call(state, limit, request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if let Some(counting) = counting {
                answer = counting.answered(answer);
            }
            Ok(unread.guard(in_its_words(answer, limit)))
        })
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

macro_rules! services {
    ($state:ident, $limit:ident, $request:ident: $($path:literal => $server:ident,)+) => {
        match $request.uri().path().split('/').nth(1).unwrap_or_default() {
            $($path => $server::new($state).max_decoding_message_size($limit).call($request),)+
            unknown => {
                let unknown = Status::new(Code::Unimplemented, format!("unknown service {unknown}"));
                Box::pin(async move { Ok(unknown.into_http()) })
            }
        }
    };
}

fn grpc_call(state: Shared, limit: usize, request: Request<RequestBody>) -> Answer {
    services!(state, limit, request:
        "etcdserverpb.KV" => KvServer,
        "etcdserverpb.Watch" => WatchServer,
        "etcdserverpb.Lease" => LeaseServer,
        "etcdserverpb.Cluster" => ClusterServer,
        "etcdserverpb.Maintenance" => MaintenanceServer,
        "etcdserverpb.Auth" => AuthServer,
        "v3lockpb.Lock" => LockServer,
        "v3electionpb.Election" => ElectionServer,
        "grpc.health.v1.Health" => HealthServer,
    )
}

/// What the library answers by itself, as etcd's own library says it.
fn in_its_words(mut response: Response<Body>, limit: usize) -> Response<Body> {
    let Some(status) = Status::from_header_map(response.headers()) else { return response };
    let Some(said) = refusal::of_the_library(&status, limit) else { return response };
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(said.code() as i32));
    if let Ok(text) = HeaderValue::from_str(said.message()) {
        headers.insert("grpc-message", text);
    }
    response
}

//! One port: gRPC by its content type, everything else as HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use switchboard_facade::RequestBody;
use tonic::body::Body;
use tonic::{Code, Status};
use tower_service::Service;

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
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (state, unread) = (self.state.clone(), self.state.unread.clone());
        let grpc = request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        Box::pin(async move {
            let limit = state.config.limits.body_bytes;
            Ok(unread.guard(match grpc {
                true => in_its_words(grpc_call(state, request).await, limit),
                false => gateway::answer(state, request).await,
            }))
        })
    }
}

macro_rules! services {
    ($state:ident, $limit:ident, $request:ident, $service:ident: $($path:literal => $server:ident,)+) => {
        match $service {
            $($path => {
                let mut server = $server::new($state).max_decoding_message_size($limit);
                let Ok(response) = server.call($request).await;
                response
            })+
            unknown => Status::new(Code::Unimplemented, format!("unknown service {unknown}")).into_http(),
        }
    };
}

async fn grpc_call(state: Shared, request: Request<RequestBody>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let limit = state.config.limits.body_bytes;
    let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    services!(state, limit, request, service:
        "etcdserverpb.KV" => KvServer,
        "etcdserverpb.Watch" => WatchServer,
        "etcdserverpb.Lease" => LeaseServer,
        "etcdserverpb.Cluster" => ClusterServer,
        "etcdserverpb.Maintenance" => MaintenanceServer,
        "etcdserverpb.Auth" => AuthServer,
        "v3lockpb.Lock" => LockServer,
        "v3electionpb.Election" => ElectionServer,
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

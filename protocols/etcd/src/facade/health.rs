//! gRPC's own health service, for whoever probes a server with it. As in etcd it wants no token, and knows the server as a
//! whole and none of its services.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::Shared;

/// How often it is looked whether something has changed for those who watch. Nothing tells of it: it is asked for when the
/// process begins and ends, and hardly in between.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

fn status(state: &Shared, service: &str) -> ServingStatus {
    match state.context.registry.waiting_for() {
        _ if !service.is_empty() => ServingStatus::ServiceUnknown,
        None => ServingStatus::Serving,
        Some(_) => ServingStatus::NotServing,
    }
}

type Changes = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[async_trait]
impl Health for Shared {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match status(self, &request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            status => Ok(Response::new(HealthCheckResponse { status: status.into() })),
        }
    }

    type WatchStream = Changes;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Changes>, Status> {
        let (state, stop) = (self.clone(), self.context.stop.clone());
        let HealthCheckRequest { service } = request.into_inner();
        let changes = stream::unfold((state, service, None), |(state, service, told)| async move {
            loop {
                let now = status(&state, &service);
                if told != Some(now) {
                    let answer = HealthCheckResponse { status: now.into() };
                    return Some((Ok(answer), (state, service, Some(now))));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        });
        Ok(Response::new(Box::pin(changes.take_until(async move { stop.cancelled().await }))))
    }
}

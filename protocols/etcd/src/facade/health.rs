//! gRPC's own health service: probes and balancers ask it. Like etcd it knows one service, all of them.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, Stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::{Shared, State};
use crate::refusal;

/// How often it is looked at for those who watch.
const EVERY: Duration = Duration::from_millis(250);

impl State {
    fn serving(&self, service: &str) -> ServingStatus {
        match (service, self.context.registry.waiting_for()) {
            ("", None) => ServingStatus::Serving,
            ("", Some(_)) => ServingStatus::NotServing,
            _ => ServingStatus::ServiceUnknown,
        }
    }
}

fn said(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[async_trait]
impl Health for Shared {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.serving(&request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            status => Ok(Response::new(said(status))),
        }
    }

    /// At once, and then whenever it is another.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let answers = stream::unfold(Some((self.clone(), None)), move |open| {
            let service = service.clone();
            async move {
                let (state, told) = open?;
                loop {
                    let now = state.serving(&service);
                    if told != Some(now) {
                        return Some((Ok(said(now)), Some((state, Some(now)))));
                    }
                    tokio::select! {
                        () = tokio::time::sleep(EVERY) => {}
                        () = state.context.stop.cancelled() => return Some((Err(refusal::STOPPED.into()), None)),
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

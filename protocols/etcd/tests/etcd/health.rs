//! gRPC's health service, which was not there: probes of clusters that run etcd ask it.

use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::*;
use crate::users::guarded;

#[tokio::test]
async fn probes_are_answered_as_etcd_answers_them() {
    let world = world().await;
    let mut client = HealthClient::new(world.channel.clone());
    let of = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let told = |status: ServingStatus| HealthCheckResponse { status: status.into() };
    assert_eq!(client.check(of("")).await.unwrap().into_inner(), told(ServingStatus::Serving));
    let unknown = client.check(of("etcdserverpb.KV")).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "unknown service"));
    let mut known = client.watch(of("")).await.unwrap().into_inner();
    assert_eq!(known.message().await.unwrap(), Some(told(ServingStatus::Serving)));
    let mut unknown = client.watch(of("x")).await.unwrap().into_inner();
    assert_eq!(unknown.message().await.unwrap(), Some(told(ServingStatus::ServiceUnknown)));
    world.stop.cancel();
    assert!(known.message().await.is_err(), "it ends with the server");
}

/// Kubernetes has none to show.
#[tokio::test]
async fn probes_need_no_token() {
    let world = guarded().await;
    let probe = HealthCheckRequest { service: String::new() };
    let told = HealthClient::new(world.channel.clone()).check(probe).await.unwrap().into_inner();
    assert_eq!(told.status(), ServingStatus::Serving);
}

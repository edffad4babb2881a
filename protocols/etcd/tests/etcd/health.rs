//! gRPC's health service, by which Kubernetes and load balancers probe a server. What is answered was told by a real one.

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::*;
use crate::users::*;

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn a_probe_is_told_of_the_server_and_of_nothing_in_it_without_a_token() {
    let world = guarded().await;
    let mut health = HealthClient::new(world.channel.clone());
    let told = health.check(of("")).await.unwrap().into_inner();
    assert_eq!(told.status(), ServingStatus::Serving);
    for service in ["etcdserverpb.KV", "nothing"] {
        let refusal = health.check(of(service)).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.message()), (Code::NotFound, "unknown service"));
    }
}

#[tokio::test]
async fn who_watches_is_told_how_it_stands_and_that_it_ends() {
    let world = world().await;
    let mut health = HealthClient::new(world.channel.clone());
    for (service, stands) in [("", ServingStatus::Serving), ("nothing", ServingStatus::ServiceUnknown)] {
        let mut told = health.watch(of(service)).await.unwrap().into_inner();
        assert_eq!(told.message().await.unwrap().unwrap().status(), stands);
    }
    let mut told = health.watch(of("")).await.unwrap().into_inner();
    told.message().await.unwrap().unwrap();
    world.stop.cancel();
    assert_eq!(told.message().await.unwrap(), None);
}

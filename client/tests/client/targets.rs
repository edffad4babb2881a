//! Registries and services written as one text, and channels to them.

use http::Method;
use switchboard::{GrpcChannel, Instance, LastKnownGood, Resolvers};
use switchboard_discover::suite;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::grpc::Server as Health;
use crate::sources::native_body;
use crate::support::{Api, Server, until};

fn ask() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

fn health(server: &Health, id: &str) -> serde_json::Value {
    let address = server.address;
    let instance = Instance::new("health", id, &address.ip().to_string(), address.port()).unwrap();
    native_body(&instance)
}

/// One instance, found through every protocol; when another takes its place, all channels go there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_follow_the_watch_whatever_the_scheme() {
    let server = Server::start().await;
    let api = Api::at(server.native);
    let (first, second) = (Health::start("127.0.0.1:0").await, Health::start("127.0.0.1:0").await);
    api.call(Method::POST, "/v1/register", Some(health(&first, "first"))).await;
    let dns_port = first.address.port();
    let targets = [
        format!("switchboard://{}/health", server.native),
        format!("consul://{}/health", server.consul),
        format!("etcd://{}/health", server.etcd),
        format!("etcd://{}//services/health", server.etcd),
        format!("eureka://{}/HEALTH", server.eureka),
        format!("dns://{}/health.service.consul", server.dns),
        format!("dns://{}/health.service.consul:{dns_port}", server.dns),
    ];
    let resolvers = Resolvers::new();
    let mut channels = Vec::new();
    for target in &targets {
        let channel = resolvers.channel(target).unwrap_or_else(|error| panic!("{error}"));
        let mut client = HealthClient::new(channel);
        client.check(ask()).await.unwrap_or_else(|status| panic!("{target}: {status}"));
        channels.push((target, client));
    }
    api.call(Method::POST, "/v1/register", Some(health(&second, "second"))).await;
    api.call(Method::DELETE, "/v1/instances/first", None).await;
    // Eureka's clients ask every 30 seconds, and the last is of another port.
    channels.retain(|(target, _)| !target.starts_with("eureka") && !target.ends_with(&dns_port.to_string()));
    first.kill().await;
    for (target, client) in channels {
        until(&format!("{target} leads to the second"), || {
            let mut client = client.clone();
            async move { client.check(ask()).await.is_ok() }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_of_one_registry_share_one_watch() {
    let server = Server::start().await;
    let cable = crate::support::Cable::to(server.native).await;
    let resolvers = Resolvers::new();
    let target = format!("switchboard://{}/users", cable.address);
    let mut all = Vec::new();
    for _ in 0..20 {
        let (source, query) = resolvers.resolve(&target).unwrap();
        all.push(source.watch(&query));
    }
    for updates in &mut all {
        suite::until(updates, "there is an answer", |set| set.freshness.is_fresh()).await;
    }
    until("they share one connection", || async { cable.open() == 1 }).await;
}

#[tokio::test]
async fn targets_that_lead_nowhere_are_refused_by_name() {
    for (target, why) in [
        ("greeter:50051", "has no scheme"),
        ("zookeeper:///greeter", "none of switchboard, consul, etcd, eureka, dns"),
        ("consul:///", "names no service"),
        ("consul:///a/b/greeter", "\"a/b\" leads nowhere"),
        ("consul:///greeter?tga=v2", "the parameter \"tga\" is none of tag, namespace, unhealthy"),
        ("consul://h:port:1/greeter", "h:port:1"),
        ("etcd:///greeter?values=xml", "values is one of json, address and grpc-endpoint"),
        ("etcd:///a/greeter?prefix=/b", "says in the path and in prefix"),
        ("dns://resolver.example.com/greeter:1", "not an IP address"),
        ("dns:///greeter:http", "is no port"),
    ] {
        let error = GrpcChannel::<tonic::body::Body>::to(target).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(target), "{target}: {error}");
    }
    let error = Resolvers::new().source("consul:///greeter").unwrap_err().to_string();
    assert!(error.contains("names a service"), "{error}");
}

/// With every registry gone, a new process starts from what an earlier one kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_starts_from_the_last_known_good() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start().await;
    let cable = crate::support::Cable::to(server.native).await;
    let backend = Health::start("127.0.0.1:0").await;
    Api::at(server.native).call(Method::POST, "/v1/register", Some(health(&backend, "a"))).await;
    let target = format!("switchboard://{}/health", cable.address);
    let resolvers = || Resolvers::new().keep(LastKnownGood::in_folder(folder.path()));
    HealthClient::new(resolvers().channel(&target).unwrap()).check(ask()).await.unwrap();
    until("it is kept", || async {
        folder
            .path()
            .read_dir()
            .unwrap()
            .any(|it| it.unwrap().path().extension().is_some_and(|extension| extension == "json"))
    })
    .await;
    cable.cut();
    let channel = resolvers().channel(&target).unwrap();
    HealthClient::new(channel.clone()).check(ask()).await.unwrap();
    let freshness = channel.status().freshness;
    assert!(matches!(freshness, switchboard::Freshness::Stale { .. }), "{freshness:?}");
}

//! DNS, asked of ours.

use std::sync::Arc;

use http::Method;
use switchboard::{Dns, Freshness, Instance, Query, Source};
use switchboard_discover::suite;

use crate::sources::native_body;
use crate::support::{Api, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srv_records_and_addresses_are_instances_and_changes_are_heard() {
    let server = Server::start().await;
    let api = Api::at(server.native);
    let instance = |id: &str, host: &str| Instance::new("users", id, host, 8080).unwrap();
    for it in [instance("a", "10.0.0.1"), instance("b", "fd00::7")] {
        api.call(Method::POST, "/v1/register", Some(native_body(&it))).await;
    }
    let srv = Dns::srv_at(server.dns, "{service}.service.consul.").unwrap().source();
    let hosts = Dns::hosts_at(server.dns, "{service}.service.consul.", 9090).unwrap().source();
    for (source, port) in [(Arc::new(srv) as Arc<dyn Source>, 8080), (Arc::new(hosts), 9090)] {
        let mut updates = source.watch(&Query::service("users").unwrap());
        let set = suite::until(&mut updates, "both are there", |set| set.instances.len() == 2).await;
        assert_eq!(suite::hosts(&set), ["10.0.0.1", "fd00::7"], "{}", source.name());
        assert!(set.instances.iter().all(|it| it.port() == Some(port)), "{set:?}");
        api.call(Method::POST, "/v1/register", Some(native_body(&instance("c", "10.0.0.3")))).await;
        suite::until(&mut updates, "the third is there", |set| set.instances.len() == 3).await;
        api.call(Method::DELETE, "/v1/instances/c", None).await;
        suite::until(&mut updates, "it is gone", |set| set.instances.len() == 2).await;
    }
    let source = Dns::srv_at(server.dns, "{service}.service.consul.").unwrap().source();
    let mut nobody = source.watch(&Query::service("nobody").unwrap());
    let set = suite::until(&mut nobody, "there is an answer", |set| !set.freshness.is_never()).await;
    assert_eq!((set.instances.len(), set.freshness), (0, Freshness::Fresh));
}

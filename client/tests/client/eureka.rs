//! Eureka, asked of ours, and of a real server where `SWITCHBOARD_EUREKA_ADDRESS` names one.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use serde_json::json;
use switchboard::{Eureka, Query, Source};
use switchboard_discover::suite;

use crate::support::{Api, Server};

async fn register(api: &Api, id: &str, host: &str, status: &str) {
    let instance = json!({ "instanceId": id, "hostName": host, "app": "USERS", "ipAddr": host, "status": status,
        "port": { "$": 8080, "@enabled": "true" }, "securePort": { "$": 443, "@enabled": "false" },
        "dataCenterInfo": { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn" },
        "metadata": { "zone": "east-1" } });
    api.call(Method::POST, "/eureka/apps/USERS", Some(json!({ "instance": instance }))).await;
}

async fn changes_are_heard(address: SocketAddr) {
    let api = Api::at(address);
    register(&api, "a", "10.0.0.1", "UP").await;
    let eureka = Eureka::at(&format!("http://{address}")).unwrap().every(Duration::from_millis(100));
    let mut updates = eureka.source().watch(&Query::service("users").unwrap());
    let set = suite::until(&mut updates, "it is there", |set| suite::hosts(set) == ["10.0.0.1"]).await;
    assert_eq!((set.instances[0].port(), set.instances[0].zone.as_deref()), (Some(8080), Some("east-1")));
    register(&api, "b", "10.0.0.2", "UP").await;
    suite::until(&mut updates, "a delta tells it", |set| set.instances.len() == 2).await;
    api.call(Method::DELETE, "/eureka/apps/USERS/a", None).await;
    suite::until(&mut updates, "it is gone", |set| suite::hosts(set) == ["10.0.0.2"]).await;
    api.call(Method::DELETE, "/eureka/apps/USERS/b", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_here_is_heard() {
    let server = Server::start().await;
    changes_are_heard(server.eureka).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_at_a_real_server_is_heard() {
    let Ok(address) = std::env::var("SWITCHBOARD_EUREKA_ADDRESS") else {
        eprintln!("not run - eureka: SWITCHBOARD_EUREKA_ADDRESS names no real server");
        return;
    };
    changes_are_heard(address.parse().unwrap()).await;
}

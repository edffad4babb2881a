//! Eureka, asked of ours, and of a real server where `SWITCHBOARD_EUREKA_ADDRESS` names one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};
use switchboard::{Eureka, Health, Instance, Query, Source};
use switchboard_discover::suite;
use switchboard_discover::suite::{Abilities, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Api, Cable, Server};

/// Eureka's API of ours. It is polled, so that there is no watch whose end could be seen.
struct EurekaWorld {
    server: Server,
    cable: Cable,
    source: Arc<dyn Source>,
    api: Api,
}

async fn world() -> EurekaWorld {
    let server = Server::start().await;
    let cable = Cable::to(server.eureka).await;
    let eureka = Eureka::at(&cable.url()).unwrap().every(Duration::from_millis(50));
    let api = Api::at(server.eureka);
    EurekaWorld { cable, source: Arc::new(eureka.source()), api, server }
}

fn body(instance: &Instance) -> Value {
    let mut metadata: BTreeMap<String, String> =
        instance.metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    metadata.extend(instance.zone.iter().map(|zone| ("zone".to_owned(), zone.to_string())));
    metadata.insert("weight".to_owned(), instance.weight.to_string());
    let status = if instance.health == Health::Critical { "DOWN" } else { "UP" };
    json!({ "instance": { "instanceId": instance.key.id.as_str(), "app": instance.key.service.as_str(),
        "hostName": &*instance.host, "ipAddr": &*instance.host, "status": status, "metadata": metadata,
        "port": { "$": instance.port(), "@enabled": "true" }, "dataCenterInfo": { "name": "MyOwn" } } })
}

#[async_trait]
impl World for EurekaWorld {
    fn source(&self) -> Arc<dyn Source> {
        self.source.clone()
    }

    fn abilities(&self) -> Abilities {
        Abilities { tags: false, ..Abilities::ALL }
    }

    async fn put(&mut self, instance: &Instance) {
        let path = format!("/eureka/apps/{}", instance.key.service);
        self.api.call(Method::POST, &path, Some(body(instance))).await;
    }

    async fn remove(&mut self, instance: &Instance) {
        let path = format!("/eureka/apps/{}/{}", instance.key.service, instance.key.id);
        self.api.call(Method::DELETE, &path, None).await;
    }

    async fn cut(&mut self) -> bool {
        self.cable.cut();
        true
    }

    async fn mend(&mut self) {
        self.cable.mend(self.server.eureka);
    }
}

switchboard_discover::source_suite!(world().await);

/// Answers everybody the same; tells what was asked for.
async fn stub() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, asks) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = asked.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    head.push(byte);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap().to_owned();
                    head.clear();
                    let _ = asked.send(path);
                    let body = r#"{"applications":{"apps__hashcode":"","application":[]}}"#;
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (address, asks)
}

/// Each service that a client looked for fetched the whole registry for itself, and polled it for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_of_one_server_share_one_poll_which_ends_with_the_last_of_them() {
    let (address, mut asks) = stub().await;
    let source = Eureka::at(&format!("http://{address}")).unwrap().every(Duration::from_secs(3600)).source();
    let query = |service: &str| Query::service(service).unwrap();
    let mut several: Vec<_> =
        ["users", "orders", "carts"].map(|service| source.watch(&query(service))).into();
    for updates in &mut several {
        suite::until(updates, "it is answered", |set| set.freshness.is_fresh()).await;
    }
    let mut paths: Vec<String> = std::iter::from_fn(|| asks.try_recv().ok()).collect();
    assert_eq!(paths, ["/eureka/apps/"]);
    drop(several);
    // What comes after is a new poll, once the old one is known to be over.
    while paths.len() < 2 {
        let mut again = source.watch(&query("users"));
        suite::until(&mut again, "it is answered", |set| set.freshness.is_fresh()).await;
        drop(again);
        tokio::time::sleep(Duration::from_millis(10)).await;
        paths.extend(std::iter::from_fn(|| asks.try_recv().ok()));
    }
    assert!(paths.iter().all(|path| path == "/eureka/apps/"), "{paths:?}");
}

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

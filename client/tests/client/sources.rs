//! Every source against the suite of `core/discover`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};
use switchboard::{Consul, Health, Instance, Native, Source};
use switchboard_discover::suite::{Abilities, World};

use crate::support::{Api, Cable, Server, until};

pub(crate) fn native_body(instance: &Instance) -> Value {
    let metadata: BTreeMap<_, _> =
        instance.metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let mut body = json!({
        "service": instance.key.service.as_str(), "id": instance.key.id.as_str(), "host": &*instance.host,
        "port": instance.port(), "weight": instance.weight, "metadata": metadata,
        "tags": instance.tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    if let Some(zone) = &instance.zone {
        body["zone"] = zone.to_string().into();
    }
    body
}

pub(crate) fn consul_body(instance: &Instance) -> Value {
    let mut meta: BTreeMap<_, _> =
        instance.metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    if let Some(zone) = &instance.zone {
        meta.insert("zone".to_owned(), zone.to_string());
    }
    json!({
        "ID": instance.key.id.as_str(), "Name": instance.key.service.as_str(), "Address": &*instance.host,
        "Port": instance.port(), "Weights": { "Passing": instance.weight, "Warning": 1 }, "Meta": meta,
        "Tags": instance.tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "Check": { "CheckID": format!("service:{}", instance.key.id), "TTL": "1h", "Status": "passing" },
    })
}

mod native {
    use super::*;

    struct NativeWorld {
        server: Server,
        cable: Cable,
        source: Arc<dyn Source>,
        api: Api,
    }

    async fn world() -> NativeWorld {
        let server = Server::start().await;
        let cable = Cable::to(server.native).await;
        let source = Arc::new(Native::at(&cable.url()).unwrap().source());
        let api = Api::at(server.native);
        NativeWorld { server, cable, source, api }
    }

    #[async_trait]
    impl World for NativeWorld {
        fn source(&self) -> Arc<dyn Source> {
            self.source.clone()
        }

        fn abilities(&self) -> Abilities {
            Abilities::ALL
        }

        async fn put(&mut self, instance: &Instance) {
            self.api.call(Method::POST, "/v1/register", Some(native_body(instance))).await;
            let status = if instance.health == Health::Critical { "critical" } else { "passing" };
            let path = format!("/v1/instances/{}/status", instance.key.id);
            self.api.put(&path, Some(json!({ "status": status }))).await;
        }

        async fn remove(&mut self, instance: &Instance) {
            self.api.call(Method::DELETE, &format!("/v1/instances/{}", instance.key.id), None).await;
        }

        async fn cut(&mut self) -> bool {
            self.cable.cut();
            true
        }

        async fn mend(&mut self) {
            self.cable.mend(self.server.native);
        }

        async fn open_watches(&self) -> Option<usize> {
            Some(self.cable.open())
        }
    }

    switchboard_discover::source_suite!(world().await);
}

/// Consul's API: of ours, and of the real one.
pub(crate) struct ConsulWorld<Guard> {
    pub(crate) server: std::net::SocketAddr,
    pub(crate) cable: Cable,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) api: Api,
    /// Keeps the server alive.
    pub(crate) _guard: Guard,
}

impl<Guard> ConsulWorld<Guard> {
    pub(crate) async fn at(server: std::net::SocketAddr, guard: Guard) -> ConsulWorld<Guard> {
        let cable = Cable::to(server).await;
        let source = Arc::new(Consul::at(&cable.url()).unwrap().source());
        ConsulWorld { server, cable, source, api: Api::at(server), _guard: guard }
    }
}

#[async_trait]
impl<Guard: Send + Sync> World for ConsulWorld<Guard> {
    fn source(&self) -> Arc<dyn Source> {
        self.source.clone()
    }

    fn abilities(&self) -> Abilities {
        Abilities::ALL
    }

    async fn put(&mut self, instance: &Instance) {
        self.api.put("/v1/agent/service/register", Some(consul_body(instance))).await;
        let word = if instance.health == Health::Critical { "fail" } else { "pass" };
        self.api.put(&format!("/v1/agent/check/{word}/service:{}", instance.key.id), None).await;
    }

    async fn remove(&mut self, instance: &Instance) {
        self.api.put(&format!("/v1/agent/service/deregister/{}", instance.key.id), None).await;
    }

    async fn cut(&mut self) -> bool {
        self.cable.cut();
        true
    }

    async fn mend(&mut self) {
        self.cable.mend(self.server);
    }

    async fn open_watches(&self) -> Option<usize> {
        Some(self.cable.open())
    }
}

mod consul {
    use super::*;

    async fn world() -> ConsulWorld<Server> {
        let server = Server::start().await;
        let api = Api::at(server.consul);
        until("the node is there", || async { api.get("/v1/catalog/node/here").await != Value::Null }).await;
        ConsulWorld::at(server.consul, server).await
    }

    switchboard_discover::source_suite!(world().await);
}

//! Routes follow the registry: whatever it commits is there for the next request.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use switchboard_model::{Name, Selector, ServiceKey};
use switchboard_registry::{Caller, Delivery, Registry, ServiceRef, Watch, WatchEnd};

use crate::gateway::Gateway;

/// Follows the registry until it stops.
pub(crate) async fn follow(gateway: Arc<Gateway>, registry: Registry) {
    if let Err(why) = registry.loaded().await {
        tracing::warn!(why, "there is nothing to follow");
        return;
    }
    let Ok(namespace) = Name::parse("gateway.namespace", &gateway.config.namespace) else { return };
    let follower = Follower { gateway, registry, namespace, caller: Caller::internal("gateway") };
    loop {
        match follower.once().await {
            WatchEnd::Stopping => return,
            end => {
                tracing::info!(?end, "reading all services anew");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

struct Follower {
    gateway: Arc<Gateway>,
    registry: Registry,
    namespace: Name,
    caller: Caller,
}

impl Follower {
    /// Reads everything, then every change, until it has to be read anew.
    async fn once(&self) -> WatchEnd {
        let unavailable = |why: String| WatchEnd::Unavailable { why };
        let mut watch = match self.read_all() {
            Ok(watch) => watch,
            Err(rejection) => return unavailable(rejection.to_string()),
        };
        loop {
            match watch.next().await {
                Ok(delivery) => {
                    // What happened at once is taken over at once.
                    let mut touched = BTreeSet::new();
                    touch(&mut touched, &delivery);
                    let first = delivery.changes.at_ms;
                    loop {
                        match watch.try_next().await {
                            Ok(Some(delivery)) => touch(&mut touched, &delivery),
                            Ok(None) => break,
                            Err(end) => return end,
                        }
                    }
                    if let Err(rejection) = self.take_over(touched) {
                        return unavailable(rejection.to_string());
                    }
                    let took = self.registry.now().wall_ms.saturating_sub(first);
                    self.gateway.meters.propagated(Duration::from_millis(took));
                }
                Err(end) => return end,
            }
        }
    }

    fn read_all(&self) -> Result<Watch, switchboard_model::Rejection> {
        let view = self.registry.view(&self.caller)?;
        let selector = Selector::Services { namespace: Some(self.namespace.clone()), prefix: "".into() };
        let watch = self.registry.watch(&self.caller, &selector, view.revision())?;
        let (services, table) = (&self.gateway.services, &self.gateway.table);
        let from = ServiceRef { namespace: self.namespace.as_str(), service: "" };
        let mut names = BTreeSet::new();
        for service in
            view.services(Bound::Included(from)).take_while(|it| it.key.namespace == self.namespace)
        {
            names.insert(service.key.service.folded());
            services.update(service, table);
        }
        services.retain(|name| names.contains(name));
        services.set_ready();
        Ok(watch)
    }

    fn take_over(&self, touched: BTreeSet<ServiceKey>) -> Result<(), switchboard_model::Rejection> {
        let view = self.registry.view(&self.caller)?;
        let (services, table) = (&self.gateway.services, &self.gateway.table);
        for key in touched {
            match view.service(key.namespace.as_str(), key.service.as_str()) {
                Some(service) if !service.is_empty() => services.update(service, table),
                Some(_) | None => services.remove(&key),
            }
        }
        Ok(())
    }
}

fn touch(touched: &mut BTreeSet<ServiceKey>, delivery: &Delivery) {
    let views = delivery.items().filter_map(|change| change.what.instance());
    touched.extend(views.map(|view| view.key().service_key()));
}

//! Services of a registry that is elsewhere: a source is asked for one when a request first names it, and followed for as
//! long as there is something to follow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use switchboard_discover::{Query, Source};
use switchboard_model::Name;
use tokio::sync::watch;

use crate::route::{Table, Target};
use crate::services::Services;

/// What is asked of a source.
pub(crate) struct OnDemand {
    source: Arc<dyn Source>,
    services: Arc<Services>,
    table: Arc<Table>,
    namespace: Name,
    /// By name in lower case; whether the source has answered.
    asked: Mutex<HashMap<Arc<str>, watch::Receiver<bool>>>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Names that are followed at once. Who asks for many that do not exist must not have all of them followed.
    pub(crate) names: usize,
    /// How long a request waits for the first answer.
    pub(crate) patience: Duration,
    /// How long a name is followed of which there are no instances.
    pub(crate) nobody: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { names: 10_000, patience: Duration::from_secs(2), nobody: Duration::from_secs(30) }
    }
}

impl std::fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OnDemand({})", self.source.name())
    }
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    /// The source has answered: whoever is not known now does not exist.
    Everything,
    /// It has not answered yet.
    Nothing,
    /// So many names are followed already that this one is not.
    Full,
}

impl OnDemand {
    pub(crate) fn new(
        source: Arc<dyn Source>,
        services: Arc<Services>,
        table: Arc<Table>,
        namespace: Name,
        limits: Limits,
    ) -> Arc<OnDemand> {
        let asked = Mutex::default();
        let on_demand = Arc::new(OnDemand { source, services, table, namespace, asked, limits });
        // What the configuration names is wanted in any case.
        for (_, route) in on_demand.table.routes() {
            let Target::Services(parts) = &route.target else { continue };
            parts.iter().for_each(|part| drop(on_demand.ask(&part.service, true)));
        }
        on_demand
    }

    pub(crate) fn source_name(&self) -> &str {
        self.source.name()
    }

    /// Waits until the source has said something about a service, as long as patience lasts.
    pub(crate) async fn learn(self: &Arc<OnDemand>, name: &str) -> Learned {
        let Some(mut answered) = self.ask(name, false) else { return Learned::Full };
        let waited = tokio::time::timeout(self.limits.patience, answered.wait_for(|answered| *answered));
        match waited.await {
            Ok(_) => Learned::Everything,
            Err(_) => Learned::Nothing,
        }
    }

    fn ask(self: &Arc<OnDemand>, name: &str, always: bool) -> Option<watch::Receiver<bool>> {
        let mut asked = self.asked.lock();
        if let Some(answered) = asked.get(name) {
            return Some(answered.clone());
        }
        if asked.len() >= self.limits.names {
            return None;
        }
        let query = Query::in_namespace(self.namespace.as_str(), name).ok()?.with_unhealthy();
        let (tell, answered) = watch::channel(false);
        asked.insert(name.into(), answered.clone());
        tokio::spawn(self.clone().follow(query, tell, always));
        Some(answered)
    }

    /// Follows a service. One of which nobody is there, and that nobody has configured, is forgotten after a while.
    async fn follow(self: Arc<OnDemand>, query: Query, tell: watch::Sender<bool>, always: bool) {
        let mut updates = self.source.watch(&query);
        let mut set = updates.current();
        loop {
            let nobody = set.instances.is_empty();
            if !set.freshness.is_never() {
                match nobody {
                    true => self.services.remove(&query.service),
                    false => self.services.update_set(&query.service, &set, &self.table),
                }
                tell.send_replace(true);
            }
            set = if nobody && !always {
                match tokio::time::timeout(self.limits.nobody, updates.next()).await {
                    Ok(set) => set,
                    Err(_) => break,
                }
            } else {
                updates.next().await
            };
        }
        self.asked.lock().remove(query.service.service.folded().as_str());
    }
}

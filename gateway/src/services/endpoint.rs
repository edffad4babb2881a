use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use switchboard_balance::{Moment, Outcome};
use switchboard_model::{Instance, InstanceKey, Metadata, Port};
use switchboard_registry::InstanceView;

use crate::config::Protocol;
use crate::route::{self, Settings};
use crate::upstream::{Dialer, Pool};

/// An instance as whoever registered it describes it.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) key: Arc<InstanceKey>,
    pub(crate) host: Arc<str>,
    pub(crate) ports: Box<[Port]>,
    pub(crate) metadata: Metadata,
    pub(crate) weight: u32,
    pub(crate) zone: Option<Arc<str>>,
}

/// An instance, and what we know about it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    facts: Facts,
    /// Outlives changes of the facts, as long as it is the same place.
    pub(crate) state: Arc<State>,
}

impl std::ops::Deref for Endpoint {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl From<&InstanceView> for Facts {
    fn from(view: &InstanceView) -> Facts {
        Facts::of(&view.instance, view.instance.weight_at(view.health))
    }
}

impl Facts {
    pub(crate) fn of(instance: &Instance, weight: u32) -> Facts {
        Facts {
            key: instance.key.clone(),
            host: Arc::from(&*instance.address),
            ports: instance.ports.clone(),
            metadata: instance.metadata.clone(),
            weight,
            zone: instance.zone.clone(),
        }
    }
}

impl From<&switchboard_discover::Instance> for Facts {
    fn from(instance: &switchboard_discover::Instance) -> Facts {
        Facts {
            key: instance.key.clone(),
            host: Arc::from(&*instance.host),
            ports: instance.ports.clone(),
            metadata: instance.metadata.clone(),
            weight: instance.weight,
            zone: instance.zone.clone(),
        }
    }
}

/// What is known about an instance from the requests it was given.
#[derive(Debug)]
pub(crate) struct State {
    dialer: Arc<Dialer>,
    pools: Mutex<Vec<Arc<Pool>>>,
    requests: AtomicU64,
    failures: AtomicU64,
    last_failure: Mutex<Option<String>>,
    /// When it joined the routes; None: it was one of the first.
    joined: Option<Moment>,
    /// Whether it has joined and not answered yet.
    is_new: AtomicBool,
}

/// How an instance is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
}

impl Endpoint {
    /// `before`: what was known of the same instance. `joined`: when it joined the others; None: it is one of the first.
    pub(crate) fn new(
        facts: Facts,
        before: Option<&Endpoint>,
        dialer: &Arc<Dialer>,
        joined: Option<Moment>,
    ) -> Endpoint {
        let state = match before.filter(|before| before.host == facts.host) {
            Some(before) => before.state.clone(),
            None => Arc::new(State::new(dialer.clone(), joined)),
        };
        Endpoint { facts, state }
    }

    /// The port and the protocol for a request.
    pub(crate) fn way(&self, settings: &Settings, grpc: bool) -> Result<Way, String> {
        let named = |name: &str| self.ports.iter().find(|port| &*port.name == name);
        let port = match &settings.port {
            Some(name) => named(name).ok_or_else(|| format!("it has no port {name:?}"))?,
            None => grpc
                .then(|| named("grpc"))
                .flatten()
                .or_else(|| self.ports.first())
                .ok_or_else(|| "it is registered without a port".to_owned())?,
        };
        let said = || self.metadata.get("gateway.protocol").and_then(route::protocol);
        let by_name = || route::protocol(&port.name).filter(|protocol| *protocol == Protocol::H2c);
        let usual = || if grpc { Protocol::H2c } else { Protocol::Http1 };
        let protocol = settings.protocol.or_else(said).or_else(by_name).unwrap_or_else(usual);
        Ok(Way { port: port.number, protocol })
    }

    /// The connections for a way; made when they are asked for first.
    pub(crate) fn pool(&self, way: Way) -> Arc<Pool> {
        let mut pools = self.state.pools.lock();
        if let Some(pool) = pools.iter().find(|pool| pool.way() == way) {
            return pool.clone();
        }
        let pool = Arc::new(Pool::new(&self.host, way, self.state.dialer.clone()));
        pools.push(pool.clone());
        pool
    }
}

impl State {
    fn new(dialer: Arc<Dialer>, joined: Option<Moment>) -> State {
        State {
            dialer,
            pools: Mutex::new(Vec::new()),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            last_failure: Mutex::new(None),
            joined,
            is_new: AtomicBool::new(joined.is_some()),
        }
    }

    /// With the first answer of an instance that joined: how long that took.
    pub(crate) fn first_answer(&self, now: Moment) -> Option<Duration> {
        let is_first = self.is_new.load(Ordering::Relaxed) && self.is_new.swap(false, Ordering::Relaxed);
        self.joined.filter(|_| is_first).map(|joined| now.since(joined))
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if matches!(outcome, Outcome::Failure { .. }) {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn failed(&self, why: &str) {
        *self.last_failure.lock() = Some(why.to_owned());
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(crate) fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().clone()
    }

    /// Lets go of connections that nobody has used for long.
    pub(crate) fn sweep(&self) {
        let pools = self.pools.lock().clone();
        pools.iter().for_each(|pool| pool.sweep());
    }

    pub(crate) fn connections(&self) -> usize {
        self.pools.lock().iter().map(|pool| pool.open()).sum()
    }
}

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use switchboard_balance::{
    Balancer, Endpoint, Fitness, Ledger, NoPick, Outcome, Phase, Pick, Policy, PolicyError, Report, Request,
};
use switchboard_discover::{Freshness, Instance, InstanceKey, InstanceSet, Query, Source, Updates};
use switchboard_model::Name;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::now;
use crate::times::{Times, Took};

/// The instances of one service, each with what it takes to reach it, kept as its source says they are.
///
/// A service for calls is made for each instance by the factory, once for as long as the instance stays where it is, and
/// dropped when the instance goes or the pool is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Attempt, Fixed, Instance, Outcome, Pool, PoolOptions, Query};
///
/// let users = Fixed::new([Instance::new("users", "a", "10.0.0.1", 80)?]);
/// let pool = Pool::new(&users, &Query::service("users")?, PoolOptions::default(), |instance: &Instance| {
///     instance.authority().unwrap_or_default()
/// })?;
/// let place = pool.call(None, true, async |picked| {
///     let place = picked.service().cloned();
///     picked.finish(Outcome::Success);
///     Attempt::Done(place)
/// });
/// assert_eq!(place.await?.as_deref(), Some("10.0.0.1:80"));
/// # Ok(()) }
/// ```
pub struct Pool<S> {
    shared: Arc<Shared<S>>,
    task: JoinHandle<()>,
}

pub(crate) struct Shared<S> {
    pub(crate) balancer: Balancer<Target<S>>,
    pub(crate) query: Query,
    pub(crate) options: PoolOptions,
    seen: watch::Receiver<Seen>,
    pub(crate) counts: Counts,
}

/// What the balancer's instances are made of.
pub(crate) struct Target<S> {
    pub(crate) instance: Arc<Instance>,
    pub(crate) service: S,
}

/// The newest set that the balancer knows.
#[derive(Clone, Debug)]
struct Seen {
    freshness: Freshness,
    instances: usize,
    /// Whether the registry has said anything to this process.
    was_heard: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) ejected_probes: AtomicU64,
    pub(crate) times: Times,
}

/// How a pool is run.
///
/// ```
/// use std::time::Duration;
/// use switchboard::{Algorithm, Policy, PoolOptions, ZonePolicy};
///
/// let policy = Policy {
///     algorithm: Algorithm::LeastRequest { choices: 2 },
///     zone: Some(ZonePolicy::prefer("eu-1")),
///     ..Policy::default()
/// };
/// let options = PoolOptions { policy, timeout: Some(Duration::from_secs(5)), ..PoolOptions::default() };
/// ```
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// How instances are picked.
    pub policy: Policy,
    /// Where what is known about instances is kept; share one among all pools of the process.
    pub ledger: Arc<Ledger>,
    /// How long a call waits for the first answer of a source that has said nothing yet.
    pub patience: Duration,
    /// The longest that a call may take with all its tries. None: as long as it takes.
    pub timeout: Option<Duration>,
}

impl Default for PoolOptions {
    fn default() -> PoolOptions {
        PoolOptions {
            policy: Policy::default(),
            ledger: Arc::new(Ledger::telling(log)),
            patience: Duration::from_secs(3),
            timeout: None,
        }
    }
}

fn log(instance: &InstanceKey, phase: Phase) {
    match phase {
        Phase::Open { until } => {
            let left_out_for = until.since(now());
            tracing::warn!(target: "switchboard::pool", %instance, ?left_out_for, "an instance fails and is left out");
        }
        Phase::Closed => {
            tracing::info!(target: "switchboard::pool", %instance, "an instance works again");
        }
        Phase::HalfOpen => {}
    }
}

/// Why there is no pool.
///
/// ```
/// use switchboard::{Fixed, Pool, PoolOptions, Query};
///
/// let query = Query::service("users").unwrap();
/// let error = Pool::new(&Fixed::new([]), &query, PoolOptions::default(), |_| ()).unwrap_err();
/// assert_eq!(error.to_string(), "not within a tokio runtime");
/// ```
#[derive(Clone, Debug, Error)]
pub enum PoolError {
    /// A setting makes no sense.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A pool follows its source in a task, and there is nothing that runs tasks.
    #[error("not within a tokio runtime")]
    NoRuntime,
}

/// What a pool knows, for people and for metrics.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Fixed, Instance, Pool, PoolOptions, Query};
///
/// let users = Fixed::new([Instance::new("users", "a", "10.0.0.1", 80)?]);
/// let pool = Pool::new(&users, &Query::service("users")?, PoolOptions::default(), |instance: &Instance| {
///     instance.authority().unwrap_or_default()
/// })?;
/// pool.ready().await;
/// let status = pool.status();
/// assert!(status.freshness.is_fresh());
/// assert_eq!((status.instances.len(), status.calls, status.in_flight), (1, 0, 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PoolStatus {
    /// The service that is called.
    pub service: Name,
    /// Whether the registry still vouches for the instances.
    pub freshness: Freshness,
    /// Each instance, with what calls have told about it.
    pub instances: Vec<Report>,
    /// Where the circuit breaker of the service stands; None: the policy has none.
    pub circuit: Option<Phase>,
    /// Calls on the way.
    pub in_flight: u32,
    /// Calls since the start.
    pub calls: u64,
    /// Tries after the first.
    pub retries: u64,
    /// Calls that failed in the end.
    pub failures: u64,
    /// Calls that found out whether an ejected instance works again.
    pub probes: u64,
    /// How long calls took.
    pub took: Took,
}

impl<S: Clone + Send + Sync + 'static> Pool<S> {
    /// A pool that follows a source. `factory` makes what it takes to call an instance; it must not wait for anything.
    pub fn new(
        source: &dyn Source,
        query: &Query,
        options: PoolOptions,
        factory: impl FnMut(&Instance) -> S + Send + 'static,
    ) -> Result<Pool<S>, PoolError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| PoolError::NoRuntime)?;
        let balancer = Balancer::new(options.policy.clone(), options.ledger.clone())?;
        let seen = Seen { freshness: Freshness::Never { cause: None }, instances: 0, was_heard: false };
        let (tell, seen) = watch::channel(seen);
        let shared =
            Arc::new(Shared { balancer, query: query.clone(), options, seen, counts: Counts::default() });
        let follower = Follower { shared: shared.clone(), tell, services: HashMap::new(), factory };
        let task = runtime.spawn(follower.follow(source.watch(query)));
        Ok(Pool { shared, task })
    }

    /// What it knows at present.
    pub fn status(&self) -> PoolStatus {
        let Shared { balancer, query, counts, seen, .. } = &*self.shared;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        PoolStatus {
            service: query.service.service.clone(),
            freshness: seen.borrow().freshness.clone(),
            instances: balancer.report(now()),
            circuit: balancer.circuit(),
            in_flight: balancer.in_flight(),
            calls: read(&counts.calls),
            retries: read(&counts.retries),
            failures: read(&counts.failures),
            probes: read(&counts.ejected_probes),
            took: counts.times.read(),
        }
    }

    /// Waits until the source has said anything.
    pub async fn ready(&self) {
        self.shared.ready().await;
    }

    /// Picks an instance for one try of a call. [`Pool::call`] does that, and tries again elsewhere.
    pub fn pick(&self, request: &Request<'_>) -> Result<Picked<S>, NoPick> {
        self.shared.pick(request)
    }

    pub(crate) fn shared(&self) -> Arc<Shared<S>> {
        self.shared.clone()
    }
}

impl<S> Shared<S> {
    pub(crate) async fn ready(&self) {
        let mut seen = self.seen.clone();
        // Once the pool is dropped there is nothing to wait for.
        let _ = seen.wait_for(|seen| !seen.freshness.is_never()).await;
    }

    pub(crate) fn was_heard(&self) -> bool {
        self.seen.borrow().was_heard
    }

    /// Waits until the registry has said anything to this process.
    pub(crate) async fn heard(&self) {
        let mut seen = self.seen.clone();
        // Once the pool is dropped there is nothing to wait for.
        let _ = seen.wait_for(|seen| seen.was_heard).await;
    }

    pub(crate) fn freshness(&self) -> Freshness {
        self.seen.borrow().freshness.clone()
    }

    pub(crate) fn pick(&self, request: &Request<'_>) -> Result<Picked<S>, NoPick> {
        let pick = self.balancer.pick(request, now(), &mut || fastrand::u64(..))?;
        if pick.is_probe() {
            self.counts.ejected_probes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Picked { pick: Some(pick) })
    }
}

impl<S> Drop for Pool<S> {
    fn drop(&mut self) {
        self.task.abort();
        // Connections go with the services that hold them, also while calls that began before are on their way.
        self.shared.balancer.update(Vec::new(), now());
    }
}

struct Follower<S, F> {
    shared: Arc<Shared<S>>,
    tell: watch::Sender<Seen>,
    services: HashMap<Arc<InstanceKey>, (Arc<Instance>, S)>,
    factory: F,
}

impl<S: Clone, F: FnMut(&Instance) -> S> Follower<S, F> {
    async fn follow(mut self, mut updates: Updates) {
        let mut set = updates.current();
        loop {
            self.take(&set);
            set = updates.next().await;
        }
    }

    fn take(&mut self, set: &InstanceSet) {
        let known = |freshness: &Freshness| !freshness.is_never();
        if known(&set.freshness) {
            let mut kept = HashMap::with_capacity(set.instances.len());
            let mut endpoints = Vec::with_capacity(set.instances.len());
            for instance in &*set.instances {
                // Whoever stays where it is keeps its connections.
                let service = match self.services.remove(&instance.key) {
                    Some((before, service)) if before.is_at_the_same_place(instance) => service,
                    _ => (self.factory)(instance),
                };
                let target = Target { instance: instance.clone(), service: service.clone() };
                endpoints.push((endpoint(instance), target));
                kept.insert(instance.key.clone(), (instance.clone(), service));
            }
            self.services = kept;
            self.shared.balancer.update(endpoints, now());
        }
        let instances = set.instances.len();
        let was_heard = self.tell.borrow().was_heard || set.freshness.is_fresh();
        let before = self.tell.send_replace(Seen { freshness: set.freshness.clone(), instances, was_heard });
        if before.freshness != set.freshness || before.instances != instances {
            let service = &self.shared.query.service.service;
            tracing::info!(target: "switchboard::pool", %service, instances, revision = set.revision.0, freshness = ?set.freshness, "instances");
        }
    }
}

fn endpoint(instance: &Instance) -> Endpoint {
    Endpoint {
        key: instance.key.clone(),
        address: Arc::from(instance.authority().unwrap_or_else(|| instance.host.to_string())),
        weight: instance.weight,
        zone: instance.zone.clone(),
        fitness: Fitness::from(instance.health),
    }
}

/// An instance that was picked for a try, held until that is over. One that is dropped was given up.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Fixed, Instance, Outcome, Pool, PoolOptions, Query};
///
/// let users = Fixed::new([Instance::new("users", "a", "10.0.0.1", 80)?]);
/// let pool = Pool::new(&users, &Query::service("users")?, PoolOptions::default(), |instance: &Instance| {
///     instance.authority().unwrap_or_default()
/// })?;
/// pool.ready().await;
/// let picked = pool.pick(&Default::default())?;
/// assert_eq!(picked.instance().unwrap().key.id.as_str(), "a");
/// assert_eq!(pool.status().in_flight, 1);
/// picked.finish(Outcome::Success);
/// assert_eq!(pool.status().in_flight, 0);
/// # Ok(()) }
/// ```
pub struct Picked<S> {
    pick: Option<Pick<Target<S>>>,
}

impl<S> Picked<S> {
    /// What the factory made for the instance.
    pub fn service(&self) -> Option<&S> {
        self.pick.as_ref().map(|pick| &pick.target().service)
    }

    /// The instance.
    pub fn instance(&self) -> Option<&Arc<Instance>> {
        self.pick.as_ref().map(|pick| &pick.target().instance)
    }

    /// The first part of the answer is there.
    pub fn answered(&mut self) {
        if let Some(pick) = &mut self.pick {
            pick.answered(now());
        }
    }

    /// The try is over.
    pub fn finish(mut self, outcome: Outcome) {
        if let Some(pick) = self.pick.take() {
            pick.finish(outcome, now());
        }
    }
}

impl<S> Drop for Picked<S> {
    fn drop(&mut self) {
        if let Some(pick) = self.pick.take() {
            pick.give_up(now());
        }
    }
}

impl<S> fmt::Debug for Picked<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Picked").field(&self.instance()).finish()
    }
}

impl<S> fmt::Debug for Pool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("query", &self.shared.query).finish_non_exhaustive()
    }
}

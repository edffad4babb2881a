use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use switchboard_discover::{Backoff, Name};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::registration::Registration;

/// A registry that instances can be registered with: what whoever adds one writes.
///
/// ```
/// use std::sync::Arc;
/// use switchboard::{Registrar, Registration, Registry, RegistryError};
///
/// /// A registry that believes everything.
/// struct Credulous;
///
/// #[async_trait::async_trait]
/// impl Registry for Credulous {
///     fn name(&self) -> String {
///         "credulous".to_owned()
///     }
///     async fn register(&self, _: &Registration) -> Result<(), RegistryError> {
///         Ok(())
///     }
///     async fn renew(&self, _: &Registration) -> Result<(), RegistryError> {
///         Ok(())
///     }
///     async fn drain(&self, _: &Registration) -> Result<(), RegistryError> {
///         Ok(())
///     }
///     async fn deregister(&self, _: &Registration) -> Result<(), RegistryError> {
///         Ok(())
///     }
///     fn afresh(&self) -> Arc<dyn Registry> {
///         Arc::new(Credulous)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let me = Registrar::start(Credulous, Registration::new("greeter", "10.0.0.5", 8080)?);
/// me.registered().await;
/// assert!(me.state().borrow().is_yes());
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// What it is called in messages.
    fn name(&self) -> String;

    /// Registers the instance, or says again that it is there. It is up afterwards.
    async fn register(&self, registration: &Registration) -> Result<(), RegistryError>;

    /// The heartbeat. With an active check it only finds out whether the instance is still registered.
    async fn renew(&self, registration: &Registration) -> Result<(), RegistryError>;

    /// Takes no new calls from now on.
    async fn drain(&self, registration: &Registration) -> Result<(), RegistryError>;

    /// Takes it out. One that is not there is no error.
    async fn deregister(&self, registration: &Registration) -> Result<(), RegistryError>;

    /// The same registry over connections of its own, for use on another runtime.
    fn afresh(&self) -> Arc<dyn Registry>;
}

/// Why a registry did not do it.
///
/// ```
/// let error = switchboard::RegistryError::Refused("the name is taken".into());
/// assert_eq!(error.to_string(), "refused: the name is taken");
/// ```
#[derive(Clone, Debug, Error)]
pub enum RegistryError {
    /// It does not know the instance any more: register again.
    #[error("the registry does not know the instance: {0}")]
    Unknown(Arc<str>),
    /// It cannot be reached, or cannot do it now.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// It will not do it.
    #[error("refused: {0}")]
    Refused(Arc<str>),
}

impl RegistryError {
    pub(crate) fn unavailable(why: impl fmt::Display) -> RegistryError {
        RegistryError::Unavailable(Arc::from(why.to_string()))
    }

    pub(crate) fn refused(why: impl fmt::Display) -> RegistryError {
        RegistryError::Refused(Arc::from(why.to_string()))
    }

    pub(crate) fn unknown(why: impl fmt::Display) -> RegistryError {
        RegistryError::Unknown(Arc::from(why.to_string()))
    }
}

/// Whether the instance is registered.
///
/// ```no_run
/// # async fn example(me: switchboard::Registrar) {
/// use switchboard::Registered;
///
/// let mut state = me.state();
/// while state.changed().await.is_ok() {
///     match &*state.borrow() {
///         Registered::Yes { again } => println!("registered, {again} times again"),
///         Registered::No { cause } => println!("not registered: {cause:?}"),
///         Registered::Left => break,
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum Registered {
    /// Not yet, or not any more.
    No {
        /// Why; None: nothing was tried yet.
        cause: Option<RegistryError>,
    },
    /// As of the last heartbeat.
    Yes {
        /// How often it has had to be registered again.
        again: u32,
    },
    /// It has left.
    Left,
}

impl Registered {
    /// Whether it is.
    pub fn is_yes(&self) -> bool {
        matches!(self, Registered::Yes { .. })
    }
}

/// How a registrar goes about it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use std::time::Duration;
/// use switchboard::{Native, Registrar, RegistrarOptions, Registration};
///
/// let patient = RegistrarOptions { leave_within: Duration::from_secs(10), ..RegistrarOptions::default() };
/// let registry = Arc::new(Native::at("http://127.0.0.1:7700")?);
/// let me = Registrar::with(registry, Registration::new("greeter", "10.0.0.5", 8080)?, patient);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RegistrarOptions {
    /// The pause after the first failure.
    pub pause: Duration,
    /// The longest pause, but never longer than a heartbeat.
    pub longest_pause: Duration,
    /// How long leaving may take when the registrar is dropped.
    pub leave_within: Duration,
}

impl Default for RegistrarOptions {
    fn default() -> RegistrarOptions {
        RegistrarOptions {
            pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            leave_within: Duration::from_secs(2),
        }
    }
}

/// Keeps an instance registered for as long as it lives.
///
/// It registers, sends heartbeats, and registers again when the registry does not know the instance any more: because its
/// lease was lost, the registry was restarted without its data, or somebody took it out. While no registry can be
/// reached it keeps trying. When it is dropped, the instance is deregistered; better is [`Registrar::leave`].
///
/// ```no_run
/// # async fn serve() {}
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use switchboard::{Native, Registrar, Registration};
///
/// let registry = Native::at("http://127.0.0.1:7700")?;
/// let me = Registrar::start(registry, Registration::new("greeter", "10.0.0.5", 8080)?);
/// tokio::select! {
///     () = serve() => {}
///     () = me.leave_on_signal(Duration::from_secs(5)) => {}
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Registrar {
    service: Name,
    id: Arc<str>,
    counts: Arc<Counts>,
    orders: mpsc::Sender<Order>,
    state: watch::Receiver<Registered>,
    parting: Option<Parting>,
}

#[derive(Debug, Default)]
struct Counts {
    again: AtomicU64,
    failures: AtomicU64,
}

/// What a registrar knows, for people and for metrics.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Native, Registrar, Registration};
///
/// let registry = Native::at("http://127.0.0.1:7700")?;
/// let me = Registrar::start(registry, Registration::new("greeter", "10.0.0.5", 8080)?);
/// assert!(!me.status().registered, "it has only just begun");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RegistrarStatus {
    /// The service.
    pub service: Name,
    /// The instance's id.
    pub id: Arc<str>,
    /// Whether it is registered, as of the last heartbeat.
    pub registered: bool,
    /// How often it has had to be registered again.
    pub again: u64,
    /// Registrations and heartbeats that failed.
    pub failures: u64,
}

#[derive(Debug)]
struct Order {
    drain_for: Duration,
    done: oneshot::Sender<()>,
}

/// What is needed to deregister without the runtime that the registrar ran on, which may be about to end.
struct Parting {
    registry: Arc<dyn Registry>,
    registration: Registration,
    within: Duration,
    task: tokio::task::AbortHandle,
}

impl Registrar {
    /// Starts registering. Returns at once; [`Registrar::registered`] waits until it is done.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(registry: impl Registry, registration: Registration) -> Registrar {
        Registrar::with(Arc::new(registry), registration, RegistrarOptions::default())
    }

    /// With other options.
    pub fn with(
        registry: Arc<dyn Registry>,
        registration: Registration,
        options: RegistrarOptions,
    ) -> Registrar {
        let (orders, inbox) = mpsc::channel(1);
        let (tell, state) = watch::channel(Registered::No { cause: None });
        let counts = Arc::new(Counts::default());
        let (service, id) = (registration.service.service.clone(), registration.id.clone());
        let keeper = Keeper {
            registry: registry.clone(),
            registration: registration.clone(),
            options,
            tell,
            counts: counts.clone(),
        };
        let task = tokio::spawn(keeper.run(inbox)).abort_handle();
        let parting = Parting { registry, registration, within: options.leave_within, task };
        Registrar { service, id, counts, orders, state, parting: Some(parting) }
    }

    /// Waits until the instance is registered.
    pub async fn registered(&self) {
        let mut state = self.state.clone();
        // The sender lives as long as the task; if that ended there is nothing to wait for.
        let _ = state.wait_for(|state| matches!(state, Registered::Yes { .. } | Registered::Left)).await;
    }

    /// Whether it is registered, and why not, now and later.
    pub fn state(&self) -> watch::Receiver<Registered> {
        self.state.clone()
    }

    /// What it has counted.
    pub fn status(&self) -> RegistrarStatus {
        status(&self.service, &self.id, &self.state, &self.counts)
    }

    /// Takes no new calls, gives those that are on the way this long to end, and deregisters.
    pub async fn leave(mut self, drain_for: Duration) {
        let (done, end) = oneshot::channel();
        if self.orders.send(Order { drain_for, done }).await.is_ok() && end.await.is_ok() {
            self.parting = None;
        }
    }

    /// Waits for a signal to stop (SIGTERM, or ctrl-c), then leaves.
    ///
    /// The process does not end by such a signal any more: end it when this returns.
    pub async fn leave_on_signal(self, drain_for: Duration) {
        shutdown_signal().await;
        self.leave(drain_for).await;
    }
}

fn status(
    service: &Name,
    id: &Arc<str>,
    state: &watch::Receiver<Registered>,
    counts: &Counts,
) -> RegistrarStatus {
    RegistrarStatus {
        service: service.clone(),
        id: id.clone(),
        registered: state.borrow().is_yes(),
        again: counts.again.load(Ordering::Relaxed),
        failures: counts.failures.load(Ordering::Relaxed),
    }
}

#[cfg(feature = "metrics")]
impl crate::metrics::Measure for Registrar {
    fn reader(&self) -> Box<dyn Fn() -> Option<crate::metrics::Measured> + Send + Sync> {
        let (service, id, state) = (self.service.clone(), self.id.clone(), self.state.clone());
        let counts = Arc::downgrade(&self.counts);
        Box::new(move || {
            let registrar = status(&service, &id, &state, &*counts.upgrade()?);
            Some(crate::metrics::Measured { registrar: Some(registrar), pools: Vec::new() })
        })
    }
}

/// Waits for a signal to stop: SIGTERM, or ctrl-c.
///
/// ```no_run
/// # async fn serve() {}
/// # async fn example() {
/// tokio::select! {
///     () = serve() => {}
///     () = switchboard::shutdown_signal() => println!("told to stop"),
/// }
/// # }
/// ```
pub async fn shutdown_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler there is no signal to wait for.
        std::future::pending::<()>().await;
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        let Some(parting) = self.parting.take() else { return };
        parting.task.abort();
        // On a thread and a runtime of its own: this one may be the last thing that the other runtime does.
        let leave = move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            let Parting { registry, registration, within, .. } = parting;
            let result = runtime
                .block_on(async { timeout(within, registry.afresh().deregister(&registration)).await });
            match result {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(target: "switchboard::registrar", id = %registration.id, %error, "not deregistered");
                }
                Err(_) => {
                    tracing::warn!(target: "switchboard::registrar", id = %registration.id, "not deregistered in time");
                }
            }
        };
        if let Ok(thread) = std::thread::Builder::new().name("switchboard-leave".to_owned()).spawn(leave) {
            // Its panic, if any, is its own.
            let _ = thread.join();
        }
    }
}

struct Keeper {
    registry: Arc<dyn Registry>,
    registration: Registration,
    options: RegistrarOptions,
    tell: watch::Sender<Registered>,
    counts: Arc<Counts>,
}

impl Keeper {
    async fn run(self, mut orders: mpsc::Receiver<Order>) {
        let order = tokio::select! {
            order = orders.recv() => order,
            () = self.keep() => None,
        };
        let Some(order) = order else { return };
        self.depart(order.drain_for).await;
        self.tell.send_replace(Registered::Left);
        // Whoever waits may have gone.
        let _ = order.done.send(());
    }

    /// Never ends.
    async fn keep(&self) {
        let beat = match &self.registration.check {
            Some(check) => check.interval().max(Duration::from_secs(1)),
            None => self.registration.heartbeat,
        };
        let mut backoff = Backoff::new(self.options.pause, self.options.longest_pause.min(beat));
        let mut times = 0_u32;
        loop {
            match self.within(beat, self.registry.register(&self.registration)).await {
                Ok(()) => {
                    backoff.reset();
                    self.tell.send_replace(Registered::Yes { again: times });
                    self.counts.again.store(u64::from(times), Ordering::Relaxed);
                    let id = &self.registration.id;
                    tracing::info!(target: "switchboard::registrar", registry = self.registry.name(), %id, again = times, "registered");
                    times = times.saturating_add(1);
                }
                Err(error) => {
                    self.failed("registering", error);
                    tokio::time::sleep(backoff.next(fastrand::f64())).await;
                    continue;
                }
            }
            let mut next = Instant::now() + beat;
            loop {
                tokio::time::sleep_until(next).await;
                match self.within(beat, self.registry.renew(&self.registration)).await {
                    Ok(()) => {
                        backoff.reset();
                        self.tell.send_if_modified(|state| {
                            let was_lost = !state.is_yes();
                            *state = Registered::Yes { again: times.saturating_sub(1) };
                            was_lost
                        });
                        next = Instant::now() + beat;
                    }
                    Err(error) => {
                        let is_unknown =
                            matches!(error, RegistryError::Unknown(_) | RegistryError::Refused(_));
                        self.failed("the heartbeat", error);
                        if is_unknown {
                            break;
                        }
                        next = Instant::now() + backoff.next(fastrand::f64());
                    }
                }
            }
        }
    }

    async fn depart(&self, drain_for: Duration) {
        let limit = self.options.leave_within;
        if !drain_for.is_zero() {
            match self.within(limit, self.registry.drain(&self.registration)).await {
                Ok(()) => tokio::time::sleep(drain_for).await,
                Err(error) => self.failed("draining", error),
            }
        }
        if let Err(error) = self.within(limit, self.registry.deregister(&self.registration)).await {
            self.failed("deregistering", error);
        }
    }

    async fn within(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<(), RegistryError>>,
    ) -> Result<(), RegistryError> {
        let limit = limit.max(Duration::from_secs(1));
        timeout(limit, work).await.unwrap_or_else(|_| {
            Err(RegistryError::unavailable(format!("{}: no answer within {limit:?}", self.registry.name())))
        })
    }

    fn failed(&self, what: &str, error: RegistryError) {
        let id = &self.registration.id;
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(target: "switchboard::registrar", registry = self.registry.name(), %id, %error, "{what} failed");
        self.tell.send_replace(Registered::No { cause: Some(error) });
    }
}

impl fmt::Debug for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parting").field("registration", &self.registration).finish_non_exhaustive()
    }
}

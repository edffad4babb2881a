use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use switchboard_balance::{NoPick, Request};
use switchboard_discover::{Backoff, Freshness, Instance, InstanceKey};
use tokio::time::Instant;

use crate::pool::{Picked, Pool, Shared};

/// How one try of a call ended.
///
/// ```
/// use switchboard::Attempt;
///
/// let unsent: Attempt<String> = Attempt::unsent("connection refused");
/// assert!(matches!(unsent, Attempt::Failed { sent: false, .. }), "it can be tried again, whatever it is");
/// ```
#[derive(Debug)]
pub enum Attempt<R> {
    /// With an answer for the caller.
    Done(R),
    /// With an answer that says the instance is not well. If the call may be tried again it is, and this is dropped.
    Poor(R),
    /// Without an answer.
    Failed {
        /// For people.
        error: Arc<dyn std::error::Error + Send + Sync>,
        /// Whether the instance may have begun with it. What was not sent can be tried again, whatever it is.
        sent: bool,
    },
}

impl<R> Attempt<R> {
    /// Nothing was sent.
    pub fn unsent(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Attempt<R> {
        Attempt::Failed { error: Arc::from(error.into()), sent: false }
    }

    /// The instance may have begun with it.
    pub fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Attempt<R> {
        Attempt::Failed { error: Arc::from(error.into()), sent: true }
    }
}

/// A call that failed, with all that was tried.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use switchboard::{Fixed, HttpClient, Why};
///
/// let error = HttpClient::new(Fixed::new([])).get("http://users/").await.unwrap_err();
/// assert!(matches!(error.why, Why::NoInstance(_)));
/// assert_eq!(error.to_string(), "users: the service has no instances");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CallError {
    /// Whom it was for: a service, or the URL as it was given where that names none.
    pub service: Arc<str>,
    /// Why it was not tried any further.
    pub why: Why,
    /// Each try, in order.
    pub attempts: Vec<FailedAttempt>,
    /// What was known about the service's instances.
    pub freshness: Freshness,
}

/// Why a call was not tried any further.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use switchboard::{Fixed, HttpClient, Why};
///
/// let error = HttpClient::new(Fixed::new([])).get("https://users/").await.unwrap_err();
/// assert!(matches!(error.why, Why::Request(why) if &*why == "services are called by http://"));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// There was no instance to try it on.
    NoInstance(NoPick),
    /// No source has said anything about the service yet.
    NothingKnown,
    /// It may have had an effect, and must not have it twice.
    NotIdempotent,
    /// It was tried as often as the policy allows.
    Attempts,
    /// So many calls are being retried that this one may not be.
    Budget,
    /// Its time was up.
    Timeout,
    /// The request itself cannot be sent to anyone.
    Request(Arc<str>),
}

/// One try that failed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Fixed, HttpClient, Instance};
///
/// // Nobody listens there.
/// let users = Fixed::new([Instance::new("users", "a", "127.0.0.1", 1)?]);
/// let error = HttpClient::new(users).get("http://users/").await.unwrap_err();
/// assert_eq!(error.attempts.len(), 1);
/// assert_eq!(error.attempts[0].address, "127.0.0.1:1");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FailedAttempt {
    /// On which instance.
    pub instance: Arc<InstanceKey>,
    /// Where that is.
    pub address: String,
    /// How it failed; None: it had not ended when the time was up.
    pub error: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.service)?;
        match &self.why {
            Why::NoInstance(no_pick) => write!(f, "{no_pick}")?,
            Why::NothingKnown => write!(f, "nothing is known about its instances")?,
            Why::NotIdempotent => write!(f, "the call may have had an effect, and is not tried again")?,
            Why::Attempts => write!(f, "the call failed each time")?,
            Why::Budget => write!(f, "too many calls are being tried again")?,
            Why::Timeout => write!(f, "the time was up")?,
            Why::Request(why) => write!(f, "{why}")?,
        }
        for attempt in &self.attempts {
            write!(f, "; {} at {} ", attempt.instance.id, attempt.address)?;
            match &attempt.error {
                Some(error) => write!(f, "after {:?}: {}", attempt.took, crate::wire::said(&**error))?,
                None => write!(f, "gave no answer within {:?}", attempt.took)?,
            }
        }
        match &self.freshness {
            Freshness::Fresh => Ok(()),
            Freshness::Stale { cause, .. } => write!(f, " (the instances are the last known: {cause})"),
            Freshness::Never { cause: Some(cause) } => write!(f, " ({cause})"),
            Freshness::Never { cause: None } => Ok(()),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let error = self.attempts.last()?.error.as_ref()?;
        Some(&**error as &(dyn std::error::Error + 'static))
    }
}

/// What a call says about itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call {
    pub(crate) hash: Option<u64>,
    /// Whether it may be done twice.
    pub(crate) idempotent: bool,
    /// The longest that this call may take, if that is less than what the pool says.
    pub(crate) timeout: Option<Duration>,
}

impl<S: Clone + Send + Sync + 'static> Pool<S> {
    /// Makes a call: picks an instance, tries, and tries again on others as long as that is allowed.
    ///
    /// `attempt` is given the instance and must say to it how the try ended, with [`Picked::finish`]. A call that is
    /// `idempotent` is tried again after any failure, another one only if nothing was sent. `hash` is for consistent
    /// hashing.
    pub async fn call<R, F>(
        &self,
        hash: Option<u64>,
        idempotent: bool,
        attempt: impl FnMut(Picked<S>) -> F,
    ) -> Result<R, CallError>
    where
        F: Future<Output = Attempt<R>>,
    {
        run(&self.shared(), Call { hash, idempotent, timeout: None }, attempt).await
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The pause before a call is tried again that did reach an instance.
const PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

pub(crate) async fn run<S, R, F>(
    shared: &Shared<S>,
    call: Call,
    mut attempt: impl FnMut(Picked<S>) -> F,
) -> Result<R, CallError>
where
    F: Future<Output = Attempt<R>>,
{
    shared.counts.calls.fetch_add(1, Ordering::Relaxed);
    let begun = Instant::now();
    let timeout = [shared.options.timeout, call.timeout].into_iter().flatten().min();
    // One that is too far away for the clock is none.
    let deadline = timeout.and_then(|timeout| begun.checked_add(timeout));
    let mut tries = Tries { shared, sent: false, attempts: Vec::new(), tried: Vec::new(), current: None };
    let work = tries.run(call, &mut attempt);
    let result = match deadline {
        None => work.await,
        Some(deadline) => match tokio::time::timeout_at(deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(Why::Timeout),
        },
    };
    shared.counts.times.add(begun.elapsed());
    result.map_err(|why| {
        shared.counts.failures.fetch_add(1, Ordering::Relaxed);
        let error = tries.error(why);
        tracing::debug!(target: "switchboard::call", %error, "a call failed");
        error
    })
}

struct Tries<'a, S> {
    shared: &'a Shared<S>,
    /// Whether an instance may have begun with it.
    sent: bool,
    attempts: Vec<FailedAttempt>,
    tried: Vec<Arc<InstanceKey>>,
    current: Option<(Arc<Instance>, Instant)>,
}

impl<S> Tries<'_, S> {
    async fn run<R, F>(&mut self, call: Call, attempt: &mut impl FnMut(Picked<S>) -> F) -> Result<R, Why>
    where
        F: Future<Output = Attempt<R>>,
    {
        let patience = self.shared.options.patience;
        if self.shared.freshness().is_never()
            && tokio::time::timeout(patience, self.shared.ready()).await.is_err()
        {
            return Err(Why::NothingKnown);
        }
        let was_heard = self.shared.was_heard();
        let result = self.try_each(call, attempt).await;
        let reached_nobody = matches!(result, Err(Why::Attempts | Why::NoInstance(_))) && !self.sent;
        if was_heard || !reached_nobody {
            return result;
        }
        // All that was known is what an earlier process kept, and nobody is there any more: the registry may be about to
        // say who is.
        if tokio::time::timeout(patience, self.shared.heard()).await.is_err() {
            return result;
        }
        self.tried.clear();
        self.try_each(call, attempt).await
    }

    async fn try_each<R, F>(&mut self, call: Call, attempt: &mut impl FnMut(Picked<S>) -> F) -> Result<R, Why>
    where
        F: Future<Output = Attempt<R>>,
    {
        let policy = &self.shared.options.policy.retry;
        let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
        let mut permit = None;
        for number in 1.. {
            let picked = self.shared.pick(&Request { hash: call.hash, tried: &self.tried });
            let picked = picked.map_err(|no_pick| match no_pick {
                NoPick::AllTried if !self.tried.is_empty() => Why::Attempts,
                other => Why::NoInstance(other),
            })?;
            let Some(instance) = picked.instance().cloned() else { return Err(Why::Attempts) };
            self.tried.push(instance.key.clone());
            self.current = Some((instance, Instant::now()));
            let (error, poor, sent) = match attempt(picked).await {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Poor(answer) => (None, Some(answer), true),
                Attempt::Failed { error, sent } => (Some(error), None, sent),
            };
            self.sent |= sent;
            let stop = if sent && !call.idempotent {
                Some(Why::NotIdempotent)
            } else if number >= policy.max_attempts {
                Some(Why::Attempts)
            } else {
                // The permit is held until the call is over. What was not sent costs nobody anything.
                if sent && permit.is_none() {
                    permit = self.shared.balancer.retry();
                }
                (sent && permit.is_none()).then_some(Why::Budget)
            };
            match (stop, poor) {
                // Any answer is better than none.
                (Some(_), Some(answer)) => return Ok(answer),
                (Some(why), None) => {
                    self.failed(error);
                    return Err(why);
                }
                (None, Some(answer)) => {
                    let others = self.shared.pick(&Request { hash: call.hash, tried: &self.tried });
                    if others.is_err() {
                        return Ok(answer);
                    }
                    self.failed(Some(Arc::from(BoxError::from("the answer says that it is not well"))));
                }
                (None, None) => self.failed(error),
            }
            self.shared.counts.retries.fetch_add(1, Ordering::Relaxed);
            if sent {
                tokio::time::sleep(backoff.next(fastrand::f64())).await;
            }
        }
        Err(Why::Attempts)
    }

    fn failed(&mut self, error: Option<Arc<dyn std::error::Error + Send + Sync>>) {
        if let Some((instance, begun)) = self.current.take() {
            self.attempts.push(FailedAttempt {
                address: instance.authority().unwrap_or_else(|| instance.host.to_string()),
                instance: instance.key.clone(),
                error,
                took: begun.elapsed(),
            });
        }
    }

    fn error(&mut self, why: Why) -> CallError {
        // The one that was on its way when the time was up.
        self.failed(None);
        CallError {
            service: Arc::from(self.shared.query.service.service.as_str()),
            why,
            attempts: std::mem::take(&mut self.attempts),
            freshness: self.shared.freshness(),
        }
    }
}

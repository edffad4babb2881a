//! Any `tower` service, balanced over the instances of a service in a registry.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use switchboard_balance::Outcome;
use switchboard_discover::{Instance, Query, Source};
use tower_service::Service;

use crate::call::{Attempt, Call, CallError, run};
use crate::pool::{Picked, Pool, PoolError, PoolOptions, PoolStatus};

/// What a balancer has to know about the calls of a protocol.
///
/// ```
/// use switchboard::Outcome;
/// use switchboard::tower::{Judgement, Protocol};
///
/// /// Questions may be asked twice, commands may not.
/// struct Questions;
///
/// impl Protocol<String, String, std::io::Error> for Questions {
///     fn again(&self, request: &String) -> Option<String> {
///         request.ends_with('?').then(|| request.clone())
///     }
///
///     fn judge(&self, result: &Result<String, std::io::Error>) -> Judgement {
///         let outcome = if result.is_ok() { Outcome::Success } else { Outcome::FAILURE };
///         Judgement { outcome, retry: result.is_err() }
///     }
/// }
/// ```
pub trait Protocol<Request, Response, Error>: Send + Sync + 'static {
    /// A copy of the request for another try; None: it cannot be copied, or must not have its effect twice.
    fn again(&self, request: &Request) -> Option<Request>;

    /// What the result of a try says about the instance.
    fn judge(&self, result: &Result<Response, Error>) -> Judgement;

    /// The number that decides about the instance where the algorithm is consistent hashing.
    fn hash(&self, request: &Request) -> Option<u64> {
        let _ = request;
        None
    }
}

/// What the result of a try says.
///
/// ```
/// use switchboard::tower::{Judgement, Plain, Protocol};
/// use switchboard::Outcome;
///
/// let Judgement { outcome, .. } = Protocol::<(), (), ()>::judge(&Plain, &Err(()));
/// assert_eq!(outcome, Outcome::FAILURE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// About the instance.
    pub outcome: Outcome,
    /// Whether another instance might do better.
    pub retry: bool,
}

/// An error is the instance's fault, everything else is not; nothing is tried twice.
///
/// ```
/// use switchboard::tower::{Plain, Protocol};
///
/// assert_eq!(Protocol::<_, (), ()>::again(&Plain, &"a request"), None);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl<Request, Response, Error> Protocol<Request, Response, Error> for Plain {
    fn again(&self, _: &Request) -> Option<Request> {
        None
    }

    fn judge(&self, result: &Result<Response, Error>) -> Judgement {
        judged(result)
    }
}

/// Like [`Plain`], but requests are copied and tried on another instance after an error: for calls that may be done
/// twice.
///
/// ```
/// use switchboard::tower::{Idempotent, Protocol};
///
/// assert_eq!(Protocol::<_, (), ()>::again(&Idempotent, &"a request"), Some("a request"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Idempotent;

impl<Request: Clone, Response, Error> Protocol<Request, Response, Error> for Idempotent {
    fn again(&self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }

    fn judge(&self, result: &Result<Response, Error>) -> Judgement {
        judged(result)
    }
}

fn judged<Response, Error>(result: &Result<Response, Error>) -> Judgement {
    let outcome = if result.is_ok() { Outcome::Success } else { Outcome::FAILURE };
    Judgement { outcome, retry: result.is_err() }
}

/// A service that sends each request to an instance.
///
/// ```no_run
/// # #[derive(Clone)] struct MyClient;
/// # impl MyClient { fn to(_: String) -> MyClient { MyClient } }
/// # fn example(source: switchboard::Fixed) -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::tower::{Balanced, Idempotent};
/// use switchboard::{PoolOptions, Query};
///
/// let users = Balanced::new(&source, &Query::service("users")?, PoolOptions::default(), Idempotent, |instance| {
///     MyClient::to(instance.authority().unwrap_or_default())
/// })?;
/// # Ok(()) }
/// ```
pub struct Balanced<S, P> {
    pool: Arc<Pool<S>>,
    protocol: Arc<P>,
}

impl<S: Clone + Send + Sync + 'static, P> Balanced<S, P> {
    /// Over the instances that the source gives for the query. `factory` makes the service of one instance; it is cloned
    /// for each call.
    pub fn new(
        source: &dyn Source,
        query: &Query,
        options: PoolOptions,
        protocol: P,
        factory: impl FnMut(&Instance) -> S + Send + 'static,
    ) -> Result<Balanced<S, P>, PoolError> {
        let pool = Pool::new(source, query, options, factory)?;
        Ok(Balanced { pool: Arc::new(pool), protocol: Arc::new(protocol) })
    }

    /// What it knows about the instances.
    pub fn status(&self) -> PoolStatus {
        self.pool.status()
    }
}

impl<S, P, Request> Service<Request> for Balanced<S, P>
where
    S: Service<Request> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Response: Send + 'static,
    S::Error: std::error::Error + Send + Sync + 'static,
    P: Protocol<Request, S::Response, S::Error>,
    Request: Send + 'static,
{
    type Response = S::Response;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, CallError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        // Which instance has to be ready is only known with the request.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (shared, protocol) = (self.pool.shared(), self.protocol.clone());
        let hash = protocol.hash(&request);
        let idempotent = protocol.again(&request).is_some();
        // As long as it was not sent it comes back here.
        let slot = Arc::new(Mutex::new(Some(request)));
        Box::pin(async move {
            let call = Call { hash, idempotent, timeout: None };
            run(&shared, call, |picked| attempt(picked, slot.clone(), protocol.clone())).await
        })
    }
}

async fn attempt<S, P, Request>(
    picked: Picked<S>,
    slot: Arc<Mutex<Option<Request>>>,
    protocol: Arc<P>,
) -> Attempt<S::Response>
where
    S: Service<Request> + Clone,
    S::Error: std::error::Error + Send + Sync + 'static,
    P: Protocol<Request, S::Response, S::Error>,
{
    let Some(mut service) = picked.service().cloned() else { return Attempt::unsent("no instance") };
    if let Err(error) = std::future::poll_fn(|context| service.poll_ready(context)).await {
        picked.finish(Outcome::FAILURE);
        return Attempt::unsent(error);
    }
    let request = {
        let mut slot = slot.lock();
        let taken = slot.take();
        *slot = taken.as_ref().and_then(|request| protocol.again(request));
        taken
    };
    let Some(request) = request else { return Attempt::broken("the request was sent before") };
    let result = service.call(request).await;
    let Judgement { outcome, retry } = protocol.judge(&result);
    picked.finish(outcome);
    match result {
        Ok(response) if retry => Attempt::Poor(response),
        Ok(response) => Attempt::Done(response),
        Err(error) => Attempt::broken(error),
    }
}

impl<S, P> Clone for Balanced<S, P> {
    fn clone(&self) -> Balanced<S, P> {
        Balanced { pool: self.pool.clone(), protocol: self.protocol.clone() }
    }
}

impl<S, P> fmt::Debug for Balanced<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Balanced").field(&self.pool).finish()
    }
}

#[cfg(feature = "metrics")]
impl<S: Clone + Send + Sync + 'static, P> crate::metrics::Measure for Balanced<S, P> {
    fn reader(&self) -> Box<dyn Fn() -> Option<crate::metrics::Measured> + Send + Sync> {
        crate::metrics::of_pool(&self.pool)
    }
}

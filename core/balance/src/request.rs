use std::sync::Arc;
use std::time::Duration;

use switchboard_model::InstanceKey;
use thiserror::Error;

/// What a call says about itself before an instance is picked for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Calls with the same number go to the same instance, where the algorithm is consistent hashing;
    /// [`hash_of`](crate::hash_of) makes one.
    pub hash: Option<u64>,
    /// Instances that this call failed on; none of them is picked again.
    pub tried: &'a [Arc<InstanceKey>],
}

/// Why no instance was picked.
///
/// ```
/// use std::sync::Arc;
/// use switchboard_balance::{Balancer, Ledger, Moment, NoPick, Policy, Request};
///
/// let users: Balancer<()> = Balancer::new(Policy::default(), Arc::new(Ledger::new())).unwrap();
/// let no_pick = users.pick(&Request::default(), Moment::START, &mut || 7).unwrap_err();
/// assert_eq!(no_pick, NoPick::Empty);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoPick {
    /// The service has no instances.
    #[error("the service has no instances")]
    Empty,
    /// There are instances, and none of them takes calls.
    #[error("none of its {known} instances takes calls")]
    NoneServing {
        /// How many there are.
        known: usize,
    },
    /// The call failed on every instance that takes calls.
    #[error("every instance that takes calls was tried")]
    AllTried,
    /// Each instance that takes calls, or the service as a whole, has as many calls as it may have at once.
    #[error("too many calls at once")]
    Full,
    /// The circuit breaker of the service is open.
    #[error("the circuit breaker is open")]
    CircuitOpen {
        /// When it lets a call through again.
        retry_after: Duration,
    },
}

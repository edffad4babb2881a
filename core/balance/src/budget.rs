use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::policy::RetryPolicy;

/// Holds what retries may add to the load: at any moment a share of the calls on the way, and never less than a few.
///
/// When everything fails, each call would otherwise become as many as it may be tried, just when the instances can
/// bear it least.
#[derive(Debug)]
pub struct RetryBudget {
    policy: RetryPolicy,
    retrying: Arc<AtomicU32>,
}

/// Leave to try once more, held until that try is over.
#[derive(Debug)]
pub struct RetryPermit {
    retrying: Arc<AtomicU32>,
}

impl RetryBudget {
    /// A budget of which nothing is spent.
    pub fn new(policy: RetryPolicy) -> RetryBudget {
        RetryBudget { policy, retrying: Arc::default() }
    }

    /// Asks for leave while `active` calls are on the way. None: the budget is spent.
    pub fn take(&self, active: u32) -> Option<RetryPermit> {
        let share = (f64::from(active) * self.policy.budget).floor() as u32;
        let most = share.max(self.policy.min_concurrent);
        let raise = |retrying: u32| (retrying < most).then_some(retrying + 1);
        self.retrying.fetch_update(Ordering::AcqRel, Ordering::Acquire, raise).ok()?;
        Some(RetryPermit { retrying: self.retrying.clone() })
    }

    /// Retries on the way.
    pub fn retrying(&self) -> u32 {
        self.retrying.load(Ordering::Acquire)
    }
}

impl Drop for RetryPermit {
    fn drop(&mut self) {
        self.retrying.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn never_more_retries_than_the_share_or_the_few(active in 0_u32..2000, share in 0.0..1.0_f64, few in 0_u32..5) {
            let budget = RetryBudget::new(RetryPolicy { budget: share, min_concurrent: few, ..RetryPolicy::default() });
            let permits: Vec<RetryPermit> = std::iter::from_fn(|| budget.take(active)).collect();
            let most = few.max((f64::from(active) * share) as u32);
            assert_eq!(permits.len(), most as usize);
            drop(permits);
            assert_eq!(budget.retrying(), 0);
        }
    }
}

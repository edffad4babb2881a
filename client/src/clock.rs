use std::sync::OnceLock;

use switchboard_balance::Moment;
use tokio::time::Instant;

/// The moment on this process's clock, the same for all balancers.
pub(crate) fn now() -> Moment {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    Moment::after_start(Instant::now().saturating_duration_since(start))
}

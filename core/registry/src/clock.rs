use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds of service: time in which the registry was awake and able to hear a heartbeat.
///
/// It advances by at most one tick per tick, so that a stopped process, a stalled disk or a jump of the wall clock
/// takes no time at all, and whoever was silent because nobody listened has lost nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceTime(pub u64);

impl ServiceTime {
    #[must_use]
    pub fn plus(self, duration: Duration) -> ServiceTime {
        ServiceTime(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// The moment an intent is planned at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Milliseconds since 1970, for people only: nothing is ever decided by it.
    pub wall_ms: u64,
    pub service: ServiceTime,
}

/// The registry's clock. Only its owner advances it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    service_ms: AtomicU64,
}

impl Clock {
    pub(crate) fn service(&self) -> ServiceTime {
        ServiceTime(self.service_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall_ms: wall_ms(), service: self.service() }
    }

    /// Advances by the time that passed, but by no more than a tick.
    pub(crate) fn advance(&self, passed: Duration, tick: Duration) -> ServiceTime {
        let step = u64::try_from(passed.min(tick).as_millis()).unwrap_or(0);
        ServiceTime(self.service_ms.fetch_add(step, Ordering::Relaxed).saturating_add(step))
    }
}

pub(crate) fn wall_ms() -> u64 {
    // A clock before 1970 shows as 1970: it is only shown.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

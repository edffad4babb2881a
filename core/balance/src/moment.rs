use std::ops::Add;
use std::time::Duration;

/// A moment on the caller's clock: nanoseconds since a start that the caller chose.
///
/// The clock must not go back; where it does, the time between two moments is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The start of the caller's clock.
    pub const START: Moment = Moment(0);
    /// Later than any moment.
    pub(crate) const NEVER: Moment = Moment(u64::MAX);

    /// The moment this long after the start.
    pub fn after_start(elapsed: Duration) -> Moment {
        Moment::START + elapsed
    }

    /// The time from `earlier` to this moment; zero if `earlier` is the later one.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, elapsed: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)))
    }
}

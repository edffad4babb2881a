use std::time::Duration;

/// How long to wait before the next try: twice as long each time, up to a limit, spread by chance.
///
/// ```
/// use std::time::Duration;
/// use switchboard_discover::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
/// // Chance, from 0 to 1, is the caller's.
/// let (first, second) = (backoff.next(0.5), backoff.next(0.5));
/// assert!(first < second);
/// backoff.reset();
/// assert_eq!(backoff.next(0.5), first);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    base: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts at `base`.
    pub fn new(base: Duration, longest: Duration) -> Backoff {
        Backoff { base, longest, failures: 0 }
    }

    /// The wait after one more failure. `chance` is a number from 0 to 1; the wait is half to one and a half times as
    /// long by it, so that clients which lost a registry together do not return together.
    pub fn next(&mut self, chance: f64) -> Duration {
        let doubled = self.base.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        doubled.mul_f64(0.5 + chance.clamp(0.0, 1.0))
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_has_an_end_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let waits: Vec<u128> = (0..9).map(|_| backoff.next(0.5).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        (0..100).for_each(|_| assert!(backoff.next(1.0) <= Duration::from_secs(15)));
        backoff.reset();
        assert_eq!(backoff.next(0.0), Duration::from_millis(50));
    }
}

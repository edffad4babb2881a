//! The brake on mass loss: where too much falls silent within a minute, the silence is evidence about us.

use crate::clock::ServiceTime;

const WINDOW: usize = 60;

/// How much loss by silence or failing probes is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brake {
    /// The share of all heartbeat- or probe-kept instances that may be lost within a minute.
    pub share: f64,
    /// Below this many lost within a minute nothing is held back.
    pub at_least: usize,
}

impl Default for Brake {
    fn default() -> Brake {
        Brake { share: 0.15, at_least: 10 }
    }
}

impl Brake {
    /// How many more may be lost now.
    pub fn allowance(&self, kept: usize, losses: &Losses, now: ServiceTime) -> usize {
        let by_share = (kept as f64 * self.share).floor() as usize;
        let limit = by_share.max(self.at_least.saturating_sub(1));
        limit.saturating_sub(losses.within_a_minute(now))
    }
}

/// Instances lost to silence or failing probes, second by second over the last minute of service time.
#[derive(Clone, Debug)]
pub struct Losses {
    seconds: [(u64, u32); WINDOW],
}

impl Default for Losses {
    fn default() -> Losses {
        Losses { seconds: [(0, 0); WINDOW] }
    }
}

impl Losses {
    pub(crate) fn add(&mut self, now: ServiceTime, lost: u32) {
        let second = now.0 / 1000;
        let slot = usize::try_from(second).unwrap_or_default() % WINDOW;
        if let Some(bucket) = self.seconds.get_mut(slot) {
            if bucket.0 != second {
                *bucket = (second, 0);
            }
            bucket.1 = bucket.1.saturating_add(lost);
        }
    }

    pub fn within_a_minute(&self, now: ServiceTime) -> usize {
        let second = now.0 / 1000;
        let fresh = |stamp: u64| second.saturating_sub(stamp) < WINDOW as u64;
        self.seconds.iter().filter(|(stamp, _)| fresh(*stamp)).map(|(_, lost)| *lost as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kept: usize, lost: &[(u64, u32)], now_s: u64, allowed: usize) {
        let mut losses = Losses::default();
        for &(second, count) in lost {
            losses.add(ServiceTime(second * 1000), count);
        }
        assert_eq!(Brake::default().allowance(kept, &losses, ServiceTime(now_s * 1000)), allowed);
    }

    #[test]
    fn below_ten_nothing_is_held_back() {
        check(1, &[], 0, 9);
        check(20, &[(5, 8)], 10, 1);
        check(20, &[(5, 9)], 10, 0);
    }

    #[test]
    fn fifteen_percent_a_minute_of_a_large_registry() {
        check(1000, &[], 0, 150);
        check(1000, &[(1, 100), (30, 50)], 59, 0);
        check(1000, &[(1, 100), (30, 50)], 61, 100);
    }
}

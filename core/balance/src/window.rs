use std::time::Duration;

use crate::moment::Moment;

const BUCKETS: usize = 10;

/// Exact counts of the newest calls: a ring of ten buckets, each a tenth of the span, which expire by themselves.
///
/// A moving average would be smaller and is a poor statistic of few calls.
#[derive(Clone, Debug)]
pub struct Window {
    bucket: Duration,
    buckets: [Bucket; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Which tenth since the start of the clock the counts are of.
    tenth: u64,
    calls: u32,
    failures: u32,
}

impl Window {
    /// Counts of this long.
    pub fn new(span: Duration) -> Window {
        let bucket = (span / BUCKETS as u32).max(Duration::from_nanos(1));
        Window { bucket, buckets: [Bucket::default(); BUCKETS] }
    }

    /// Counts a call.
    pub fn count(&mut self, failed: bool, now: Moment) {
        let tenth = self.tenth(now);
        let Some(bucket) = self.buckets.get_mut((tenth % BUCKETS as u64) as usize) else { return };
        if bucket.tenth != tenth {
            *bucket = Bucket { tenth, ..Bucket::default() };
        }
        bucket.calls = bucket.calls.saturating_add(1);
        bucket.failures = bucket.failures.saturating_add(u32::from(failed));
    }

    /// The share of calls that succeeded, or None below `min_calls`.
    pub fn success_rate(&self, min_calls: u32, now: Moment) -> Option<f64> {
        let oldest = (self.tenth(now) + 1).saturating_sub(BUCKETS as u64);
        let live = self.buckets.iter().filter(|bucket| bucket.tenth >= oldest);
        let (calls, failures) = live.fold((0_u64, 0_u64), |(calls, failures), bucket| {
            (calls + u64::from(bucket.calls), failures + u64::from(bucket.failures))
        });
        (calls > 0 && calls >= u64::from(min_calls)).then(|| 1.0 - failures as f64 / calls as f64)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.buckets = [Bucket::default(); BUCKETS];
    }

    fn tenth(&self, now: Moment) -> u64 {
        now.nanos() / u64::try_from(self.bucket.as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_expire_a_tenth_at_a_time() {
        let mut window = Window::new(Duration::from_secs(10));
        let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
        for second in 100..110 {
            window.count(second < 105, at(second));
        }
        assert_eq!(window.success_rate(1, at(109)), Some(0.5));
        assert_eq!(window.success_rate(11, at(109)), None);
        let rate = window.success_rate(1, at(112)).unwrap();
        assert!((rate - 5.0 / 7.0).abs() < 1e-9, "{rate}");
        assert_eq!(window.success_rate(1, at(114)), Some(1.0));
        assert_eq!(window.success_rate(1, at(130)), None);
    }
}

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the steps, in microseconds; the last step has none.
const ENDS: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// How long calls took, counted in steps.
#[derive(Debug, Default)]
pub(crate) struct Times {
    steps: [AtomicU64; ENDS.len() + 1],
    sum_micros: AtomicU64,
}

/// How long the calls of a pool took until their answers began, with all their tries.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use switchboard::{Fixed, Pool, PoolOptions, Query};
///
/// let pool = Pool::new(&Fixed::new([]), &Query::service("users")?, PoolOptions::default(), |_| ())?;
/// let took = pool.status().took;
/// assert_eq!(took.sum, Duration::ZERO);
/// assert!(took.steps.iter().all(|(_, calls)| *calls == 0));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// How many calls took longer than the step before and not longer than this; None is the last step, without an end.
    pub steps: Vec<(Option<Duration>, u64)>,
    /// All of them together.
    pub sum: Duration,
}

impl Times {
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let step = ENDS.partition_point(|end| *end < micros);
        if let Some(step) = self.steps.get(step) {
            step.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Took {
        let ends = ENDS.iter().map(|end| Some(Duration::from_micros(*end))).chain([None]);
        let counts = self.steps.iter().map(|count| count.load(Ordering::Relaxed));
        Took {
            steps: ends.zip(counts).collect(),
            sum: Duration::from_micros(self.sum_micros.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_in_one_step() {
        let times = Times::default();
        for micros in [0, 500, 501, 30_000_000, 30_000_001] {
            times.add(Duration::from_micros(micros));
        }
        let took = times.read();
        let counts: Vec<u64> = took.steps.iter().map(|(_, calls)| *calls).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(took.sum, Duration::from_micros(60_001_002));
    }
}

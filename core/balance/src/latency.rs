use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::moment::Moment;

/// How long an instance takes: an average that believes a bad sample at once and forgets it over time.
///
/// The estimate decays while nobody asks, so that an instance which was slow is tried again. Reading changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakEwma {
    nanos: f64,
    at: Moment,
}

/// Below this the estimate does not fall: the number of calls on the way must still count for something.
const FLOOR_NANOS: f64 = 1_000.0;

impl PeakEwma {
    /// Starts with a first sample.
    pub fn new(sample: Duration, now: Moment) -> PeakEwma {
        PeakEwma { nanos: sample.as_nanos() as f64, at: now }
    }

    /// The estimate, in nanoseconds.
    pub fn nanos_at(&self, decay: Duration, now: Moment) -> f64 {
        decayed(self.nanos, self.at, decay, now)
    }

    /// Adds a sample: a larger one replaces the estimate, a smaller one is averaged in.
    pub fn add(&mut self, sample: Duration, decay: Duration, now: Moment) {
        let sample = sample.as_nanos() as f64;
        let current = self.nanos_at(decay, now);
        self.nanos = if sample >= current {
            sample
        } else {
            let fresh = 1.0 - fading(self.at, decay, now);
            (self.nanos * (1.0 - fresh) + sample * fresh).max(sample)
        };
        self.at = self.at.max(now);
    }
}

fn decayed(nanos: f64, at: Moment, decay: Duration, now: Moment) -> f64 {
    (nanos * fading(at, decay, now)).max(FLOOR_NANOS)
}

fn fading(at: Moment, decay: Duration, now: Moment) -> f64 {
    let decay = decay.max(Duration::from_millis(1));
    (-(now.since(at).as_secs_f64() / decay.as_secs_f64())).exp()
}

/// A [`PeakEwma`] that many threads read without waiting.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// Held by whoever adds a sample. A reader may see the new estimate with the old moment, which is off by less than
    /// the next sample will change it.
    adding: Mutex<()>,
    /// As bits; 0 is "never measured".
    nanos: AtomicU64,
    at: AtomicU64,
}

impl Latency {
    /// The estimate in nanoseconds; None: never measured.
    pub(crate) fn nanos_at(&self, decay: Duration, now: Moment) -> Option<f64> {
        let bits = self.nanos.load(Ordering::Relaxed);
        let at = Moment::from_nanos(self.at.load(Ordering::Relaxed));
        (bits != 0).then(|| decayed(f64::from_bits(bits), at, decay, now))
    }

    pub(crate) fn add(&self, sample: Duration, decay: Duration, now: Moment) {
        let _adding = self.adding.lock();
        let sample = sample.max(Duration::from_nanos(1));
        let bits = self.nanos.load(Ordering::Relaxed);
        let mut ewma =
            PeakEwma { nanos: f64::from_bits(bits), at: Moment::from_nanos(self.at.load(Ordering::Relaxed)) };
        if bits == 0 {
            ewma = PeakEwma::new(sample, now);
        } else {
            ewma.add(sample, decay, now);
        }
        self.at.store(ewma.at.nanos(), Ordering::Relaxed);
        self.nanos.store(ewma.nanos.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_bad_sample_counts_at_once_and_fades() {
        let mut ewma = PeakEwma::new(ms(20), Moment::START);
        ewma.add(ms(5000), DECAY, Moment::START + ms(10));
        assert!((ewma.nanos_at(DECAY, Moment::START + ms(10)) - 5e9).abs() < 1.0);
        let later = ewma.nanos_at(DECAY, Moment::START + ms(10) + DECAY);
        assert!((later - 5e9 / std::f64::consts::E).abs() < 1e6, "{later}");
        assert!(ewma.nanos_at(DECAY, Moment::START + DECAY * 1000) >= FLOOR_NANOS);
    }

    #[test]
    fn good_samples_are_averaged_in_and_never_undershoot() {
        let mut ewma = PeakEwma::new(ms(100), Moment::START);
        let mut now = Moment::START;
        for _ in 0..1000 {
            now = now + ms(100);
            ewma.add(ms(20), DECAY, now);
        }
        let settled = ewma.nanos_at(DECAY, now);
        assert!((20e6..22e6).contains(&settled), "{settled}");
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut ewma = PeakEwma::new(ms(100), Moment::START + DECAY);
        ewma.add(ms(50), DECAY, Moment::START);
        assert!((ewma.nanos_at(DECAY, Moment::START) - 1e8).abs() < 1.0);
    }
}

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry as Metrics;

use crate::verdict::Answer;

/// What the health checker counts about itself.
#[derive(Clone, Debug)]
pub struct Meters {
    probes: Family<[(&'static str, &'static str); 2], Counter>,
    running: Gauge,
    seconds: Histogram,
    pub(crate) scheduled: Gauge,
    lateness: Gauge<f64, AtomicU64>,
}

impl Default for Meters {
    fn default() -> Meters {
        Meters {
            probes: Family::default(),
            running: Gauge::default(),
            seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
            scheduled: Gauge::default(),
            lateness: Gauge::default(),
        }
    }
}

impl Meters {
    /// Adds the health checker's metrics to a collection, under the prefix `switchboard_health`.
    pub fn register(&self, metrics: &mut Metrics) {
        let metrics = metrics.sub_registry_with_prefix("switchboard_health");
        metrics.register("probes", "Probes that came to an end, by kind and result", self.probes.clone());
        metrics.register("probes_running", "Probes on their way", self.running.clone());
        metrics.register(
            "probe_seconds",
            "Time from the start of a probe to its result",
            self.seconds.clone(),
        );
        metrics.register("checks_scheduled", "Active checks that take their turns", self.scheduled.clone());
        let late =
            "Seconds by which the newest probe started after its turn; rising: `concurrent` is too low";
        metrics.register("lateness_seconds", late, self.lateness.clone());
    }

    pub(crate) fn late(&self, by: Duration) {
        self.lateness.set(by.as_secs_f64());
    }

    pub(crate) fn ended(&self, kind: &'static str, answer: Answer, took: Duration) {
        let result = match answer {
            Answer::Pass => "pass",
            Answer::Warn => "warn",
            Answer::Fail => "fail",
            Answer::Refused => "refused",
        };
        self.probes.get_or_create(&[("kind", kind), ("result", result)]).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a probe as running until what it returns is dropped, also when it is cancelled.
    pub(crate) fn begin(&self) -> Running {
        self.running.inc();
        Running(self.running.clone())
    }
}

#[derive(Debug)]
pub(crate) struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_probe_no_longer_runs() {
        let meters = Meters::default();
        let running = meters.begin();
        assert_eq!(meters.running.get(), 1);
        drop(running);
        assert_eq!(meters.running.get(), 0);
    }

    #[test]
    fn the_metrics_have_their_names() {
        let meters = Meters::default();
        meters.ended("http", Answer::Pass, Duration::from_millis(3));
        meters.late(Duration::from_millis(250));
        let mut metrics = Metrics::default();
        meters.register(&mut metrics);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics).unwrap();
        for line in [
            "switchboard_health_probes_total{kind=\"http\",result=\"pass\"} 1",
            "switchboard_health_probes_running 0",
            "switchboard_health_probe_seconds_count 1",
            "switchboard_health_checks_scheduled 0",
            "switchboard_health_lateness_seconds 0.25",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}

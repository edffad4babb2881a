use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use switchboard_facade::Metrics;

/// What the gateway counts about itself.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    pub(crate) under_way: Gauge,
    pub(crate) tunnels: Gauge,
    pub(crate) refused: Counter,
    pub(crate) retries: Counter,
    pub(crate) seconds: Histogram,
    pub(crate) propagation: Histogram,
    pub(crate) first_answer: Histogram,
}

/// By service: how many of its requests ended how.
#[derive(Debug, Default)]
pub(crate) struct ServiceMeters {
    /// Informational to server errors; the last are those that we answered ourselves.
    by_class: [AtomicU64; 6],
}

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "gateway"];

impl ServiceMeters {
    pub(crate) fn answered(&self, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.by_class.get(class.min(4)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn refused(&self) {
        if let Some(counter) = self.by_class.last() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLASSES.into_iter().zip(self.by_class.iter().map(|counter| counter.load(Ordering::Relaxed)))
    }
}

impl Default for Meters {
    fn default() -> Meters {
        Meters {
            under_way: Gauge::default(),
            tunnels: Gauge::default(),
            refused: Counter::default(),
            retries: Counter::default(),
            seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 18)),
            propagation: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            first_answer: Histogram::new(exponential_buckets(0.000_25, 2.0, 18)),
        }
    }
}

impl Meters {
    pub(crate) fn register(&self, metrics: &Metrics, services: std::sync::Arc<crate::services::Services>) {
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("switchboard_gateway");
            registry.register("requests_under_way", "Requests under way", self.under_way.clone());
            registry.register("tunnels_open", "Open WebSockets", self.tunnels.clone());
            registry.register("refused", "Requests that the gateway answered itself", self.refused.clone());
            registry.register("retries", "Further instances that were tried", self.retries.clone());
            registry.register(
                "first_byte_seconds",
                "Time from the head of a request to the head of its answer",
                self.seconds.clone(),
            );
            registry.register(
                "propagation_seconds",
                "Time from a commit of the registry to routes that follow it",
                self.propagation.clone(),
            );
            registry.register(
                "first_answer_seconds",
                "Time from an instance's joining the routes to its first answer",
                self.first_answer.clone(),
            );
            let by_service =
                "Requests by service and class of answer; `gateway`: answered by the gateway itself";
            registry.register("requests_by_service", by_service, ByService(services));
        });
    }

    pub(crate) fn propagated(&self, took: Duration) {
        self.propagation.observe(took.as_secs_f64());
    }
}

/// Counted where they happen, and collected only when somebody asks: a service that is gone takes its counts along.
#[derive(Debug)]
struct ByService(std::sync::Arc<crate::services::Services>);

impl EncodeMetric for ByService {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::MetricEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        for service in self.0.all() {
            for (class, count) in service.meters.counts().filter(|(_, count)| *count > 0) {
                let labels = [("service", &*service.name), ("class", class)];
                ConstCounter::new(count).encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

use std::sync::atomic::{AtomicU64, AtomicUsize};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry as Metrics;

/// What the registry counts about itself.
#[derive(Debug)]
pub struct Meters {
    pub(crate) commits: Counter,
    pub(crate) groups: Counter,
    pub(crate) commit_seconds: Histogram,
    pub(crate) rejections: Counter,
    pub(crate) overloads: Counter,
    pub(crate) renewals: Counter,
    pub(crate) lapses: Counter,
    pub(crate) holds: Counter,
    pub(crate) pauses: Counter,
    pub(crate) store_failures: Counter,
    pub(crate) catch_ups: Counter,
    pub(crate) watches: AtomicUsize,
    pub(crate) gauges: Gauges,
}

/// Numbers that are read off the newest snapshot each time the metrics are asked for.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) revision: Gauge<u64, AtomicU64>,
    pub(crate) services: Gauge,
    pub(crate) instances: Gauge,
    pub(crate) served: Gauge,
    pub(crate) suspect: Gauge,
    pub(crate) lapsed: Gauge,
    pub(crate) checks: Gauge,
    pub(crate) leases: Gauge,
    pub(crate) entries: Gauge,
    pub(crate) watches: Gauge,
    pub(crate) ready: Gauge,
}

impl Default for Meters {
    fn default() -> Meters {
        Meters {
            commits: Counter::default(),
            groups: Counter::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 18)),
            rejections: Counter::default(),
            overloads: Counter::default(),
            renewals: Counter::default(),
            lapses: Counter::default(),
            holds: Counter::default(),
            pauses: Counter::default(),
            store_failures: Counter::default(),
            catch_ups: Counter::default(),
            watches: AtomicUsize::new(0),
            gauges: Gauges::default(),
        }
    }
}

impl Meters {
    /// Time from handing a group to the engine until it was kept.
    pub fn commit_seconds(&self) -> &Histogram {
        &self.commit_seconds
    }

    /// Adds the registry's metrics to a collection, under the prefix `switchboard_registry`.
    pub fn register(&self, metrics: &mut Metrics) {
        let metrics = metrics.sub_registry_with_prefix("switchboard_registry");
        let counters: [(&str, &str, &Counter); 10] = [
            ("commits", "Commits that were acknowledged", &self.commits),
            ("commit_groups", "Groups of commits that were written with one fsync", &self.groups),
            ("rejections", "Writes that the model refused", &self.rejections),
            ("overloads", "Writes refused because too many were waiting", &self.overloads),
            ("renewals", "Heartbeats that moved a lease's deadline", &self.renewals),
            ("lapses", "Leases that ended because nobody renewed them", &self.lapses),
            ("brake_holds", "Overdue leases that the mass-loss brake kept in service", &self.holds),
            ("pauses", "Times that service time stood still: the process or the store stalled", &self.pauses),
            ("store_failures", "Groups of commits that the engine failed to keep", &self.store_failures),
            ("catch_ups", "Watches that resumed from the engine's history", &self.catch_ups),
        ];
        for (name, help, counter) in counters {
            metrics.register(name, help, counter.clone());
        }
        let seconds = self.commit_seconds.clone();
        metrics.register(
            "commit_seconds",
            "Time from handing a group to the engine until it was kept",
            seconds,
        );
        let gauges = &self.gauges;
        metrics.register("revision", "The newest published revision", gauges.revision.clone());
        let gauges: [(&str, &str, &Gauge); 10] = [
            ("services", "Services with at least one instance", &gauges.services),
            ("instances", "Registered instances", &gauges.instances),
            ("instances_served", "Instances that consumers are given", &gauges.served),
            (
                "instances_suspect",
                "Instances kept in service by the mass-loss brake; above zero is an alarm",
                &gauges.suspect,
            ),
            ("instances_lapsed", "Instances whose lease was not renewed, still visible", &gauges.lapsed),
            ("checks", "Health checks", &gauges.checks),
            ("leases", "Leases", &gauges.leases),
            ("entries", "Raw keys", &gauges.entries),
            ("watches", "Open watches", &gauges.watches),
            ("ready", "1 when reads and writes are answered", &gauges.ready),
        ];
        for (name, help, gauge) in gauges {
            metrics.register(name, help, gauge.clone());
        }
    }
}

//! What clients and registrars count, for Prometheus.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use switchboard_balance::Phase;

use crate::pool::{Pool, PoolStatus};
use crate::registrar::RegistrarStatus;

/// What clients and registrars count. It is a [`Collector`] for a registry of `prometheus-client`, and
/// [`Metrics::text`] for whoever has none.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use switchboard::{Fixed, HttpClient, metrics::Metrics};
///
/// let http = HttpClient::new(Fixed::new([]));
/// let metrics = Metrics::new();
/// metrics.add("http", &http);
/// assert!(http.get("http://users/").await.is_err());
/// let text = metrics.text();
/// assert!(text.contains(r#"switchboard_client_calls_total{client="http",service="users"} 1"#), "{text}");
/// # }
/// ```
///
/// It keeps nothing alive: what is dropped is not counted any more.
#[derive(Clone, Default)]
pub struct Metrics {
    parts: Arc<Mutex<Vec<Part>>>,
}

/// A name for the label, and what reads.
type Part = (Arc<str>, Reader);

/// None: it is gone.
type Reader = Box<dyn Fn() -> Option<Measured> + Send + Sync>;

/// What one client or registrar has counted.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use switchboard::{Fixed, HttpClient, metrics::Measure};
///
/// let http = HttpClient::new(Fixed::new([]));
/// let read = http.reader();
/// assert_eq!(read().unwrap().pools.len(), 0);
/// drop(http);
/// assert!(read().is_none());
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Of each service that it calls.
    pub pools: Vec<PoolStatus>,
    /// Of itself, if it is a registrar.
    pub registrar: Option<RegistrarStatus>,
}

/// Something that counts: an [`HttpClient`](crate::HttpClient), a [`GrpcChannel`](crate::GrpcChannel), a
/// [`Balanced`](crate::tower::Balanced), a [`Registrar`](crate::Registrar).
///
/// ```
/// use switchboard::metrics::{Measure, Measured};
///
/// struct Mine;
/// impl Measure for Mine {
///     fn reader(&self) -> Box<dyn Fn() -> Option<Measured> + Send + Sync> {
///         Box::new(|| Some(Measured::default()))
///     }
/// }
/// switchboard::metrics::Metrics::new().add("mine", &Mine);
/// ```
pub trait Measure {
    /// Reads what was counted, without keeping what counts alive; None: it is gone.
    fn reader(&self) -> Box<dyn Fn() -> Option<Measured> + Send + Sync>;
}

pub(crate) fn of_pool<S: Clone + Send + Sync + 'static>(
    pool: &Arc<Pool<S>>,
) -> Box<dyn Fn() -> Option<Measured> + Send + Sync> {
    let pool = Arc::downgrade(pool);
    Box::new(move || Some(Measured { pools: vec![pool.upgrade()?.status()], registrar: None }))
}

impl Metrics {
    /// Of nothing yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// Counts this too, under a name of its own for the label `client`.
    pub fn add(&self, name: &str, part: &impl Measure) {
        self.parts.lock().push((Arc::from(name), part.reader()));
    }

    /// All of it in the text form of OpenMetrics.
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }

    fn read(&self) -> Vec<(Arc<str>, Measured)> {
        let mut read = Vec::new();
        self.parts.lock().retain(|(name, reader)| match reader() {
            Some(measured) => {
                read.push((name.clone(), measured));
                true
            }
            None => false,
        });
        read
    }
}

type Labels = [(&'static str, String); 2];

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = self.read();
        let pools: Vec<(Labels, &PoolStatus)> = read
            .iter()
            .flat_map(|(name, measured)| measured.pools.iter().map(move |pool| (name, pool)))
            .map(|(name, pool)| ([("client", name.to_string()), ("service", pool.service.to_string())], pool))
            .collect();
        for (name, help, of) in COUNTERS {
            family(&mut encoder, name, help, MetricType::Counter, &pools, |pool, metric| {
                metric.encode_counter::<NoLabelSet, u64, f64>(&of(pool), None)
            })?;
        }
        for (name, help, of) in GAUGES {
            family(&mut encoder, name, help, MetricType::Gauge, &pools, |pool, metric| {
                metric.encode_gauge(&of(pool))
            })?;
        }
        let (name, help) =
            ("switchboard_client_call_seconds", "How long calls took until their answers began");
        family(&mut encoder, name, help, MetricType::Histogram, &pools, |pool, metric| {
            let end = |end: Option<std::time::Duration>| end.map_or(f64::MAX, |end| end.as_secs_f64());
            let steps: Vec<(f64, u64)> =
                pool.took.steps.iter().map(|(it, calls)| (end(*it), *calls)).collect();
            let count = steps.iter().map(|(_, calls)| calls).sum();
            metric.encode_histogram::<NoLabelSet>(pool.took.sum.as_secs_f64(), count, &steps, None)
        })?;
        let registrars: Vec<(Labels, &RegistrarStatus)> = read
            .iter()
            .filter_map(|(_, measured)| measured.registrar.as_ref())
            .map(|status| ([("service", status.service.to_string()), ("id", status.id.to_string())], status))
            .collect();
        let (name, help) = (
            "switchboard_registrar_registered",
            "Whether the instance is registered, as of the last heartbeat",
        );
        family(&mut encoder, name, help, MetricType::Gauge, &registrars, |status, metric| {
            metric.encode_gauge(&i64::from(status.registered))
        })?;
        let (name, help) =
            ("switchboard_registrar_again", "How often the instance had to be registered again");
        family(&mut encoder, name, help, MetricType::Counter, &registrars, |status, metric| {
            metric.encode_counter::<NoLabelSet, u64, f64>(&status.again, None)
        })?;
        let (name, help) = ("switchboard_registrar_failures", "Registrations and heartbeats that failed");
        family(&mut encoder, name, help, MetricType::Counter, &registrars, |status, metric| {
            metric.encode_counter::<NoLabelSet, u64, f64>(&status.failures, None)
        })
    }
}

type Row<T> = (&'static str, &'static str, fn(&PoolStatus) -> T);

const COUNTERS: [Row<u64>; 4] = [
    ("switchboard_client_calls", "Calls", |pool| pool.calls),
    ("switchboard_client_retries", "Tries after the first", |pool| pool.retries),
    ("switchboard_client_failures", "Calls that failed in the end", |pool| pool.failures),
    ("switchboard_client_probes", "Calls that found out whether an ejected instance works again", |pool| {
        pool.probes
    }),
];

const GAUGES: [Row<i64>; 6] = [
    ("switchboard_client_in_flight", "Calls on their way", |pool| i64::from(pool.in_flight)),
    ("switchboard_client_instances", "Instances that the source gives", |pool| {
        i64::try_from(pool.instances.len()).unwrap_or(i64::MAX)
    }),
    ("switchboard_client_ejected", "Instances that are left out because they fail", |pool| {
        let ejected = pool.instances.iter().filter(|it| it.phase != Phase::Closed);
        i64::try_from(ejected.count()).unwrap_or(i64::MAX)
    }),
    ("switchboard_client_known", "Whether the source has ever said anything", |pool| {
        i64::from(!pool.freshness.is_never())
    }),
    ("switchboard_client_fresh", "Whether the registry still vouches for the instances", |pool| {
        i64::from(pool.freshness.is_fresh())
    }),
    ("switchboard_client_circuit_open", "Whether calls to the service are refused at once", |pool| {
        i64::from(pool.circuit.is_some_and(|phase| phase != Phase::Closed))
    }),
];

fn family<T, L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    of: &[(L, &T)],
    mut put: impl FnMut(&T, &mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
    of.iter().try_for_each(|(labels, it)| put(it, &mut metric.encode_family(labels)?))
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("parts", &self.parts.lock().len()).finish()
    }
}

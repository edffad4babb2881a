//! What dashboards and alerts of etcd ask for, as far as it is known here: the same names, with what is true of this process.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use switchboard_facade::{Metrics, MetricsFormat};
use switchboard_registry::Caller;

use super::{Shared, State, VERSION};
use crate::lens::accounts::Accounts;
use crate::wire::etcdserverpb::response_op::Response as Done;

/// Beside those of the whole process, so that one look at this port tells all.
#[derive(Debug, Default)]
pub(super) struct Meters {
    metrics: Metrics,
    gauges: Gauges,
    pub(super) operations: Operations,
    /// A counter, whose name there does not end as the library has counters end.
    pub(super) health_failures: Gauge,
    pub(super) traffic: Arc<Traffic>,
}

/// Numbers that are looked up when they are asked for.
#[derive(Debug, Default)]
struct Gauges {
    has_leader: Gauge,
    is_leader: Gauge,
    committed: Gauge,
    applied: Gauge,
    size: Gauge,
    in_use: Gauge,
    keys: Gauge,
    revision: Gauge,
    compacted: Gauge,
    auth: Gauge,
    streams: Gauge,
    watchers: Gauge,
    resident: Gauge,
    files: Gauge,
}

/// What was done to keys, wherever in a transaction.
#[derive(Debug, Default)]
pub(super) struct Operations {
    ranges: Counter,
    puts: Counter,
    deletes: Counter,
    txns: Counter,
}

impl Operations {
    pub(super) fn ranged(&self) {
        self.ranges.inc();
    }

    /// As etcd counts them: a transaction is one that does more than one thing.
    pub(super) fn done(&self, done: &Done) {
        if self.each(done) > 1 {
            self.txns.inc();
        }
    }

    fn each(&self, done: &Done) -> u64 {
        match done {
            Done::ResponseRange(_) => self.ranges.inc(),
            Done::ResponsePut(_) => self.puts.inc(),
            Done::ResponseDeleteRange(_) => self.deletes.inc(),
            Done::ResponseTxn(txn) => {
                return txn
                    .responses
                    .iter()
                    .filter_map(|op| op.response.as_ref())
                    .map(|op| self.each(op))
                    .sum();
            }
        };
        1
    }
}

/// Bytes between clients and this port, with all that HTTP puts around messages.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
}

impl Meters {
    /// Names are etcd's. Where its own end in `_total` and are no counters, neither are they here.
    pub(super) fn register(&self, state: &State) {
        let known = |name: &'static str, value: String| {
            let family = Family::<[(&'static str, String); 1], Gauge>::default();
            family.get_or_create(&[(name, value)]).set(1);
            family
        };
        let id = format!("{:x}", state.identity.member_id);
        let cluster = VERSION.rsplit_once('.').map_or(VERSION, |(minor, _)| minor).to_owned();
        let Gauges { has_leader, is_leader, committed, applied, size, in_use, keys, .. } = &self.gauges;
        let Gauges { revision, compacted, auth, streams, watchers, resident, files, .. } = &self.gauges;
        let gauges = [
            ("etcd_server_has_leader", "1 when reads and writes are answered", has_leader),
            ("etcd_server_is_leader", "The same: there is one member", is_leader),
            ("etcd_server_proposals_committed_total", "The newest commit", committed),
            ("etcd_server_proposals_applied_total", "The newest commit that is seen", applied),
            (
                "etcd_mvcc_db_total_size_in_bytes",
                "What ordinary keys take, with what of their history can be read: what the quota is for",
                size,
            ),
            ("etcd_mvcc_db_total_size_in_use_in_bytes", "The same: nothing is kept for later", in_use),
            ("etcd_debugging_mvcc_keys_total", "Ordinary keys", keys),
            ("etcd_debugging_mvcc_current_revision", "The newest revision", revision),
            (
                "etcd_debugging_mvcc_compact_revision",
                "The oldest revision that can be read; -1: all can",
                compacted,
            ),
            ("etcd_debugging_auth_revision", "How often users and roles have changed", auth),
            ("etcd_debugging_mvcc_watch_stream_total", "Streams of watches that are open", streams),
            ("etcd_debugging_mvcc_watcher_total", "Watchers on them", watchers),
            ("etcd_server_health_failures", "Answers of /health that were bad", &self.health_failures),
            ("process_resident_memory_bytes", "Memory that this process has", resident),
            ("process_open_fds", "Files and connections that this process has open", files),
        ];
        let Operations { ranges, puts, deletes, txns } = &self.operations;
        let counters = [
            ("etcd_mvcc_range", "Ranges that were read", ranges),
            ("etcd_mvcc_put", "Puts", puts),
            ("etcd_mvcc_delete", "Deletes", deletes),
            ("etcd_mvcc_txn", "Transactions that did more than one thing", txns),
            (
                "etcd_network_client_grpc_received_bytes",
                "Bytes from clients of this port",
                &self.traffic.received,
            ),
            ("etcd_network_client_grpc_sent_bytes", "Bytes to clients of this port", &self.traffic.sent),
        ];
        self.metrics.register(|metrics| {
            for (name, help, gauge) in gauges {
                metrics.register(name, help, gauge.clone());
            }
            for (name, help, counter) in counters {
                metrics.register(name, help, counter.clone());
            }
            // Without one, none is a share of it.
            if state.quota.to_wire() > 0 {
                let quota = Gauge::<i64>::default();
                quota.set(state.quota.to_wire());
                metrics.register("etcd_server_quota_backend_bytes", "`etcd.quota_bytes`", quota);
            }
            let commits = state.context.registry.meters().commit_seconds();
            for name in ["etcd_disk_wal_fsync_duration_seconds", "etcd_disk_backend_commit_duration_seconds"] {
                let help = "Time from handing commits to the engine until they were on the disk: there is one way there";
                metrics.register(name, help, commits.clone());
            }
            metrics.register("etcd_server_version", "What clients are told", known("server_version", VERSION.to_owned()));
            metrics.register("etcd_cluster_version", "What clients are told", known("cluster_version", cluster));
            metrics.register("etcd_server_id", "This member", known("server_id", id));
            state.calls.register(metrics);
        });
    }
}

/// The page.
pub(super) fn render(state: &Shared) -> String {
    let gauges = &state.meters.gauges;
    let registry = &state.context.registry;
    let set = |gauge: &Gauge, value: u64| {
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    };
    let ready = i64::from(registry.waiting_for().is_none());
    gauges.has_leader.set(ready);
    gauges.is_leader.set(ready);
    let head = registry.head();
    [&gauges.committed, &gauges.applied, &gauges.revision].into_iter().for_each(|gauge| set(gauge, head.0));
    let (bytes, keys) = state.quota.counted();
    set(&gauges.size, bytes);
    set(&gauges.in_use, bytes);
    set(&gauges.keys, keys);
    let compacted = state.compact_revision();
    gauges.compacted.set(if compacted == 0 { -1 } else { compacted });
    if let Ok(view) = registry.view(&Caller::internal("etcd")) {
        set(&gauges.auth, Accounts(&view).guard().revision);
    }
    set(&gauges.streams, state.watch_streams.load(Ordering::Relaxed).try_into().unwrap_or(u64::MAX));
    set(&gauges.watchers, state.watchers.load(Ordering::Relaxed).try_into().unwrap_or(u64::MAX));
    set(&gauges.resident, resident_bytes().unwrap_or_default());
    set(&gauges.files, open_files().unwrap_or_default());
    [&state.context.metrics, &state.meters.metrics].map(|it| it.render(MetricsFormat::Classic)).concat()
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn open_files() -> Option<u64> {
    u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

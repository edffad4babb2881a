//! What etcd's dashboards and alerts look for, under etcd's names, as far as it is there. Our own metrics stand beside it.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use switchboard_registry::Caller;

use super::{State, VERSION};

impl State {
    pub(super) fn in_etcds_names(&self) -> String {
        let mut text = Text::default();
        let is_well = u64::from(self.context.registry.waiting_for().is_none());
        text.gauge("etcd_server_has_leader", "Whether writes are taken.", "", is_well);
        text.gauge("etcd_server_is_leader", "Whether this member leads: there is one.", "", 1);
        let failures = count(self.health_failures.load(Ordering::Relaxed));
        text.family("etcd_server_health_failures", "Answers of /health that were bad.", "counter");
        text.sample("etcd_server_health_failures", "", failures);
        let label = format!("{{server_version=\"{VERSION}\"}}");
        text.gauge("etcd_server_version", "The version that clients are told.", &label, 1);
        let label = format!("{{server_id=\"{:x}\"}}", self.identity.member_id);
        text.gauge("etcd_server_id", "The member's id.", &label, 1);
        let streams = count(self.watch_streams.load(Ordering::Relaxed));
        text.gauge("etcd_debugging_mvcc_watch_stream_total", "Streams of watches.", "", streams);
        let watchers = count(self.watchers.load(Ordering::Relaxed));
        text.gauge("etcd_debugging_mvcc_watcher_total", "Watchers on them.", "", watchers);
        // A registry that is loading has no keys to be counted, and not none.
        if let Ok(view) = self.context.registry.view(&Caller::internal("etcd")) {
            let (keys, bytes) = State::size(&view);
            let revision = view.revision().0;
            text.gauge("etcd_debugging_mvcc_current_revision", "The newest revision.", "", revision);
            let compacted = u64::try_from(self.compact_revision()).unwrap_or(0);
            text.gauge("etcd_debugging_mvcc_compact_revision", "The oldest that can be read.", "", compacted);
            text.gauge("etcd_debugging_mvcc_keys_total", "Keys, without instances.", "", count(keys));
            let names = ["etcd_mvcc_db_total_size_in_bytes", "etcd_mvcc_db_total_size_in_use_in_bytes"];
            names.iter().for_each(|name| text.gauge(name, "Bytes of keys and values.", "", count(bytes)));
        }
        text.0
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn gauge(&mut self, name: &str, help: &str, labels: &str, value: u64) {
        self.family(name, help, "gauge");
        self.sample(name, labels, value);
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) {
        // A String takes whatever is written.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

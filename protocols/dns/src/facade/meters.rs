use domain::base::iana::OptRcode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use switchboard_facade::{ConnectionMeters, Metrics};

/// What is counted of queries, however they come.
#[derive(Clone, Debug, Default)]
pub(super) struct Meters {
    pub(super) connections: ConnectionMeters,
    good: Counter,
    nothing: Counter,
    others: Family<Labels, Counter>,
    pub(super) forwarded: Counter,
    pub(super) silent: Counter,
    pub(super) turned_away: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    rcode: String,
}

impl Meters {
    pub(super) fn register(&self, metrics: &Metrics) {
        self.connections.register("dns", metrics);
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("switchboard_dns");
            registry.register("answers_found", "Queries answered with NOERROR", self.good.clone());
            registry.register("answers_no_such_name", "Queries answered with NXDOMAIN", self.nothing.clone());
            registry.register("answers_refused", "Queries answered with another code", self.others.clone());
            registry.register(
                "answers_forwarded",
                "Queries that a recursor answered",
                self.forwarded.clone(),
            );
            registry.register("silent", "Messages that nothing is said to", self.silent.clone());
            registry.register("turned_away", "Queries that found too many waiting", self.turned_away.clone());
        });
    }

    pub(super) fn count(&self, rcode: OptRcode) {
        match rcode {
            OptRcode::NOERROR => self.good.inc(),
            OptRcode::NXDOMAIN => self.nothing.inc(),
            other => self.others.get_or_create(&Labels { rcode: other.to_string() }).inc(),
        };
    }
}

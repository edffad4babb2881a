//! Every route that is answered, in one table: where, with which methods, by what.

use std::future::Future;
use std::pin::Pin;

use crate::answer::Answer;
use crate::ask::Ask;
use crate::facade::{self, Shared};
use crate::refusal::Refusal;

pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send>>;

pub(crate) struct Route {
    /// A path that ends in a slash stands for everything below it.
    pub(crate) path: &'static str,
    /// As the header `Allow` says them.
    pub(crate) allow: &'static str,
    pub(crate) run: fn(Shared, Ask) -> Answering,
}

impl Route {
    pub(crate) fn takes(&self, method: &str) -> bool {
        self.allow.split(',').skip(1).any(|one| one == method)
    }
}

macro_rules! routes {
    ($($methods:literal $path:literal => $handler:path;)*) => {
        &[$(Route {
            path: $path,
            allow: concat!("OPTIONS,", $methods),
            run: |state, ask| Box::pin($handler(state, ask)),
        },)*]
    };
}

pub(crate) const ROUTES: &[Route] = routes! {
    "GET" "/v1/agent/self" => facade::agent::own;
    "GET" "/v1/agent/members" => facade::agent::members;
    "GET" "/v1/agent/version" => facade::agent::version;
    "GET" "/v1/agent/services" => facade::agent::services;
    "GET" "/v1/agent/checks" => facade::agent::checks;
    "GET" "/v1/agent/service/" => facade::agent::service;
    "PUT" "/v1/agent/service/register" => facade::register::service;
    "PUT" "/v1/agent/service/deregister/" => facade::register::deregister_service;
    "PUT" "/v1/agent/service/maintenance/" => facade::register::service_maintenance;
    "PUT" "/v1/agent/maintenance" => facade::register::node_maintenance;
    "PUT" "/v1/agent/check/register" => facade::register::check;
    "PUT" "/v1/agent/check/deregister/" => facade::register::deregister_check;
    "PUT" "/v1/agent/check/pass/" => facade::report::pass;
    "PUT" "/v1/agent/check/warn/" => facade::report::warn;
    "PUT" "/v1/agent/check/fail/" => facade::report::fail;
    "PUT" "/v1/agent/check/update/" => facade::report::update;
    "GET" "/v1/agent/health/service/id/" => facade::agent::health_by_id;
    "GET" "/v1/agent/health/service/name/" => facade::agent::health_by_name;
    "PUT" "/v1/catalog/register" => facade::catalog_write::register;
    "PUT" "/v1/catalog/deregister" => facade::catalog_write::deregister;
    "GET" "/v1/catalog/datacenters" => facade::catalog::datacenters;
    "GET" "/v1/catalog/nodes" => facade::catalog::nodes;
    "GET" "/v1/catalog/services" => facade::catalog::services;
    "GET" "/v1/catalog/service/" => facade::catalog::service;
    "GET" "/v1/catalog/node/" => facade::catalog::node;
    "GET" "/v1/catalog/node-services/" => facade::catalog::node_services;
    "GET" "/v1/health/service/" => facade::health::service;
    "GET" "/v1/health/checks/" => facade::health::checks;
    "GET" "/v1/health/node/" => facade::health::node;
    "GET" "/v1/health/state/" => facade::health::state;
    "GET,PUT,DELETE" "/v1/kv/" => facade::kv::kv;
    "PUT" "/v1/session/create" => facade::session::create;
    "PUT" "/v1/session/destroy/" => facade::session::destroy;
    "PUT" "/v1/session/renew/" => facade::session::renew;
    "GET" "/v1/session/info/" => facade::session::info;
    "GET" "/v1/session/node/" => facade::session::of_node;
    "GET" "/v1/session/list" => facade::session::list;
    "PUT" "/v1/txn" => facade::txn::txn;
    "GET" "/v1/status/leader" => facade::agent::leader;
    "GET" "/v1/status/peers" => facade::agent::peers;
    "GET,POST" "/v1/query" => facade::query::general;
    "GET,PUT,DELETE" "/v1/query/" => facade::query::specific;
    "PUT" "/v1/event/fire/" => facade::event::fire;
    "GET" "/v1/event/list" => facade::event::list;
    "GET" "/v1/coordinate/datacenters" => facade::coordinate::datacenters;
    "GET" "/v1/coordinate/nodes" => facade::coordinate::nodes;
    "GET" "/v1/coordinate/node/" => facade::coordinate::node;
    "PUT" "/v1/coordinate/update" => facade::coordinate::update;
    "GET,PUT" "/v1/snapshot" => facade::snapshot::snapshot;
    "GET" "/v1/agent/host" => facade::process::host;
    "GET" "/v1/agent/metrics" => facade::process::metrics;
    "GET" "/v1/agent/metrics/stream" => facade::process::metrics_stream;
    "GET" "/v1/agent/monitor" => facade::process::monitor;
    "PUT" "/v1/agent/reload" => facade::process::reload;
    "PUT" "/v1/agent/join/" => facade::process::join;
    "PUT" "/v1/agent/leave" => facade::process::leave;
    "PUT" "/v1/agent/force-leave/" => facade::process::force_leave;
    "PUT" "/v1/agent/token/" => facade::mesh::acl;
    "GET" "/v1/operator/raft/configuration" => facade::operator::raft;
    "POST" "/v1/operator/raft/transfer-leader" => facade::operator::transfer_leader;
    "DELETE" "/v1/operator/raft/peer" => facade::operator::remove_peer;
    "GET,PUT" "/v1/operator/autopilot/configuration" => facade::operator::autopilot_configuration;
    "GET" "/v1/operator/autopilot/health" => facade::operator::autopilot_health;
    "GET" "/v1/operator/autopilot/state" => facade::operator::autopilot_state;
    "GET" "/v1/operator/usage" => facade::operator::usage;
    "GET,POST,PUT,DELETE" "/v1/operator/keyring" => facade::operator::keyring;
    "GET" "/v1/agent/connect/ca/roots" => facade::mesh::roots;
    "GET" "/v1/agent/connect/ca/leaf/" => facade::mesh::connect;
    "POST" "/v1/agent/connect/authorize" => facade::mesh::connect;
    "GET" "/v1/connect/ca/roots" => facade::mesh::roots;
    "GET,PUT" "/v1/connect/ca/configuration" => facade::mesh::connect;
    "GET,POST" "/v1/connect/intentions" => facade::mesh::connect;
    "GET" "/v1/connect/intentions/match" => facade::mesh::connect;
    "GET" "/v1/connect/intentions/check" => facade::mesh::connect;
    "GET,PUT,DELETE" "/v1/connect/intentions/exact" => facade::mesh::connect;
    "GET,PUT,DELETE" "/v1/connect/intentions/" => facade::mesh::connect;
    "GET,POST" "/v1/discovery-chain/" => facade::mesh::connect;
    "GET" "/v1/health/connect/" => facade::connect::health;
    "GET" "/v1/health/ingress/" => facade::mesh::nothing;
    "GET" "/v1/catalog/connect/" => facade::connect::rows;
    "GET" "/v1/catalog/gateway-services/" => facade::mesh::nothing;
    "GET,DELETE" "/v1/config/" => facade::mesh::config;
    "PUT" "/v1/config" => facade::mesh::config;
    "POST" "/v1/peering/token" => facade::mesh::peering;
    "POST" "/v1/peering/establish" => facade::mesh::peering;
    "GET,DELETE" "/v1/peering/" => facade::mesh::peering;
    "GET" "/v1/peerings" => facade::mesh::peerings;
    "GET" "/v1/internal/federation-states" => facade::mesh::federation;
    "GET" "/v1/internal/federation-states/mesh-gateways" => facade::mesh::federation;
    "GET" "/v1/internal/federation-state/" => facade::mesh::federation;
    "PUT" "/v1/internal/service-virtual-ip" => facade::mesh::connect;
    "GET" "/v1/internal/ui/services" => facade::ui::services;
    "GET" "/v1/internal/ui/nodes" => facade::ui::nodes;
    "GET" "/v1/internal/ui/node/" => facade::ui::node;
    "GET" "/v1/internal/ui/catalog-overview" => facade::ui::overview;
    "GET" "/v1/internal/ui/service-topology/" => facade::ui::topology;
    "GET" "/v1/internal/ui/exported-services" => facade::mesh::peerings;
    "GET" "/v1/internal/ui/gateway-services-nodes/" => facade::mesh::nothing;
    "GET" "/v1/internal/ui/gateway-intentions/" => facade::mesh::nothing;
    "GET" "/v1/internal/ui/metrics-proxy/" => facade::mesh::connect;
    "PUT" "/v1/acl/bootstrap" => facade::mesh::acl;
    "POST" "/v1/acl/login" => facade::mesh::acl;
    "POST" "/v1/acl/logout" => facade::mesh::acl;
    "GET" "/v1/acl/replication" => facade::mesh::acl;
    "GET" "/v1/acl/policies" => facade::mesh::acl;
    "PUT" "/v1/acl/policy" => facade::mesh::acl;
    "GET,PUT,DELETE" "/v1/acl/policy/" => facade::mesh::acl;
    "GET" "/v1/acl/policy/name/" => facade::mesh::acl;
    "GET" "/v1/acl/roles" => facade::mesh::acl;
    "PUT" "/v1/acl/role" => facade::mesh::acl;
    "GET" "/v1/acl/role/name/" => facade::mesh::acl;
    "GET,PUT,DELETE" "/v1/acl/role/" => facade::mesh::acl;
    "GET" "/v1/acl/binding-rules" => facade::mesh::acl;
    "PUT" "/v1/acl/binding-rule" => facade::mesh::acl;
    "GET,PUT,DELETE" "/v1/acl/binding-rule/" => facade::mesh::acl;
    "GET" "/v1/acl/auth-methods" => facade::mesh::acl;
    "PUT" "/v1/acl/auth-method" => facade::mesh::acl;
    "GET,PUT,DELETE" "/v1/acl/auth-method/" => facade::mesh::acl;
    "GET" "/v1/acl/tokens" => facade::mesh::acl;
    "PUT" "/v1/acl/token" => facade::mesh::acl;
    "GET" "/v1/acl/token/self" => facade::mesh::acl;
    "GET,PUT,DELETE" "/v1/acl/token/" => facade::mesh::acl;
    "GET" "/v1/acl/templated-policies" => facade::mesh::acl;
    "GET" "/v1/acl/templated-policy/name/" => facade::mesh::acl;
    "POST" "/v1/acl/templated-policy/preview/" => facade::mesh::acl;
    "POST" "/v1/internal/acl/authorize" => facade::mesh::acl;
};

/// The route of a path and what is left of the path, both still escaped.
pub(crate) fn find(path: &str) -> Option<(&'static Route, &str)> {
    if let Some(exact) = ROUTES.iter().find(|route| route.path == path) {
        return Some((exact, ""));
    }
    ROUTES
        .iter()
        .filter(|route| route.path.ends_with('/'))
        .filter_map(|route| Some((route, path.strip_prefix(route.path)?)))
        .max_by_key(|(route, _)| route.path.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_route_wins_and_keeps_what_follows() {
        let found = |path: &str| find(path).map(|(route, rest)| (route.path, rest.to_owned()));
        assert_eq!(found("/v1/agent/service/register"), Some(("/v1/agent/service/register", String::new())));
        let deregister = Some(("/v1/agent/service/deregister/", "scope/name".to_owned()));
        assert_eq!(found("/v1/agent/service/deregister/scope/name"), deregister);
        assert_eq!(found("/v1/agent/service/web"), Some(("/v1/agent/service/", "web".to_owned())));
        assert_eq!(found("/v1/nothing"), None);
    }
}

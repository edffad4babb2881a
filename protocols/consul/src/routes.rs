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
    "GET" "/v1/agent/connect/ca/roots" => facade::agent::authorities;
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
    "GET" "/v1/status/leader" => facade::agent::leader;
    "GET" "/v1/status/peers" => facade::agent::peers;
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

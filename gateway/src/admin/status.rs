use serde::Serialize;
use switchboard_balance::Phase;

use crate::balance::until;
use crate::gateway::Gateway;
use crate::route::{Route, Target};
use crate::services::Service;

/// Everything the page shows.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) ready: bool,
    /// Where services come from that are asked for one by one; None: the registry in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    pub(super) requests_under_way: i64,
    pub(super) tunnels_open: i64,
    pub(super) routes: Vec<RouteStatus>,
    pub(super) services: Vec<ServiceStatus>,
}

#[derive(Debug, Serialize)]
pub(super) struct RouteStatus {
    pub(super) id: String,
    pub(super) when: String,
    pub(super) to: String,
    pub(super) strip: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefix: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ServiceStatus {
    pub(super) name: String,
    /// How it is reached; None: by configured routes only.
    pub(super) path: Option<String>,
    pub(super) complaints: Vec<String>,
    pub(super) answers: std::collections::BTreeMap<&'static str, u64>,
    pub(super) instances: Vec<InstanceStatus>,
}

#[derive(Debug, Serialize)]
pub(super) struct InstanceStatus {
    pub(super) id: String,
    pub(super) node: Option<String>,
    pub(super) address: String,
    /// `in_traffic`, `ejected`, `probing` or `absent`.
    pub(super) state: &'static str,
    pub(super) why: Option<String>,
    pub(super) requests: u64,
    pub(super) failures: u64,
    pub(super) under_way: u32,
    pub(super) latency_ms: Option<f64>,
    pub(super) connections: usize,
}

impl Status {
    pub(super) fn read(gateway: &Gateway) -> Status {
        let configured = gateway.table.routes().map(|(condition, route)| RouteStatus {
            id: route.id.to_string(),
            when: condition.to_string(),
            to: target(route),
            strip: route.rewrite.strip,
            prefix: route.rewrite.prefix.as_deref().map(str::to_owned),
        });
        let fixed = gateway.table.routes().filter_map(|(_, route)| gateway.fixed.get(&route.id));
        let services = gateway.services.all();
        Status {
            ready: gateway.services.is_ready(),
            source: gateway.on_demand.as_ref().map(|on_demand| on_demand.source_name().to_owned()),
            requests_under_way: gateway.meters.under_way.get(),
            tunnels_open: gateway.meters.tunnels.get(),
            routes: configured.collect(),
            services: services.iter().chain(fixed).map(|service| of_service(gateway, service)).collect(),
        }
    }
}

fn target(route: &Route) -> String {
    match &route.target {
        Target::Fixed(addresses) => {
            let all = addresses.iter().map(|address| format!("{}:{}", address.host, address.port));
            all.collect::<Vec<_>>().join(", ")
        }
        Target::Services(parts) => {
            let all = parts.iter().map(|part| match (parts.len(), part.subset.is_everyone()) {
                (1, true) => part.service.to_string(),
                (_, true) => format!("{} × {}", part.weight, part.service),
                (_, false) => format!("{} × {} with {}", part.weight, part.service, part.subset),
            });
            all.collect::<Vec<_>>().join(", ")
        }
    }
}

fn of_service(gateway: &Gateway, service: &Service) -> ServiceStatus {
    let exposure = service.exposure();
    let path = exposure.as_ref().filter(|exposure| exposure.route.is_some()).map(|exposure| {
        let own = exposure.path.as_ref().map(|path| path.as_str().to_owned());
        own.unwrap_or_else(|| gateway.config.locator.path.replace("{service}", &service.name))
    });
    let now = gateway.bench.now();
    let reports = service.everyone().report();
    let present = service.present();
    let present = present.iter().map(|endpoint| {
        let report = reports.iter().find(|report| report.endpoint.key == endpoint.key);
        let last = || endpoint.state.last_failure();
        let (state, why) = match report.map(|report| report.phase) {
            Some(Phase::Open { until: end }) => {
                let left = until(end, now).map_or(0.0, |left| left.as_secs_f64());
                let last = last().map(|last| format!("; last: {last}")).unwrap_or_default();
                ("ejected", Some(format!("too many failures, tried again in {left:.1} s{last}")))
            }
            Some(Phase::HalfOpen) => ("probing", last()),
            Some(Phase::Closed) | None => ("in_traffic", last().map(|last| format!("last failure: {last}"))),
        };
        let port = endpoint.ports.first().map(|port| format!(":{}", port.number)).unwrap_or_default();
        InstanceStatus {
            id: endpoint.key.id.to_string(),
            node: endpoint.key.node.as_ref().map(ToString::to_string),
            address: format!("{}{port}", endpoint.host),
            state,
            why,
            requests: endpoint.state.requests(),
            failures: endpoint.state.failures(),
            under_way: report.map_or(0, |report| report.in_flight),
            latency_ms: report.and_then(|report| report.latency).map(|latency| latency.as_secs_f64() * 1e3),
            connections: endpoint.state.connections(),
        }
    });
    let absent = service.absent();
    let absent = absent.iter().map(|absent| InstanceStatus {
        id: absent.key.id.to_string(),
        node: absent.key.node.as_ref().map(ToString::to_string),
        address: absent.address.to_string(),
        state: "absent",
        why: Some(absent.why.clone()),
        requests: 0,
        failures: 0,
        under_way: 0,
        latency_ms: None,
        connections: 0,
    });
    ServiceStatus {
        name: service.registered.to_string(),
        path,
        complaints: exposure.map(|exposure| exposure.complaints.to_vec()).unwrap_or_default(),
        answers: service.meters.counts().filter(|(_, count)| *count > 0).collect(),
        instances: present.chain(absent).collect(),
    }
}

//! Prepared queries, carried out: over HTTP here, and over DNS by publishing them as named sets.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use serde::Serialize;
use switchboard_facade::{Asker, NamedSet, NamedSetSource};
use switchboard_model::DEFAULT_NAMESPACE;
use switchboard_registry::{InstanceView, Snapshot};

use super::connect::through_mesh;
use super::health::element;
use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::{Ask, go_bool};
use crate::identity::node_name;
use crate::lens::{GoDuration, checks_of};
use crate::near::{Near, asking_address, node_at};
use crate::refusal::Refusal;
use crate::scope::{has_tag, is_passing};
use crate::wire::{self, QueryBody, QueryDnsOut, QueryOut, ServiceQuery};

pub(super) fn not_found() -> Refusal {
    Refusal { index: Some(1), ..Refusal::missing("Query not found") }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Executed<'a> {
    service: &'a str,
    nodes: Vec<wire::HealthElement<'a>>,
    #[serde(rename = "DNS")]
    dns: QueryDnsOut<'a>,
    datacenter: &'a str,
    peer_name: &'static str,
    failovers: u64,
    #[serde(flatten)]
    about: wire::QueryMeta,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Explained<'a> {
    query: QueryOut<'a>,
    #[serde(flatten)]
    about: wire::QueryMeta,
}

pub(super) async fn execute(state: Shared, ask: Ask, name: &str) -> Result<Answer, Refusal> {
    let limit = limit(&ask)?;
    let connect = match ask.get("connect") {
        Some(text) => go_bool(text).ok_or_else(|| {
            let why = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
            Refusal::failed(format!("Error parsing 'connect' value: {why}"))
        })?,
        None => false,
    };
    let view = state.context.registry.view(&ask.caller)?;
    let mut query = state.meant_query(&view, name)?;
    query.service.connect |= connect;
    let node = match state.near_node(&ask, &view)? {
        Some(node) => Some(node),
        None if ask.get("near").is_some() => None,
        None => {
            let agent = state.here.agent_of(&ask)?;
            near_of(&view, &query.service.near, agent.name.as_str(), asking_address(&ask))
        }
    };
    let (mut found, _) = state.run_query(&view, &query, node.as_deref());
    if limit > 0 {
        found.truncate(limit);
    }
    let executed = Executed {
        service: &query.service.service,
        nodes: found.iter().map(|view| without_checks(element(&state, view))).collect(),
        dns: QueryDnsOut { ttl: &query.dns.ttl },
        datacenter: &state.here.datacenter,
        peer_name: "",
        failovers: 0,
        about: wire::QueryMeta::at(1, ask.consistency.as_str()),
    };
    Ok(Answer::json(&executed).at(&ask, 1))
}

/// Here none are nothing at all.
fn without_checks(element: wire::HealthElement<'_>) -> wire::HealthElement<'_> {
    wire::HealthElement { checks: element.checks.filter(|checks| !checks.is_empty()), ..element }
}

pub(super) async fn explain(state: Shared, ask: Ask, name: &str) -> Result<Answer, Refusal> {
    limit(&ask)?;
    let view = state.context.registry.view(&ask.caller)?;
    let query = state.meant_query(&view, name)?;
    let explained = Explained { query: query.out(), about: wire::QueryMeta::at(1, ask.consistency.as_str()) };
    Ok(Answer::json(&explained).at(&ask, 1))
}

/// Zero and less are no limit.
fn limit(ask: &Ask) -> Result<usize, Refusal> {
    let Some(text) = ask.get("limit") else { return Ok(0) };
    let number: i64 = text
        .parse()
        .map_err(|_| Refusal::failed(format!("Bad limit: strconv.Atoi: parsing {text:?}: invalid syntax")))?;
    Ok(usize::try_from(number).unwrap_or(0))
}

/// The node that a query wants to be near to. None: it does not care.
fn near_of(at: &Snapshot, near: &str, agent: &str, ip: Option<IpAddr>) -> Option<String> {
    match near {
        "" => None,
        "_agent" => Some(agent.to_owned()),
        "_ip" => ip.and_then(|ip| node_at(at, ip)),
        node => Some(node.to_owned()),
    }
}

impl State {
    fn meant_query(&self, at: &Snapshot, name: &str) -> Result<QueryBody, Refusal> {
        if name.is_empty() {
            return Err(Refusal::failed("Missing Query ID"));
        }
        self.queries.at(at).resolve(name).map_err(Refusal::failed)?.ok_or_else(not_found)
    }

    /// The instances that a query comes to, and whether their order means something.
    fn run_query(
        &self,
        at: &Snapshot,
        query: &QueryBody,
        near: Option<&str>,
    ) -> (Vec<Arc<InstanceView>>, bool) {
        let service = &query.service;
        let mut found: Vec<_> = match service.connect {
            true => through_mesh(at, &service.service).cloned().collect(),
            false => {
                let all = at.service(DEFAULT_NAMESPACE, &service.service).into_iter();
                all.flat_map(|service| service.instances()).cloned().collect()
            }
        };
        found.retain(|view| self.is_wanted(service, view));
        fastrand::shuffle(&mut found);
        let near = near.and_then(|node| Near::new(&self.here, at, node));
        if let Some(near) = &near {
            near.sort(&mut found, |view| node_name(view.key()));
            near.lead(&mut found, |view| node_name(view.key()));
        }
        (found, near.is_some())
    }

    fn is_wanted(&self, query: &ServiceQuery, view: &InstanceView) -> bool {
        let fits = |tag: &String| match tag.strip_prefix('!') {
            Some(unwanted) => !has_tag(&view.instance, unwanted),
            None => has_tag(&view.instance, tag),
        };
        let node = view.node.as_ref().and_then(|facts| facts.node.as_ref());
        let node_says = |(key, value): (&String, &String)| {
            node.and_then(|node| node.metadata.get(key)).is_some_and(|have| have == value)
        };
        let service_says =
            |(key, value): (&String, &String)| view.instance.metadata.get(key) == Some(value.as_str());
        self.is_healthy_enough(query, view)
            && query.tags.iter().flatten().all(fits)
            && query.node_meta.iter().flatten().all(node_says)
            && query.service_meta.iter().flatten().all(service_says)
    }

    fn is_healthy_enough(&self, query: &ServiceQuery, view: &InstanceView) -> bool {
        let ignored = query.ignore_check_ids.as_deref().unwrap_or_default();
        if ignored.is_empty() {
            return if query.only_passing { is_passing(view) } else { view.is_served() };
        }
        let is_ignored = |id: &str| ignored.iter().any(|ignored| ignored == id);
        checks_of(view, self.output(), true).iter().all(|check| {
            is_ignored(&check.check_id)
                || check.status == "passing"
                || (check.status == "warning" && !query.only_passing)
        })
    }
}

/// Prepared queries for whoever asks by name without being a client of this protocol.
#[derive(Debug)]
pub(super) struct QuerySets(pub(super) Weak<State>);

impl NamedSetSource for QuerySets {
    fn find(&self, at: &Snapshot, name: &str, asker: &Asker) -> Option<NamedSet> {
        let state = self.0.upgrade()?;
        let query = state.queries.at(at).resolve(name).ok()??;
        let ip = asker.network.map(|(ip, _)| ip).or(asker.peer);
        let near = near_of(at, &query.service.near, state.here.node.as_str(), ip);
        let (instances, in_order) = state.run_query(at, &query, near.as_deref());
        let ttl = GoDuration::parse(&query.dns.ttl).map(|ttl| ttl.0);
        Some(NamedSet { instances, service: query.service.service, ttl, in_order })
    }

    fn itself(&self, at: &Snapshot) -> Option<Arc<InstanceView>> {
        self.0.upgrade()?.here.server(at).ok()?
    }
}

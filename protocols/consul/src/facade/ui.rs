//! `internal/ui/…`: what Consul's own web pages ask for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;
use switchboard_model::Selector;
use switchboard_registry::{InstanceView, NodeView, Snapshot, View};

use super::catalog::first_on;
use super::health::{all_health, element};
use super::{Shared, State, filter_of, filtered};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::block::Index;
use crate::filter::shapes;
use crate::lens::{checks_of, checks_of_node, node_to_wire, service_to_wire};
use crate::refusal::Refusal;
use crate::scope::{has_nodeless, instances, is_nodeless, members, nodeless};
use crate::{scope, wakes, wire};

/// What is true of every service here: nothing is in a service mesh.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NoMesh {
    gateway_config: wire::Nothing,
    transparent_proxy: bool,
    connect_native: bool,
    connected_with_proxy: bool,
    connected_with_gateway: bool,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary<'a> {
    name: &'a str,
    datacenter: &'a str,
    tags: Option<BTreeSet<&'a str>>,
    nodes: BTreeSet<&'a str>,
    external_sources: Option<BTreeSet<&'a str>>,
    instance_count: usize,
    checks_passing: usize,
    checks_warning: usize,
    checks_critical: usize,
    #[serde(flatten)]
    mesh: NoMesh,
}

impl<'a> Summary<'a> {
    fn add(&mut self, view: &'a InstanceView, node: &'a str, counts: impl Iterator<Item = &'static str>) {
        self.instance_count += 1;
        self.nodes.insert(node);
        for tag in view.instance.tags.iter() {
            self.tags.get_or_insert_default().insert(tag);
        }
        let of_node = view.node.as_ref().and_then(|facts| facts.node.as_ref()).map(|node| &node.metadata);
        let sources = [Some(&view.instance.metadata), of_node].into_iter().flatten();
        for source in sources.filter_map(|meta| meta.get("external-source")) {
            self.external_sources.get_or_insert_default().insert(source);
        }
        for status in counts {
            match status {
                "passing" => self.checks_passing += 1,
                "warning" => self.checks_warning += 1,
                _ => self.checks_critical += 1,
            }
        }
    }
}

impl State {
    async fn settle_everything(&self, ask: &Ask) -> Result<(View, u64), Refusal> {
        let index = |view: &View| Index::Shared(all_health(view));
        self.settle(ask, || Selector::Everything, wakes::health, index).await
    }
}

pub(crate) async fn services(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let filter = filter_of(&ask, &shapes::CHECK_SERVICE_NODE)?;
    let (view, index) = state.settle_everything(&ask).await?;
    let mut summaries: BTreeMap<&str, Summary<'_>> = BTreeMap::new();
    // A node's checks count once for a service, however many of its instances are there.
    let mut counted: BTreeSet<(&str, &str)> = BTreeSet::new();
    for view in instances(&view) {
        let shown = filtered(filter.as_ref(), vec![element(&state, view)])?;
        let Some(wire::HealthElement { node, checks, .. }) = shown.into_iter().next() else { continue };
        let name = view.key().service.as_str();
        let is_first = counted.insert((name, node.node));
        let checks = checks.unwrap_or_default();
        let counts = checks.iter().filter(|check| is_first || !check.service_id.is_empty());
        let fresh = || Summary { name, datacenter: &state.here.datacenter, ..Summary::default() };
        let summary = summaries.entry(name).or_insert_with(fresh);
        summary.add(view, node.node, counts.map(|check| check.status));
    }
    Ok(Answer::json(&summaries.values().collect::<Vec<_>>()).at_index(&ask, index))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeInfo<'a> {
    #[serde(rename = "ID")]
    id: std::borrow::Cow<'a, str>,
    node: &'a str,
    address: &'a str,
    tagged_addresses: BTreeMap<std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>>,
    meta: wire::Pairs<'a>,
    services: Vec<wire::Service<'a>>,
    checks: Vec<wire::Check<'a>>,
}

impl State {
    fn info<'a>(&'a self, view: &'a Snapshot, node: &'a NodeView) -> NodeInfo<'a> {
        let members: Vec<_> = members(view, node).collect();
        let mut checks: Vec<_> = checks_of_node(&node.facts, self.output()).collect();
        checks.extend(members.iter().flat_map(|view| checks_of(view, self.output(), false)));
        let wire = node_to_wire(&self.here, Some(&node.facts), first_on(view, node));
        info(wire, members.into_iter().map(|view| service_to_wire(view)).collect(), checks)
    }

    /// The node that stands for all instances without one.
    fn info_of_nodeless<'a>(&'a self, view: &'a Snapshot) -> NodeInfo<'a> {
        let members: Vec<_> = nodeless(view).collect();
        let checks = members.iter().flat_map(|view| checks_of(view, self.output(), false)).collect();
        info(self.here.nodeless(), members.into_iter().map(|view| service_to_wire(view)).collect(), checks)
    }
}

fn info<'a>(
    node: wire::Node<'a>,
    services: Vec<wire::Service<'a>>,
    checks: Vec<wire::Check<'a>>,
) -> NodeInfo<'a> {
    NodeInfo {
        id: node.id,
        node: node.node,
        address: node.address,
        tagged_addresses: node.tagged_addresses,
        meta: node.meta,
        services,
        checks,
    }
}

pub(crate) async fn nodes(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let filter = filter_of(&ask, &shapes::NODE_INFO)?;
    let (view, index) = state.settle_everything(&ask).await?;
    let mut infos: Vec<_> = scope::nodes(&view).map(|node| state.info(&view, node)).collect();
    if has_nodeless(&view) {
        infos.push(state.info_of_nodeless(&view));
    }
    Ok(Answer::json(&filtered(filter.as_ref(), infos)?).at_index(&ask, index))
}

pub(crate) async fn node(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing node name")?;
    if ask.get("filter").is_some() {
        return Err(Refusal::bad("Invalid filter: one node is not filtered; leave it out"));
    }
    let (view, index) = state.settle_everything(&ask).await?;
    if is_nodeless(name) {
        return Ok(Answer::json(&state.info_of_nodeless(&view)).at_index(&ask, index));
    }
    match view.node(&State::node_key(name)?) {
        Some(node) => Ok(Answer::json(&state.info(&view, node)).at_index(&ask, index)),
        None => Ok(Answer::nothing().at_index(&ask, index)),
    }
}

/// How many there are in which state.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Counts {
    total: usize,
    passing: usize,
    warning: usize,
    critical: usize,
}

impl Counts {
    fn add(&mut self, status: &str) {
        self.total += 1;
        *match status {
            "passing" => &mut self.passing,
            "warning" => &mut self.warning,
            _ => &mut self.critical,
        } += 1;
    }

    /// The state of what has these checks.
    fn worst(&self) -> &'static str {
        match (self.critical, self.warning) {
            (0, 0) => "passing",
            (0, _) => "warning",
            _ => "critical",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OfService<'a> {
    name: &'a str,
    #[serde(flatten)]
    counts: Counts,
}

/// How many there are of everything, and how they are.
pub(crate) async fn overview(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let (view, _) = state.settle_everything(&ask).await?;
    let (mut nodes, mut all) = (Counts::default(), Counts::default());
    let mut tell = |checks: &[wire::Check<'_>]| {
        let mut own = Counts::default();
        for check in checks {
            own.add(check.status);
            all.add(check.status);
        }
        own.worst()
    };
    for node in scope::nodes(&view) {
        nodes.add(tell(&checks_of_node(&node.facts, state.output()).collect::<Vec<_>>()));
    }
    let mut services: BTreeMap<&str, Counts> = BTreeMap::new();
    for view in instances(&view) {
        let worst = tell(&checks_of(view, state.output(), false));
        services.entry(view.key().service.as_str()).or_default().add(worst);
    }
    let services = services.into_iter().map(|(name, counts)| OfService { name, counts });
    let services: Vec<_> = services.collect();
    Ok(Answer::json(&json!({ "Nodes": [nodes], "Services": services, "Checks": [all] })))
}

pub(crate) async fn topology(_: Shared, ask: Ask) -> Result<Answer, Refusal> {
    ask.rest("Missing service name")?;
    match ask.get("kind") {
        None if !ask.has("kind") => return Err(Refusal::bad("Missing service kind")),
        None | Some("ingress-gateway") => {}
        Some(other) => return Err(Refusal::bad(format!("Unsupported service kind {other:?}"))),
    }
    let nothing = json!({
        "Protocol": "", "TransparentProxy": false, "Upstreams": [], "Downstreams": [], "FilteredByACLs": false,
    });
    Ok(Answer::json(&nothing).at_index(&ask, 1))
}

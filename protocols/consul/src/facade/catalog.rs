//! `catalog/…`, as far as it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::RwLock;
use serde::Serialize;
use serde_json::Value;
use switchboard_model::{NODELESS, Name, Revision, Selector};
use switchboard_registry::{InstanceView, NodeView, Snapshot, View, What};

use super::{Shared, State, filter_of, filtered};
use crate::answer::{Answer, encode, is_gzip_accepted, smaller};
use crate::ask::Ask;
use crate::block::Index;
use crate::filter::{Filter, shapes};
use crate::lens::{catalog_row, node_to_wire, service_to_wire};
use crate::own_server::{SERVER, with_server};
use crate::refusal::Refusal;
use crate::scope::{fits, fits_node, has_nodeless, is_nodeless, members, nodeless};
use crate::{scope, wakes, wire};

pub(crate) async fn datacenters(state: Shared, _ask: Ask) -> Result<Answer, Refusal> {
    Ok(Answer::json(&[&state.here.datacenter]))
}

pub(crate) async fn nodes(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let filter = filter_of(&ask, &shapes::NODE)?;
    // Nodes that nobody registered are there for as long as instances name them.
    let index = |view: &View| match has_nodeless(view) || has_unregistered(view) {
        true => Index::Shared(view.touched().nodes.max(view.touched().instances)),
        false => Index::Exact(view.touched().nodes),
    };
    let wakes = |what: &What| wakes::node(what) || wakes::on_unregistered(what);
    let (view, index) = state.settle(&ask, || Selector::Everything, wakes, index).await?;
    let nodes = scope::nodes(&view).filter(|node| fits_node(&ask, Some(&node.facts)));
    let mut nodes: Vec<_> =
        nodes.map(|node| node_to_wire(&state.here, Some(&node.facts), first_on(&view, node))).collect();
    if has_nodeless(&view) && fits_node(&ask, None) {
        let at = nodes.partition_point(|node| *node.node.to_ascii_lowercase() < *NODELESS);
        nodes.insert(at, state.here.nodeless());
    }
    if let Some(near) = state.near(&ask, &view)? {
        near.sort(&mut nodes, |node| node.node);
    }
    Ok(Answer::json(&filtered(filter.as_ref(), nodes)?).at(&ask, index))
}

fn has_unregistered(view: &Snapshot) -> bool {
    view.nodes(Bound::Unbounded).any(|node| node.facts.node.is_none())
}

pub(super) fn first_on<'a>(view: &'a Snapshot, node: &'a NodeView) -> Option<&'a InstanceView> {
    members(view, node).next().map(AsRef::as_ref)
}

pub(crate) async fn services(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let filter = filter_of(&ask, &shapes::SERVICE_NODE)?;
    let (view, index) = state.settle_services(&ask).await?;
    if filter.is_none() && !ask.has("node-meta") {
        // Everything that shows in it is in the instances, so it is encoded once for each time that one was written.
        let kept = state.all_services.at(view.touched().instances, || {
            names_and_tags(&state, &ask, &view, None).map(|tags| encode(&tags))
        })?;
        let mut zipped = None;
        if is_gzip_accepted(&ask.headers) {
            zipped = kept.zipped.get().cloned();
            if zipped.is_none()
                && let Some(made) = smaller(&kept.body).await
            {
                zipped = Some(kept.zipped.get_or_init(|| made).clone());
            }
        }
        return Ok(Answer::bytes(kept.body.clone()).zipped_as(zipped).at(&ask, index));
    }
    Ok(Answer::json(&names_and_tags(&state, &ask, &view, filter.as_ref())?).at(&ask, index))
}

/// The answer to `catalog/services` that everybody gets until an instance is written.
#[derive(Debug, Default)]
pub(super) struct AllServices(RwLock<Option<Arc<Encoded>>>);

#[derive(Debug)]
struct Encoded {
    /// When an instance was written last.
    written: Revision,
    body: Bytes,
    /// The same made smaller, once somebody wanted it so.
    zipped: OnceLock<Bytes>,
}

impl AllServices {
    fn at(
        &self,
        written: Revision,
        encode: impl FnOnce() -> Result<Bytes, Refusal>,
    ) -> Result<Arc<Encoded>, Refusal> {
        if let Some(kept) = self.0.read().as_ref().filter(|kept| kept.written == written) {
            return Ok(kept.clone());
        }
        let made = Arc::new(Encoded { written, body: encode()?, zipped: OnceLock::new() });
        let mut kept = self.0.write();
        if kept.as_ref().is_none_or(|kept| kept.written < written) {
            *kept = Some(made.clone());
        }
        Ok(made)
    }
}

type NamesAndTags<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn names_and_tags<'a>(
    state: &State,
    ask: &Ask,
    view: &'a Snapshot,
    filter: Option<&Filter>,
) -> Result<NamesAndTags<'a>, Refusal> {
    let mut tags = NamesAndTags::new();
    // Its own server is a service in every datacenter.
    let own = view.node(&state.here.own().key());
    let row = |view: &InstanceView| serde_json::to_value(catalog_row(&state.here, view)).unwrap_or_default();
    let server = state.here.server(view)?;
    let is_meant = match (filter, &server) {
        (Some(filter), Some(server)) => fits_filter(filter, &row(server))?,
        (Some(_), None) => false,
        (None, _) => true,
    };
    if is_meant && fits_node(ask, own.map(|node| &*node.facts)) {
        tags.insert(SERVER, BTreeSet::new());
    }
    for service in scope::services(view) {
        for instance in service.instances().filter(|view| fits_node(ask, view.node.as_deref())) {
            if let Some(filter) = filter
                && !fits_filter(filter, &row(instance))?
            {
                continue;
            }
            let all = tags.entry(service.key.service.as_str()).or_default();
            all.extend(instance.instance.tags.iter().map(AsRef::as_ref));
        }
    }
    Ok(tags)
}

fn fits_filter(filter: &Filter, row: &Value) -> Result<bool, Refusal> {
    filter.matches(row).map_err(|error| Refusal::failed(error.to_string()))
}

pub(crate) async fn service(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing service name")?;
    let filter = filter_of(&ask, &shapes::SERVICE_NODE)?;
    let (view, index) = state.settle_rows(&ask, name).await?;
    let server = state.here.server(&view)?;
    let rows = with_server(&view, server.as_ref(), name).filter(|view| fits(&ask, view));
    let mut rows: Vec<_> = rows.map(|view| catalog_row(&state.here, view)).collect();
    if let Some(near) = state.near(&ask, &view)? {
        near.sort(&mut rows, |row| row.node);
    }
    Ok(Answer::json(&filtered(filter.as_ref(), rows)?).at(&ask, index))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeWith<'a, S> {
    node: Option<wire::Node<'a>>,
    services: S,
}

pub(crate) async fn node(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing node name")?;
    let filter = filter_of(&ask, &shapes::NODE_SERVICE)?;
    let (view, index) = state.settle_node(&ask, name).await?;
    let server = state.here.server(&view)?;
    let Some((node, services)) = state.on_node(&view, server.as_ref(), name)? else {
        return Ok(Answer::bytes("null").at(&ask, index));
    };
    let services = filtered(filter.as_ref(), services)?;
    let services: BTreeMap<_, _> = services.into_iter().map(|service| (service.id, service)).collect();
    Ok(Answer::json(&NodeWith { node: Some(node), services }).at(&ask, index))
}

pub(crate) async fn node_services(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing node name")?;
    let filter = filter_of(&ask, &shapes::NODE_SERVICE)?;
    let (view, index) = state.settle_node(&ask, name).await?;
    let server = state.here.server(&view)?;
    let Some((node, services)) = state.on_node(&view, server.as_ref(), name)? else {
        let nothing = NodeWith::<Option<()>> { node: None, services: None };
        return Ok(Answer::json(&nothing).at(&ask, index));
    };
    let services = filtered(filter.as_ref(), services)?;
    Ok(Answer::json(&NodeWith { node: Some(node), services }).at(&ask, index))
}

type OnNode<'a> = (wire::Node<'a>, Vec<wire::Service<'a>>);

impl State {
    async fn settle_services(&self, ask: &Ask) -> Result<(View, u64), Refusal> {
        if ask.has("node-meta") {
            let index = |view: &View| Index::Shared(view.touched().nodes.max(view.touched().instances));
            let wakes = |what: &What| wakes::node(what) || wakes::registration(what);
            return self.settle(ask, || Selector::Everything, wakes, index).await;
        }
        let all = || Selector::Services { namespace: Some(Name::default_namespace()), prefix: "".into() };
        self.settle(ask, all, wakes::registration, |view| Index::Exact(view.touched().instances)).await
    }

    async fn settle_node(&self, ask: &Ask, name: &str) -> Result<(View, u64), Refusal> {
        let index = |view: &View| Index::Shared(view.touched().nodes.max(view.touched().instances));
        if is_nodeless(name) {
            let is_there = |view: &Arc<InstanceView>| view.key().node.is_none();
            let wakes = |what: &What| wakes::registration(what) && what.instance().is_some_and(is_there);
            return self.settle(ask, || Selector::Everything, wakes, index).await;
        }
        let key = State::node_key(name)?;
        let wakes = |what: &What| wakes::node(what) || wakes::registration(what);
        self.settle(ask, || Selector::Node(key.clone()), wakes, index).await
    }

    /// A node and the services on it. None: there is no such node.
    fn on_node<'a>(
        &'a self,
        view: &'a Snapshot,
        server: Option<&'a Arc<InstanceView>>,
        name: &str,
    ) -> Result<Option<OnNode<'a>>, Refusal> {
        if is_nodeless(name) {
            let all = nodeless(view).map(|view| service_to_wire(view));
            return Ok(Some((self.here.nodeless(), all.collect())));
        }
        let Some(node) = view.node(&State::node_key(name)?) else { return Ok(None) };
        let server = server.filter(|server| server.key().node.as_ref() == Some(&node.facts.key.node));
        let members = server.into_iter().chain(members(view, node));
        let wire = node_to_wire(&self.here, Some(&node.facts), first_on(view, node));
        Ok(Some((wire, members.map(|view| service_to_wire(view)).collect())))
    }
}

//! `health/…`: instances with what decides about them.

use std::sync::Arc;

use switchboard_model::{Name, Revision, Selector, ServiceKey};
use switchboard_registry::{InstanceView, Snapshot, View, What};

use super::{Shared, State, filter_of, filtered};
use crate::answer::{Answer, encode, is_gzip_accepted, smaller};
use crate::ask::Ask;
use crate::block::Index;
use crate::filter::shapes;
use crate::lens::{check_to_wire, checks_of, checks_of_node, node_to_wire, service_to_wire, tells_of};
use crate::own_server::{SERVER, with_server};
use crate::refusal::Refusal;
use crate::scope::{fits, fits_node, instances, is_nodeless, is_passing, members, nodeless, nodes};
use crate::{wakes, wire};

/// The form of an encoded answer, where one is kept beside the service.
const ALL: u64 = 0;
const PASSING: u64 = 1;
/// Made smaller, on top of either.
const ZIPPED: u64 = 2;

pub(crate) async fn service(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing service name")?;
    let passing = ask.flag("passing")?.unwrap_or(false);
    let filter = filter_of(&ask, &shapes::CHECK_SERVICE_NODE)?;
    let (view, index) = state.settle_service(&ask, name).await?;
    let namespace = switchboard_model::DEFAULT_NAMESPACE;
    let service = view.service(namespace, name);
    let is_server = name.eq_ignore_ascii_case(SERVER);
    if service.is_none() && !is_server {
        return Ok(Answer::bytes("[]").at(&ask, index));
    }
    let server = state.here.server(&view)?;
    let near = state.near(&ask, &view)?;
    let plain = near.is_none() && filter.is_none() && !ask.has("tag") && ask.get("node-meta").is_none();
    let all = || with_server(&view, server.as_ref(), name);
    let chosen = || all().filter(|view| !passing || is_passing(view));
    if let Some(service) = service.filter(|_| plain && !is_server) {
        let form = if passing { PASSING } else { ALL };
        // What a check said last may be newer than the service's view.
        let said = state.context.registry.outputs_version(&service.key);
        let elements = || chosen().map(|view| element(&state, view)).collect::<Vec<_>>();
        let body = service.memo.get_or_encode_at(("consul", form), said, || encode(&elements()));
        let mut zipped = None;
        if is_gzip_accepted(&ask.headers) {
            let form = ("consul", form | ZIPPED);
            zipped = service.memo.get_at(form, said);
            if zipped.is_none()
                && let Some(made) = smaller(&body).await
            {
                zipped = Some(service.memo.get_or_encode_at(form, said, || made));
            }
        }
        return Ok(Answer::bytes(body).zipped_as(zipped).at(&ask, index));
    }
    let mut chosen: Vec<_> =
        chosen().filter(|view| fits(&ask, view)).map(|view| element(&state, view)).collect();
    near.iter().for_each(|near| near.sort(&mut chosen, |element| element.node.node));
    Ok(Answer::json(&filtered(filter.as_ref(), chosen)?).at(&ask, index))
}

pub(super) fn element<'a>(state: &'a State, view: &'a Arc<InstanceView>) -> wire::HealthElement<'a> {
    wire::HealthElement {
        node: node_to_wire(&state.here, view.node.as_deref(), Some(view)),
        service: service_to_wire(view),
        checks: Some(checks_of(view, state.output(), true)),
    }
}

pub(crate) async fn checks(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing service name")?;
    let filter = filter_of(&ask, &shapes::HEALTH_CHECK)?;
    let (view, index) = state.settle_checks(&ask, name).await?;
    let instances = view.service(switchboard_model::DEFAULT_NAMESPACE, name);
    let instances = instances.iter().flat_map(|service| service.instances());
    let checks = instances.filter(|view| fits_node(&ask, view.node.as_deref()));
    let mut checks: Vec<_> = checks.flat_map(|view| checks_of(view, state.output(), false)).collect();
    for node in nodes(&view).filter(|node| fits_node(&ask, Some(&node.facts))) {
        let telling = node.facts.checks.iter().filter(|check| tells_of(check, name));
        let node = node.facts.key.node.as_str();
        checks.extend(telling.map(|check| check_to_wire(node, None, check, (state.output())(&check.key))));
    }
    if let Some(near) = state.near(&ask, &view)? {
        near.sort(&mut checks, |check| check.node);
    }
    Ok(Answer::json(&filtered(filter.as_ref(), checks)?).at(&ask, index))
}

pub(crate) async fn node(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing node name")?;
    let filter = filter_of(&ask, &shapes::HEALTH_CHECK)?;
    let key = State::node_key(name)?;
    let selector = || if is_nodeless(name) { Selector::Everything } else { Selector::Node(key.clone()) };
    let (view, index) =
        state.settle(&ask, selector, wakes::check, |view| Index::Shared(all_health(view))).await?;
    let mut checks = Vec::new();
    if is_nodeless(name) {
        checks.extend(nodeless(&view).flat_map(|view| checks_of(view, state.output(), false)));
    } else if let Some(node) = view.node(&key) {
        checks.extend(checks_of_node(&node.facts, state.output()));
        checks.extend(members(&view, node).flat_map(|view| checks_of(view, state.output(), false)));
    }
    Ok(Answer::json(&filtered(filter.as_ref(), checks)?).at(&ask, index))
}

pub(crate) async fn state(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let word = ask.rest("Missing check state")?.to_ascii_lowercase();
    let filter = filter_of(&ask, &shapes::HEALTH_CHECK)?;
    let by_node = ask.has("node-meta");
    let wakes = |what: &What| wakes::check(what) || (by_node && wakes::node(what));
    let (view, index) =
        state.settle(&ask, || Selector::Everything, wakes, |view| Index::Shared(all_health(view))).await?;
    let mut checks = Vec::new();
    for node in nodes(&view).filter(|node| fits_node(&ask, Some(&node.facts))) {
        checks.extend(checks_of_node(&node.facts, state.output()));
    }
    let instances = instances(&view).filter(|view| fits_node(&ask, view.node.as_deref()));
    checks.extend(instances.flat_map(|view| checks_of(view, state.output(), false)));
    // A state that there is not has no checks.
    checks.retain(|check| word == "any" || check.status == word);
    if let Some(near) = state.near(&ask, &view)? {
        near.sort(&mut checks, |check| check.node);
    }
    Ok(Answer::json(&filtered(filter.as_ref(), checks)?).at(&ask, index))
}

/// When anything was last touched that shows as a check.
pub(super) fn all_health(at: &Snapshot) -> switchboard_model::Revision {
    let touched = at.touched();
    touched.checks.max(touched.instances).max(touched.nodes).max(touched.leases)
}

/// What of a service an answer shows.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Its rows in the catalogue, in which checks do not show.
    Rows,
    /// The checks of its instances, in which the nodes do not show.
    Checks,
    All,
}

impl Part {
    fn wakes(self, what: &What) -> bool {
        match self {
            Part::Rows => wakes::row(what) || wakes::node(what),
            Part::Checks => wakes::own_check(what),
            Part::All => wakes::health(what),
        }
    }
}

impl State {
    pub(super) async fn settle_service(&self, ask: &Ask, name: &str) -> Result<(View, u64), Refusal> {
        self.settle_part(ask, name, Part::All).await
    }

    pub(super) async fn settle_rows(&self, ask: &Ask, name: &str) -> Result<(View, u64), Refusal> {
        self.settle_part(ask, name, Part::Rows).await
    }

    async fn settle_checks(&self, ask: &Ask, name: &str) -> Result<(View, u64), Refusal> {
        self.settle_part(ask, name, if ask.has("node-meta") { Part::All } else { Part::Checks }).await
    }

    async fn settle_part(&self, ask: &Ask, name: &str, part: Part) -> Result<(View, u64), Refusal> {
        let namespace = Name::default_namespace();
        let key = ServiceKey { service: Name::parse("service", name)?, namespace };
        let found = |revision| match part {
            Part::All => Index::Exact(revision),
            // The rest of it are neighbours.
            Part::Rows | Part::Checks => Index::Shared(revision),
        };
        let index = |view: &View| {
            let service = view.service(key.namespace.as_str(), name).map(|service| service.revision);
            match (service, self.here.server_revision(view, name)) {
                (Some(service), own) => found(service.max(own.unwrap_or(Revision::ZERO))),
                (None, Some(own)) => found(own),
                // Absence is news only when the service was there.
                (None, None) => Index::Shared(view.touched().extinction),
            }
        };
        if !name.eq_ignore_ascii_case(SERVER) {
            let selector = || Selector::Service(key.clone());
            return self.settle(ask, selector, |what| part.wakes(what), index).await;
        }
        // This registry itself is among them, as long as its node is.
        let own = self.here.own().key();
        let selector =
            || Selector::AnyOf([Selector::Service(key.clone()), Selector::Node(own.clone())].into());
        let is_meant = |view: &Arc<InstanceView>| view.key().service == key.service;
        let wakes = |what: &What| what.instance().is_none_or(is_meant) && part.wakes(what);
        self.settle(ask, selector, wakes, index).await
    }
}

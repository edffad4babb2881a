//! `catalog/connect/…` and `health/connect/…`: what a service can be reached through in a mesh. There is no mesh here, so nobody
//! makes proxies; those that somebody registered are listed, and services that need none.

use std::sync::Arc;

use switchboard_model::Selector;
use switchboard_registry::{InstanceView, Snapshot, View, What};

use super::health::{all_health, element};
use super::{Shared, State, filter_of, filtered};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::block::Index;
use crate::filter::shapes;
use crate::lens::{catalog_row, leads_to};
use crate::refusal::Refusal;
use crate::scope::{fits, instances, is_passing};
use crate::wakes;

/// Instances that lead to a service.
pub(super) fn through_mesh<'a>(
    at: &'a Snapshot,
    service: &'a str,
) -> impl Iterator<Item = &'a Arc<InstanceView>> {
    instances(at).filter(|view| leads_to(&view.instance, service))
}

/// Whether what happened is about instances that lead to a service.
fn is_about(what: &What, service: &str) -> bool {
    match what {
        What::Instance { before, after } => {
            before.iter().chain(after).any(|view| leads_to(&view.instance, service))
        }
        What::Node { .. } | What::Check { .. } | What::Lease { .. } | What::Entry { .. } => false,
    }
}

impl State {
    async fn settle_mesh(
        &self,
        ask: &Ask,
        service: &str,
        wakes: impl Fn(&What) -> bool,
    ) -> Result<(View, u64), Refusal> {
        let wakes = |what: &What| is_about(what, service) && wakes(what);
        self.settle(ask, || Selector::Everything, wakes, |view| Index::Shared(all_health(view))).await
    }
}

pub(crate) async fn rows(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing service name")?;
    let filter = filter_of(&ask, &shapes::SERVICE_NODE)?;
    let (view, index) = state.settle_mesh(&ask, name, wakes::row).await?;
    let rows = through_mesh(&view, name).filter(|view| fits(&ask, view));
    let mut rows: Vec<_> = rows.map(|view| catalog_row(&state.here, view)).collect();
    if let Some(near) = state.near(&ask, &view)? {
        near.sort(&mut rows, |row| row.node);
    }
    Ok(Answer::json(&filtered(filter.as_ref(), rows)?).at(&ask, index))
}

pub(crate) async fn health(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing service name")?;
    let passing = ask.flag("passing")?.unwrap_or(false);
    let filter = filter_of(&ask, &shapes::CHECK_SERVICE_NODE)?;
    let (view, index) = state.settle_mesh(&ask, name, wakes::health).await?;
    let found = through_mesh(&view, name).filter(|view| !passing || is_passing(view));
    let mut found: Vec<_> = found.filter(|view| fits(&ask, view)).map(|view| element(&state, view)).collect();
    if let Some(near) = state.near(&ask, &view)? {
        near.sort(&mut found, |element| element.node.node);
    }
    Ok(Answer::json(&filtered(filter.as_ref(), found)?).at(&ask, index))
}

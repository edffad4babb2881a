use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use switchboard_registry::{InstanceView, Snapshot};

use super::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::{all_in, app_to_wire, instance_to_wire, services};
use crate::pages::{Counts, Page, bare, full, stamp};
use crate::refusal::Refusal;
use crate::wire::{InstanceInfo, Status};

/// `GET apps`: everything, whatever its status. Clients choose for themselves.
pub(crate) fn all(state: &State, ask: &Ask) -> Result<Answer, Refusal> {
    let view = state.view(ask)?;
    let bytes =
        state.pages.get(page(ask, false), (stamp(&view), 0), || full(&view, &ask.namespace, ask.form));
    Ok(Answer::said(ask.form, bytes).packed(ask.takes_gzip))
}

/// `GET apps/delta`: what changed within the window, and what the whole then comes to.
pub(crate) async fn delta(state: &State, ask: &Ask) -> Result<Answer, Refusal> {
    let delta = state.recent.delta(&state.context.registry).await.map_err(Refusal::not_ready)?;
    let bytes = state.pages.get(page(ask, true), delta.stamp, || delta.encode(&ask.namespace, ask.form));
    Ok(Answer::said(ask.form, bytes).packed(ask.takes_gzip))
}

fn page(ask: &Ask, is_delta: bool) -> Page {
    Page { namespace: ask.namespace.clone(), is_delta, form: ask.form, is_packed: ask.takes_gzip }
}

pub(crate) fn one(state: &State, ask: &Ask, app: &str) -> Result<Answer, Refusal> {
    let view = state.view(ask)?;
    let service = view.service(ask.namespace.as_str(), app).filter(|service| !service.is_empty());
    let service = service.ok_or_else(Refusal::missing)?;
    Ok(Answer::said(ask.form, ask.form.application(&bare(service, ask.form))))
}

/// `GET vips/{vip}` and `GET svips/{vip}`: the instances that have the address among their own, comma by comma.
pub(crate) fn vip(state: &State, ask: &Ask, vip: &str, secure: bool) -> Result<Answer, Refusal> {
    let view = state.view(ask)?;
    let mut apps: BTreeMap<String, Vec<InstanceInfo>> = BTreeMap::new();
    let mut counts = Counts::default();
    for instance in every(&view, ask.namespace.as_str()) {
        let info = instance_to_wire(instance);
        let addresses = if secure { &info.secure_vip } else { &info.vip };
        if addresses.iter().flat_map(|list| list.split(',')).any(|one| one == vip) {
            counts.add(info.status.unwrap_or(Status::Unknown));
            apps.entry(app_to_wire(instance.key().service.as_str())).or_default().push(info);
        }
    }
    let bare: Vec<Bytes> = apps
        .into_iter()
        .map(|(app, infos)| ask.form.bare_application(&app, infos.into_iter().map(Cow::Owned)).into())
        .collect();
    Ok(Answer::said(ask.form, ask.form.applications(1, &counts.to_string(), &bare)))
}

fn every<'a>(at: &'a Snapshot, namespace: &'a str) -> impl Iterator<Item = &'a std::sync::Arc<InstanceView>> {
    services(at, namespace).flat_map(|service| all_in(service))
}

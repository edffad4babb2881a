use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use switchboard_registry::{Caller, InstanceView, Snapshot};

use super::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::{all_in, app_to_wire, instance_to_wire, services};
use crate::pages::{Counts, Page, Stamp, bare, full, stamp};
use crate::refusal::Refusal;
use crate::wire::{InstanceInfo, Status};

/// `GET apps`: everything, whatever its status, since clients choose for themselves. `GET apps/delta`: what changed
/// within the window, and what the whole then comes to.
pub(crate) async fn all(state: &State, ask: &Ask, is_delta: bool) -> Result<Answer, Refusal> {
    match kept(state, ask, is_delta)? {
        Ok(answer) => Ok(answer),
        Err(wanted) => wanted.encoded(state).await,
    }
}

/// The same, where it is encoded already.
pub(crate) fn kept(state: &State, ask: &Ask, is_delta: bool) -> Result<Result<Answer, Wanted>, Refusal> {
    let view = state.view(ask)?;
    let age = if is_delta { state.recent.age() } else { 0 };
    let page = Page { namespace: ask.namespace.clone(), is_delta, form: ask.form, is_packed: ask.takes_gzip };
    let stamp = (stamp(&view), age);
    Ok(match state.pages.kept(&page, stamp) {
        Some(bytes) => Ok(said(&page, bytes)),
        None => Err(Wanted { page, stamp }),
    })
}

/// An answer that is not there yet, or not new enough.
#[derive(Debug)]
pub(crate) struct Wanted {
    page: Page,
    stamp: Stamp,
}

impl Wanted {
    async fn encoded(self, state: &State) -> Result<Answer, Refusal> {
        let Wanted { page, stamp: wanted } = self;
        let (namespace, form) = (page.namespace.clone(), page.form);
        let registry = &state.context.registry;
        let newest = async {
            type Encode = Box<dyn FnOnce() -> Vec<u8> + Send>;
            if page.is_delta {
                let delta = state.recent.delta(registry).await.map_err(Refusal::not_ready)?;
                let stamp = delta.stamp;
                Ok((stamp, Box::new(move || delta.encode(&namespace, form)) as Encode))
            } else {
                let view = registry.view(&Caller::internal("eureka")).map_err(Refusal::not_ready)?;
                Ok(((stamp(&view), 0), Box::new(move || full(&view, &namespace, form)) as Encode))
            }
        };
        let bytes = state.pages.get(page.clone(), wanted, newest).await?;
        Ok(said(&page, bytes))
    }
}

fn said(page: &Page, bytes: Bytes) -> Answer {
    Answer::said(page.form, bytes).packed(page.is_packed)
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

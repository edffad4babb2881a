use std::time::Duration;

use http::StatusCode;
use switchboard_model::Name;
use switchboard_registry::plan::Deregister;
use switchboard_registry::{Caller, InstanceView, Renewed};

use super::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::{Gist, find, find_by_id, instance_to_wire, overridden_to_wire, said_status};
use crate::plan::Override;
use crate::refusal::Refusal;
use crate::wire::{BatchAction, InstanceInfo, Item, Status};

pub(crate) fn get(state: &State, ask: &Ask, app: &str, id: &str) -> Result<Answer, Refusal> {
    let view = state.view(ask)?;
    let found = find(&view, ask.namespace.as_str(), app, id).ok_or_else(Refusal::missing)?;
    Ok(Answer::said(ask.form, ask.form.instance(&state.detail(found))))
}

pub(crate) fn by_id(state: &State, ask: &Ask, id: &str) -> Result<Answer, Refusal> {
    let view = state.view(ask)?;
    let found = find_by_id(&view, ask.namespace.as_str(), id).ok_or_else(Refusal::missing)?;
    Ok(Answer::said(ask.form, ask.form.instance(&state.detail(found))))
}

/// `PUT apps/{app}/{id}`: a heartbeat. None: there is more to it than can be done at once.
pub(crate) fn renew_at_once(
    state: &State,
    ask: &Ask,
    app: &str,
    id: &str,
) -> Result<Option<Answer>, Refusal> {
    let heard = state.beat_at_once(&ask.caller, &ask.namespace, app, id, beat(ask)?)?;
    Ok(heard.map(|heard| answer(ask, &heard)))
}

/// Whatever there is to it.
pub(crate) async fn renew(state: &State, ask: &Ask, app: &str, id: &str) -> Result<Answer, Refusal> {
    Ok(answer(ask, &state.beat(&ask.caller, &ask.namespace, app, id, beat(ask)?).await?))
}

fn beat(ask: &Ask) -> Result<Beat, Refusal> {
    let overridden = ask.get("overriddenstatus").map(|word| Status::read(&word));
    Ok(Beat { dirty: ask.dirty()?, overridden, by_peer: ask.by_peer })
}

fn answer(ask: &Ask, heard: &Heard) -> Answer {
    match heard {
        Heard::Renewed => Answer::ok(),
        Heard::Unknown => Answer::status(StatusCode::NOT_FOUND),
        Heard::Older(info) => {
            Answer::said(ask.form, ask.form.instance(info)).with_status(StatusCode::CONFLICT)
        }
    }
}

/// `DELETE apps/{app}/{id}`.
pub(crate) async fn cancel(state: &State, ask: &Ask, app: &str, id: &str) -> Result<Answer, Refusal> {
    state.cancel(&ask.caller, &ask.namespace, app, id, ask.by_peer).await?;
    Ok(Answer::ok())
}

/// What a heartbeat says besides being one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    pub(crate) dirty: Option<u64>,
    pub(crate) overridden: Option<Status>,
    pub(crate) by_peer: bool,
}

#[derive(Debug)]
pub(crate) enum Heard {
    Renewed,
    /// Whoever beats has to register, again or for the first time.
    Unknown,
    /// A peer's copy is older than ours.
    Older(Box<InstanceInfo>),
}

impl State {
    /// None: the instance had lapsed and has to be brought back, or a peer has something new to say about it.
    fn beat_at_once(
        &self,
        caller: &Caller,
        namespace: &Name,
        app: &str,
        id: &str,
        beat: Beat,
    ) -> Result<Option<Heard>, Refusal> {
        let view = self.context.registry.view(caller)?;
        let Some(found) = find(&view, namespace.as_str(), app, id) else { return Ok(Some(Heard::Unknown)) };
        let gist = Gist::of(&found.instance);
        if has_to_say_its_status(found, gist) {
            return Ok(Some(Heard::Unknown));
        }
        if news(beat, gist).is_some() {
            return Ok(None);
        }
        if let Some(lease) = found.instance.lease
            && let Renewed::Late { .. } = self.context.registry.renew(lease)?
        {
            return Ok(None);
        }
        self.pass_on(namespace, app, id, beat, found, gist);
        Ok(Some(self.heard(beat, found, gist)))
    }

    pub(crate) async fn beat(
        &self,
        caller: &Caller,
        namespace: &Name,
        app: &str,
        id: &str,
        beat: Beat,
    ) -> Result<Heard, Refusal> {
        if let Some(heard) = self.beat_at_once(caller, namespace, app, id, beat)? {
            return Ok(heard);
        }
        let view = self.context.registry.view(caller)?;
        let Some(found) = find(&view, namespace.as_str(), app, id) else { return Ok(Heard::Unknown) };
        let gist = Gist::of(&found.instance);
        self.keep_alive(caller, found).await?;
        self.pass_on(namespace, app, id, beat, found, gist);
        if let Some(status) = news(beat, gist) {
            let wish = Override { key: found.key().clone(), status, dirty: None, by_peer: true };
            self.context.registry.submit(caller, wish).await?;
        }
        Ok(self.heard(beat, found, gist))
    }

    fn pass_on(&self, namespace: &Name, app: &str, id: &str, beat: Beat, found: &InstanceView, gist: Gist) {
        if beat.by_peer {
            return;
        }
        self.peers.relay(namespace, || Item {
            action: BatchAction::Heartbeat,
            app: app.to_owned(),
            id: id.to_owned(),
            dirty: gist.dirty(),
            status: Some(said_status(found, gist.unknown)),
            overridden: gist.over,
            info: None,
        });
    }

    /// By whose clock the instance's own information is newer.
    fn heard(&self, beat: Beat, found: &InstanceView, gist: Gist) -> Heard {
        match (beat.dirty, gist.dirty()) {
            (Some(theirs), Some(ours)) if theirs > ours => Heard::Unknown,
            (Some(theirs), Some(ours)) if theirs < ours && beat.by_peer => {
                Heard::Older(Box::new(self.detail(found)))
            }
            _ => Heard::Renewed,
        }
    }

    pub(crate) async fn cancel(
        &self,
        caller: &Caller,
        namespace: &Name,
        app: &str,
        id: &str,
        by_peer: bool,
    ) -> Result<(), Refusal> {
        let found = self.find(caller, namespace, app, id)?;
        let key = found.key().clone();
        // Peers do not end what another protocol keeps here: to them it was only lent.
        if by_peer && Gist::of(&found.instance).is_foreign() {
            return Ok(());
        }
        let told = by_peer.then(|| self.peers.hush(&key));
        let ended = self.context.registry.submit(caller, Deregister { key }).await;
        if ended.is_err()
            && let Some(told) = told
        {
            told.forget(&self.peers);
        }
        ended?;
        Ok(())
    }

    /// An instance as it is told by itself: with the time of its last sign of life.
    pub(crate) fn detail(&self, view: &InstanceView) -> InstanceInfo {
        let mut info = instance_to_wire(view);
        info.overridden = Some(overridden_to_wire(view).unwrap_or(Status::Unknown));
        if let (Some(lease), Some(kept)) = (&mut info.lease, &view.lease) {
            let left = self.context.registry.remaining(kept.id).unwrap_or(Duration::ZERO);
            let ago = kept.ttl.saturating_sub(left);
            let now = self.context.registry.now().wall_ms;
            lease.renewed = now.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX));
        }
        info
    }
}

/// After an override was taken away only the client knows its own status; registering again says it.
fn has_to_say_its_status(found: &InstanceView, gist: Gist) -> bool {
    gist.unknown && said_status(found, true) == Status::Unknown
}

/// A status that a peer has laid over an instance of which it has newer information.
fn news(beat: Beat, gist: Gist) -> Option<Status> {
    let is_newer = beat.dirty.zip(gist.dirty()).is_some_and(|(theirs, ours)| theirs > ours);
    beat.overridden.filter(|status| beat.by_peer && is_newer && *status != Status::Unknown)
}

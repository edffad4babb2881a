use std::time::Duration;

use http::StatusCode;
use switchboard_model::Name;
use switchboard_registry::plan::Deregister;
use switchboard_registry::{Caller, InstanceView};

use super::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::{Words, find, find_by_id, instance_to_wire, overridden_to_wire, said_status};
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

/// `PUT apps/{app}/{id}`: a heartbeat.
pub(crate) async fn renew(state: &State, ask: &Ask, app: &str, id: &str) -> Result<Answer, Refusal> {
    let beat = Beat {
        dirty: ask.dirty()?,
        overridden: ask.get("overriddenstatus").map(Status::read),
        by_peer: ask.by_peer,
    };
    match state.beat(&ask.caller, &ask.namespace, app, id, beat).await? {
        Heard::Renewed => Ok(Answer::ok()),
        Heard::Unknown => Ok(Answer::status(StatusCode::NOT_FOUND)),
        Heard::Older(info) => {
            Ok(Answer::said(ask.form, ask.form.instance(&info)).with_status(StatusCode::CONFLICT))
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
    pub(crate) async fn beat(
        &self,
        caller: &Caller,
        namespace: &Name,
        app: &str,
        id: &str,
        beat: Beat,
    ) -> Result<Heard, Refusal> {
        let view = self.context.registry.view(caller)?;
        let Some(found) = find(&view, namespace.as_str(), app, id) else { return Ok(Heard::Unknown) };
        let words = Words::of(&found.instance);
        // After an override was taken away only the client knows its own status; registering again says it.
        if words.unknown && said_status(found, &words) == Status::Unknown {
            return Ok(Heard::Unknown);
        }
        self.keep_alive(caller, found).await?;
        if !beat.by_peer {
            self.peers.relay(namespace, || Item {
                action: BatchAction::Heartbeat,
                app: app.to_owned(),
                id: id.to_owned(),
                dirty: words.born.as_ref().and_then(|born| born.dirty),
                status: Some(said_status(found, &words)),
                overridden: words.over,
                info: None,
            });
        }
        let known = words.born.as_ref().and_then(|born| born.dirty);
        match (beat.dirty, known) {
            (Some(theirs), Some(ours)) if theirs > ours => {
                if let Some(status) = beat.overridden.filter(|word| beat.by_peer && *word != Status::Unknown)
                {
                    let wish = Override { key: found.key().clone(), status, dirty: None, by_peer: true };
                    self.context.registry.submit(caller, wish).await?;
                }
                Ok(Heard::Unknown)
            }
            (Some(theirs), Some(ours)) if theirs < ours && beat.by_peer => {
                Ok(Heard::Older(Box::new(self.detail(found))))
            }
            _ => Ok(Heard::Renewed),
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
        if by_peer && Words::of(&found.instance).born.is_none() {
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

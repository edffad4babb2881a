use http::StatusCode;
use serde_json::{Map, Value, json};
use switchboard_model::Name;
use switchboard_registry::Caller;

use super::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::{all_in, id_to_wire, overridden_to_wire, services};
use crate::plan::{Override, Restore};
use crate::refusal::Refusal;
use crate::wire::{BatchAction, Dialect, Item, Status};

/// `PUT apps/{app}/{id}/status?value=`: a status that stays whatever the instance says.
pub(crate) async fn put(state: &State, ask: &Ask, app: &str, id: &str) -> Result<Answer, Refusal> {
    let word = ask.get("value").unwrap_or_default();
    let status = Status::parse(&word).ok_or_else(|| {
        let words = Status::ALL.map(Status::as_str).join(", ");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("value: {word:?} is none of {words}"))
    })?;
    let to = To { namespace: &ask.namespace, app, id, dirty: ask.dirty()?, by_peer: ask.by_peer };
    state.lay_over(&ask.caller, to, status).await?;
    Ok(Answer::ok())
}

/// `DELETE apps/{app}/{id}/status`: the instance has its own say again.
pub(crate) async fn delete(state: &State, ask: &Ask, app: &str, id: &str) -> Result<Answer, Refusal> {
    let status = ask.get("value").map_or(Status::Unknown, |word| Status::read(&word));
    let to = To { namespace: &ask.namespace, app, id, dirty: ask.dirty()?, by_peer: ask.by_peer };
    state.restore(&ask.caller, to, status).await?;
    Ok(Answer::ok())
}

/// Which instance, and who says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct To<'a> {
    pub(crate) namespace: &'a Name,
    pub(crate) app: &'a str,
    pub(crate) id: &'a str,
    pub(crate) dirty: Option<u64>,
    pub(crate) by_peer: bool,
}

impl State {
    pub(crate) async fn lay_over(&self, caller: &Caller, to: To<'_>, status: Status) -> Result<(), Refusal> {
        let found = self.find(caller, to.namespace, to.app, to.id)?;
        let key = found.key().clone();
        let wish = Override { key, status, dirty: to.dirty, by_peer: to.by_peer };
        self.context.registry.submit(caller, wish).await?;
        self.keep_alive(caller, &found).await?;
        self.tell(to, BatchAction::StatusUpdate, status);
        Ok(())
    }

    pub(crate) async fn restore(&self, caller: &Caller, to: To<'_>, status: Status) -> Result<(), Refusal> {
        let found = self.find(caller, to.namespace, to.app, to.id)?;
        let key = found.key().clone();
        let wish = Restore { key, status, dirty: to.dirty, by_peer: to.by_peer };
        self.context.registry.submit(caller, wish).await?;
        self.keep_alive(caller, &found).await?;
        self.tell(to, BatchAction::DeleteStatusOverride, status);
        Ok(())
    }

    fn tell(&self, to: To<'_>, action: BatchAction, status: Status) {
        if to.by_peer {
            return;
        }
        self.peers.relay(to.namespace, || Item {
            action,
            app: to.app.to_owned(),
            id: to.id.to_owned(),
            dirty: to.dirty.or(Some(self.context.registry.now().wall_ms)),
            status: Some(status),
            overridden: None,
            info: None,
        });
    }
}

/// `GET serverinfo/statusoverrides`: who has a status laid over it.
pub(crate) fn overrides(state: &State, ask: &Ask) -> Result<Answer, Refusal> {
    let view = state.view(ask)?;
    let mut all = Map::new();
    for instance in services(&view, ask.namespace.as_str()).flat_map(|service| all_in(service)) {
        if let Some(status) = overridden_to_wire(instance) {
            all.insert(id_to_wire(instance.key()), json!(status.as_str()));
        }
    }
    Ok(said(ask, "statusOverrides", Value::Object(all)))
}

/// `GET status`: about this server.
pub(crate) fn server(state: &State, ask: &Ask) -> Result<Answer, Refusal> {
    let view = state.view(ask)?;
    let tally = view.tally();
    let about = &state.context.about;
    let peers = state.peers.names().join(",");
    let hold = state.hold(&view);
    Ok(said(
        ask,
        "status",
        json!({
            "generalStats": {
                "version": about.version,
                "engine": about.engine,
                "server-uptime": format!("{} s", about.started.elapsed().as_secs()),
                "revision": view.revision().0,
            },
            "applicationStats": {
                "registered-replicas": peers,
                "available-replicas": state.peers.reachable().join(","),
                "unavailable-replicas": state.peers.unreachable().join(","),
                "instances": tally.instances,
                "served": tally.served,
                "kept-in-service-although-silent": tally.suspect,
                "lapsed": tally.lapsed,
            },
            "brake": {
                "state": if hold.is_holding { "holding" } else { "idle" },
                "reason": hold.reason,
            },
        }),
    ))
}

fn said(ask: &Ask, name: &str, value: Value) -> Answer {
    let body = match ask.form.dialect {
        Dialect::Json => value.to_string(),
        Dialect::Xml => {
            let mut out = String::new();
            crate::wire::tree_to_xml(&mut out, name, &value);
            out
        }
    };
    Answer::said(ask.form, body)
}

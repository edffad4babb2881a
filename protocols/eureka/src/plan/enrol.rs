use std::sync::Arc;
use std::time::Duration;

use switchboard_model::{Annex, Health, Instance, InstanceKey, Rejection};
use switchboard_registry::plan::{Intent, Keep, Planned, Register, Revive};
use switchboard_registry::{InstanceView, Now, Snapshot};

use super::status::{lifecycle, plan_check};
use crate::lens::{Gist, Given, Words, find, instance_from_wire, instance_to_wire, said_status};
use crate::wire::Status;

/// A registration, from a client or from a peer.
#[derive(Clone, Debug)]
pub(crate) struct Enrol {
    pub(crate) given: Given,
    pub(crate) linger: Duration,
    pub(crate) by_peer: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Enrolled {
    /// The registration is what is known now.
    Taken { key: Arc<InstanceKey> },
    /// What is known is newer by the provider's own clock, or belongs to another protocol: it stays.
    Kept { key: Arc<InstanceKey> },
}

impl Intent for Enrol {
    type Reply = Enrolled;

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<Enrolled>, Rejection> {
        let key = &self.given.instance.key;
        let before = find(at, key.namespace.as_str(), key.service.as_str(), key.id.as_str());
        if let Some(before) = before {
            let words = Words::of(&before.instance);
            match &words.born {
                None if self.by_peer || is_echo(before, &self.given) => {
                    return Ok(Planned { plan: Default::default(), reply: kept(before) });
                }
                Some(born) if is_alive(before) && born.dirty > self.given.born.dirty => {
                    return revive(at, now, before);
                }
                _ => {}
            }
        }
        self.take(at, now, before)
    }
}

fn kept(view: &InstanceView) -> Enrolled {
    Enrolled::Kept { key: view.key().clone() }
}

/// What has lapsed counts as evicted: it comes back as if it had never been there.
fn is_alive(view: &InstanceView) -> bool {
    view.health != Health::Lapsed
}

/// Somebody writes back what was read.
fn is_echo(view: &InstanceView, given: &Given) -> bool {
    let (key, shown) = (view.key(), instance_to_wire(view));
    instance_from_wire(&key.namespace, key.service.as_str(), shown).is_ok_and(|shown| shown == *given)
}

/// A registration is a sign of life, also when its words are old.
fn revive(at: &Snapshot, now: Now, view: &InstanceView) -> Result<Planned<Enrolled>, Rejection> {
    let leases = view.instance.lease.into_iter().collect();
    let planned = Revive { leases }.plan(at, now)?;
    Ok(Planned { plan: planned.plan, reply: kept(view) })
}

impl Enrol {
    fn take(
        &self,
        at: &Snapshot,
        now: Now,
        before: Option<&Arc<InstanceView>>,
    ) -> Result<Planned<Enrolled>, Rejection> {
        let Given { instance, born, ttl, .. } = &self.given;
        let alive = before.filter(|view| is_alive(view));
        let past = alive.map(|view| Words::of(&view.instance));
        let over = past.as_ref().and_then(|words| words.over).or(self.given.over);
        let status = self.status(alive, over);
        let mut words = Words {
            over,
            unknown: status == Status::Unknown,
            by_peer: self.by_peer,
            born: Some(born.clone()),
        };
        let own_annex = before.map_or_else(Annex::default, |view| view.instance.annex.clone());
        let key = before.map_or_else(|| instance.key.clone(), |view| view.key().clone());
        let state = lifecycle(status, alive.map(|view| view.instance.lifecycle));
        let with = |words: &Words| -> Result<Instance, Rejection> {
            Ok(Instance {
                key: key.clone(),
                lifecycle: state,
                annex: words.annex(&own_annex)?,
                lease: before.and_then(|view| view.instance.lease),
                ..instance.clone()
            })
        };
        // What is said again keeps the times of when it was said first, so that it is no news.
        let past_born = past.as_ref().and_then(|words| words.born.as_ref());
        if let Some(born) = &mut words.born {
            born.registered = past_born.map_or(now.wall_ms, |past| past.registered);
            born.updated = past_born.map_or(now.wall_ms, |past| past.updated);
            born.up_since = past_born.map_or(0, |past| past.up_since);
        }
        let same = before.map(|view| with(&words).map(|said| (said == view.instance.value).then_some(said)));
        let instance = match same.transpose()?.flatten() {
            Some(same) => same,
            None => {
                if let Some(born) = &mut words.born {
                    born.updated = now.wall_ms;
                    if status == Status::Up && born.up_since == 0 {
                        born.up_since = now.wall_ms;
                    }
                }
                with(&words)?
            }
        };
        let register =
            Register { instance, checks: None, keep: Keep::Ttl { ttl: *ttl, linger: self.linger } };
        let mut planned = register.plan(at, now)?;
        let key = planned.reply.key;
        plan_check(&mut planned.plan, at, now, &key, status)?;
        Ok(Planned { plan: planned.plan, reply: Enrolled::Taken { key } })
    }

    /// Eureka's rules, the first that fits.
    fn status(&self, alive: Option<&Arc<InstanceView>>, over: Option<Status>) -> Status {
        let said = self.given.status;
        if !matches!(said, Status::Up | Status::OutOfService) {
            return said;
        }
        if let Some(over) = over {
            return over;
        }
        match alive.map(|view| said_status(view, Gist::of(&view.instance).unknown)) {
            Some(known @ (Status::Up | Status::OutOfService)) if !self.by_peer => known,
            _ => said,
        }
    }
}

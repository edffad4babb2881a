use std::sync::Arc;

use switchboard_model::{Instance, InstanceKey, Lifecycle, Noun, Record, Rejection};
use switchboard_registry::plan::{Intent, Plan, Planned};
use switchboard_registry::{Now, Snapshot};

use super::status::{lifecycle, plan_check};
use crate::lens::{Words, said_status};
use crate::wire::Status;

/// Lays a status over an instance, which stays whatever its provider says.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub(crate) key: Arc<InstanceKey>,
    pub(crate) status: Status,
    pub(crate) dirty: Option<u64>,
    pub(crate) by_peer: bool,
}

impl Intent for Override {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        write(at, now, &self.key, self.dirty, self.by_peer, |words, said, _| {
            if said == self.status {
                return None;
            }
            words.over = Some(self.status);
            Some(self.status)
        })
    }
}

/// Takes away what was laid over. What the provider wants is then `status` until it says so itself.
#[derive(Clone, Debug)]
pub(crate) struct Restore {
    pub(crate) key: Arc<InstanceKey>,
    pub(crate) status: Status,
    pub(crate) dirty: Option<u64>,
    pub(crate) by_peer: bool,
}

impl Intent for Restore {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        write(at, now, &self.key, self.dirty, self.by_peer, |words, _, is_foreign| {
            words.over.take()?;
            // Nobody would ever say what the status of an instance is that no Eureka client registered.
            Some(if is_foreign && self.status == Status::Unknown { Status::Up } else { self.status })
        })
    }
}

/// `decide` says from the words, the status that was wanted, and whether another protocol registered the instance, which
/// status is wanted now; None: nothing changes.
fn write(
    at: &Snapshot,
    now: Now,
    key: &Arc<InstanceKey>,
    dirty: Option<u64>,
    by_peer: bool,
    decide: impl FnOnce(&mut Words, Status, bool) -> Option<Status>,
) -> Result<Planned<()>, Rejection> {
    let view = at.instance(key).ok_or_else(|| Rejection::not_found(Noun::Instance, &key.id))?;
    let mut words = Words::of(&view.instance);
    let said = said_status(view, words.unknown);
    let is_foreign = words.born.is_none();
    let mut plan = Plan::default();
    let Some(status) = decide(&mut words, said, is_foreign) else { return Ok(Planned { plan, reply: () }) };
    words.unknown = status == Status::Unknown;
    words.by_peer = by_peer;
    if let Some(born) = &mut words.born {
        born.dirty = born.dirty.max(dirty);
        born.updated = now.wall_ms;
        if status == Status::Up {
            born.up_since = now.wall_ms;
        }
    }
    let instance = &view.instance.value;
    let before: Option<Lifecycle> = Some(instance.lifecycle);
    let after = Instance {
        lifecycle: lifecycle(status, before),
        annex: words.annex(&instance.annex)?,
        ..instance.clone()
    };
    let record = Record::Instance(after);
    if !at.says(&record) {
        plan.put(record);
    }
    plan_check(&mut plan, at, now, view.key(), status)?;
    Ok(Planned { plan, reply: () })
}

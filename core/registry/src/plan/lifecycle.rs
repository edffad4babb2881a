use std::sync::Arc;

use switchboard_model::{Instance, InstanceKey, Lifecycle, Noun, Record, Rejection};
use switchboard_store::Plan;

use super::{Intent, Planned, put_changed};
use crate::clock::Now;
use crate::snapshot::Snapshot;

/// Drains an instance, takes it out of service, or brings it up again.
#[derive(Clone, Debug)]
pub struct SetLifecycle {
    pub key: Arc<InstanceKey>,
    pub lifecycle: Lifecycle,
}

impl Intent for SetLifecycle {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        let view =
            at.instance(&self.key).ok_or_else(|| Rejection::not_found(Noun::Instance, &self.key.id))?;
        let mut plan = Plan::default();
        let instance = Instance { lifecycle: self.lifecycle, ..view.instance.value.clone() };
        put_changed(&mut plan, at, Record::Instance(instance));
        Ok(Planned { plan, reply: () })
    }
}

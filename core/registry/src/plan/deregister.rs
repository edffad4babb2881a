use std::sync::Arc;

use switchboard_model::{InstanceKey, Noun, Rejection};
use switchboard_store::Plan;

use super::{Intent, Planned, delete_instance};
use crate::clock::Now;
use crate::snapshot::Snapshot;

/// Takes an instance out, with its checks and its own lease. Never braked: somebody said so.
#[derive(Clone, Debug)]
pub struct Deregister {
    pub key: Arc<InstanceKey>,
}

impl Intent for Deregister {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        if at.instance(&self.key).is_none() {
            return Err(Rejection::not_found(Noun::Instance, &self.key.id));
        }
        let mut plan = Plan::default();
        delete_instance(&mut plan, at, &self.key);
        Ok(Planned { plan, reply: () })
    }
}

use std::sync::Arc;

use switchboard_model::{LeaseId, Rejection};
use switchboard_registry::plan::{Plan, Revoke};
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use super::permit::Who;
use crate::lens::keys::Keys;
use crate::lens::projection::Projections;
use crate::refusal::Refusal;

/// Ends a lease for somebody who may write all that goes with it.
#[derive(Clone, Debug)]
pub(crate) struct RevokeFor {
    pub(crate) who: Who,
    pub(crate) lease: LeaseId,
    pub(crate) projections: Arc<Projections>,
}

impl Intent for RevokeFor {
    type Reply = Result<(), Refusal>;

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<Self::Reply>, Rejection> {
        let keys = Keys { at, projections: &self.projections };
        if let Err(refusal) = self.who.rights(at).to_use_lease(keys, self.lease) {
            return Ok(Planned { plan: Plan::default(), reply: Err(refusal) });
        }
        let Planned { plan, reply: () } = Revoke { id: self.lease }.plan(at, now)?;
        Ok(Planned { plan, reply: Ok(()) })
    }
}

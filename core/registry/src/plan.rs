//! Intents: wishes with a pure plan. The common ones live here; a protocol with odd transactions writes its own
//! [`Intent`] in its own folder.

mod check;
mod deregister;
mod entry;
mod lease;
mod lifecycle;
mod node;
mod register;
mod replace;
mod steps;

use switchboard_model::{Record, RecordKey, Rejection};
pub use switchboard_store::{Plan, Write};

use crate::clock::Now;
use crate::snapshot::Snapshot;

pub(crate) use check::cut;
pub use check::{DeleteCheck, PutCheck, Report, Reporter};
pub use deregister::Deregister;
pub use entry::{DeleteEntry, PutEntry};
pub use lease::{Expire, Expiry, Grant, Judge, Retire, Revive, Revoke};
pub use lifecycle::SetLifecycle;
pub use node::{DeleteNode, PutNode};
pub use register::{Keep, Register, Registered};
pub use replace::{ReplaceAll, Replaced};
pub use steps::Steps;

/// A wish. `plan` may be called more than once, and only the last answer counts.
pub trait Intent: Send + 'static {
    type Reply: Send + 'static;

    /// What would have to be written for the wish to come true at this moment. A plan without writes means that it
    /// is true already: no commit is made.
    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<Self::Reply>, Rejection>;
}

#[derive(Clone, Debug, Default)]
pub struct Planned<R> {
    pub plan: Plan,
    pub reply: R,
}

/// Writes the record unless it is there already, word for word: no one is woken for nothing.
fn put_changed(plan: &mut Plan, at: &Snapshot, record: Record) {
    if !at.says(&record) {
        plan.put(record);
    }
}

/// Removes an instance with its checks and the lease that was granted only for it.
fn delete_instance(plan: &mut Plan, at: &Snapshot, key: &std::sync::Arc<switchboard_model::InstanceKey>) {
    let Some(view) = at.instance(key) else { return };
    for check in &view.checks {
        plan.delete(RecordKey::Check(check.key.clone()));
    }
    plan.delete(RecordKey::Instance(view.key().clone()));
    if let Some(lease) = &view.lease
        && lease.implicit
    {
        plan.delete(RecordKey::Lease(lease.id));
    }
}

use std::sync::Arc;

use switchboard_model::{
    Annex, Check, CheckKey, Id, InstanceKey, Lifecycle, Owner, Probe, Record, RecordKey, Rejection,
    Status as Verdict, Thresholds,
};
use switchboard_registry::plan::Plan;
use switchboard_registry::{Now, Snapshot};

use crate::lens::STATUS_CHECK;
use crate::wire::Status;

/// The lifecycle that a status means. What drains already is out of service in a gentler way: it goes on draining.
pub(super) fn lifecycle(status: Status, before: Option<Lifecycle>) -> Lifecycle {
    match (status, before) {
        (Status::OutOfService, Some(Lifecycle::Draining)) => Lifecycle::Draining,
        (Status::OutOfService, _) => Lifecycle::OutOfService,
        (Status::Starting, _) => Lifecycle::Starting,
        (Status::Up | Status::Down | Status::Unknown, _) => Lifecycle::Up,
    }
}

/// Puts the check that says DOWN or UNKNOWN, or takes it away.
pub(super) fn plan_check(
    plan: &mut Plan,
    at: &Snapshot,
    now: Now,
    owner: &Arc<InstanceKey>,
    status: Status,
) -> Result<(), Rejection> {
    let key = CheckKey { owner: Owner::Instance(owner.clone()), id: Id::parse("check", STATUS_CHECK)? };
    let before = at.check(&key);
    if !matches!(status, Status::Down | Status::Unknown) {
        if before.is_some() {
            plan.delete(RecordKey::Check(key));
        }
        return Ok(());
    }
    let output = format!("its status is {}", status.as_str()).into();
    let mut check = Check {
        key,
        name: "Eureka status".into(),
        notes: "".into(),
        probe: Probe::Manual,
        interval: std::time::Duration::ZERO,
        timeout: std::time::Duration::ZERO,
        thresholds: Thresholds { unhealthy: 1, healthy: 1 },
        status: Verdict::Critical,
        output,
        since_ms: now.wall_ms,
        suspect: false,
        deregister_after: None,
        annex: Annex::default(),
    };
    if let Some(before) = before {
        check.since_ms = before.since_ms;
    }
    let record = Record::Check(check);
    if !at.says(&record) {
        plan.put(record);
    }
    Ok(())
}

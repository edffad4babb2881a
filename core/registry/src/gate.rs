use std::fmt;

use switchboard_model::{Check, CheckKey, Instance, Node, Owner, Record, RecordKey, Rejection};
use switchboard_store::{Plan, Write};

use crate::caller::Caller;
use crate::snapshot::Snapshot;

/// Looks at what a caller is about to write, whichever protocol it speaks, and may refuse. It sees the effect and
/// not the request: whatever a protocol makes of its words, the record that would be kept is judged.
pub trait Gate: Send + Sync + 'static {
    /// `owner` is the address that the check's owner has, if it has one.
    fn check(&self, caller: &Caller, check: &Check, owner: Option<&str>) -> Result<(), Rejection>;

    fn instance(&self, _caller: &Caller, _instance: &Instance) -> Result<(), Rejection> {
        Ok(())
    }

    fn node(&self, _caller: &Caller, _node: &Node) -> Result<(), Rejection> {
        Ok(())
    }
}

/// Lets everything through.
#[derive(Clone, Copy, Debug)]
pub struct OpenGate;

impl Gate for OpenGate {
    fn check(&self, _: &Caller, _: &Check, _: Option<&str>) -> Result<(), Rejection> {
        Ok(())
    }
}

impl fmt::Debug for dyn Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

/// Asks the gate about every record that the plan would keep, and about the checks that would look elsewhere because
/// their owner moves.
pub(crate) fn admit(gate: &dyn Gate, caller: &Caller, plan: &Plan, at: &Snapshot) -> Result<(), Rejection> {
    for write in &plan.writes {
        match write {
            Write::Put(Record::Check(check)) => {
                gate.check(caller, check, address(plan, at, &check.key.owner))?;
            }
            Write::Put(Record::Instance(instance)) => {
                gate.instance(caller, instance)?;
                let owner = Owner::Instance(instance.key.clone());
                moved(gate, caller, plan, at, &owner, &instance.address)?;
            }
            Write::Put(Record::Node(node)) => {
                gate.node(caller, node)?;
                moved(gate, caller, plan, at, &Owner::Node(node.key.clone()), &node.address)?;
            }
            Write::Put(Record::Lease(_) | Record::Entry(_)) | Write::Delete(_) => {}
        }
    }
    Ok(())
}

/// The checks that an owner keeps while its address changes are judged as if they were registered there.
fn moved(
    gate: &dyn Gate,
    caller: &Caller,
    plan: &Plan,
    at: &Snapshot,
    owner: &Owner,
    to: &str,
) -> Result<(), Rejection> {
    let checks = at.checks_of(owner);
    if checks.is_empty() || kept_address(at, owner) == Some(to) {
        return Ok(());
    }
    let written =
        |key: &CheckKey| plan.writes.iter().any(|write| write.key() == RecordKey::Check(key.clone()));
    checks
        .iter()
        .filter(|check| !written(&check.key))
        .try_for_each(|check| gate.check(caller, check, Some(to)))
}

/// Where the owner of a check will be once the plan is kept.
fn address<'a>(plan: &'a Plan, at: &'a Snapshot, owner: &Owner) -> Option<&'a str> {
    let written = plan.writes.iter().find_map(|write| match (write, owner) {
        (Write::Put(Record::Instance(instance)), Owner::Instance(key)) if instance.key == *key => {
            Some(&*instance.address)
        }
        (Write::Put(Record::Node(node)), Owner::Node(key)) if node.key == *key => Some(&*node.address),
        _ => None,
    });
    written.or_else(|| kept_address(at, owner))
}

fn kept_address<'a>(at: &'a Snapshot, owner: &Owner) -> Option<&'a str> {
    match owner {
        Owner::Instance(key) => Some(&*at.instance(key)?.instance.address),
        Owner::Node(key) => Some(&*at.node(key)?.facts.node.as_ref()?.address),
    }
}

use std::collections::HashMap;
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
    let written = Written::of(plan);
    for write in &plan.writes {
        match write {
            Write::Put(Record::Check(check)) => {
                gate.check(caller, check, written.address(at, &check.key.owner))?;
            }
            Write::Put(Record::Instance(instance)) => {
                gate.instance(caller, instance)?;
                let owner = Owner::Instance(instance.key.clone());
                moved(gate, caller, &written, at, &owner, &instance.address)?;
            }
            Write::Put(Record::Node(node)) => {
                gate.node(caller, node)?;
                moved(gate, caller, &written, at, &Owner::Node(node.key.clone()), &node.address)?;
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
    written: &Written<'_>,
    at: &Snapshot,
    owner: &Owner,
    to: &str,
) -> Result<(), Rejection> {
    let checks = at.checks_of(owner);
    if checks.is_empty() || kept_address(at, owner) == Some(to) {
        return Ok(());
    }
    checks
        .iter()
        .filter(|check| !written.has_check(&check.key))
        .try_for_each(|check| gate.check(caller, check, Some(to)))
}

/// What a plan writes. Plans of many records are asked about each of them, so these are looked up.
enum Written<'a> {
    Few(&'a [Write]),
    Many(HashMap<RecordKey, &'a Write>),
}

impl<'a> Written<'a> {
    const FEW: usize = 16;

    fn of(plan: &'a Plan) -> Written<'a> {
        match plan.writes.len() {
            0..=Written::FEW => Written::Few(&plan.writes),
            _ => Written::Many(plan.writes.iter().map(|write| (write.key(), write)).collect()),
        }
    }

    fn get(&self, key: &RecordKey) -> Option<&'a Write> {
        match self {
            Written::Few(writes) => writes.iter().find(|write| write.key() == *key),
            Written::Many(writes) => writes.get(key).copied(),
        }
    }

    fn has_check(&self, key: &CheckKey) -> bool {
        self.get(&RecordKey::Check(key.clone())).is_some()
    }

    /// Where the owner of a check will be once the plan is kept.
    fn address<'b>(&self, at: &'b Snapshot, owner: &Owner) -> Option<&'b str>
    where
        'a: 'b,
    {
        let key = match owner {
            Owner::Instance(key) => RecordKey::Instance(key.clone()),
            Owner::Node(key) => RecordKey::Node(key.clone()),
        };
        match self.get(&key) {
            Some(Write::Put(Record::Instance(instance))) => Some(&*instance.address),
            Some(Write::Put(Record::Node(node))) => Some(&*node.address),
            _ => kept_address(at, owner),
        }
    }
}

fn kept_address<'a>(at: &'a Snapshot, owner: &Owner) -> Option<&'a str> {
    match owner {
        Owner::Instance(key) => Some(&*at.instance(key)?.instance.address),
        Owner::Node(key) => Some(&*at.node(key)?.facts.node.as_ref()?.address),
    }
}

use std::fmt;

use switchboard_model::{Check, Instance, Node, Rejection};

use crate::caller::Caller;

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

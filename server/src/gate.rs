use switchboard_health::{Config, Policy};
use switchboard_model::{Check, Rejection};
use switchboard_registry::{Caller, Gate};

/// Has the health checker's policy judge every check that anyone is about to register, through whichever protocol.
pub(crate) struct ProbeGate(Policy);

impl ProbeGate {
    pub(crate) fn new(config: &Config) -> ProbeGate {
        ProbeGate(Policy::new(config))
    }
}

impl Gate for ProbeGate {
    fn check(&self, caller: &Caller, check: &Check, owner: Option<&str>) -> Result<(), Rejection> {
        // An owner without an address can only be probed where the check itself says.
        self.0.admit_check(caller, owner.unwrap_or_default(), check)
    }
}

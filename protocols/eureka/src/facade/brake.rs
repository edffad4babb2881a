use switchboard_registry::{Snapshot, Tally};

use super::State;

/// Whether a mass loss is being held back just now, and why, in a sentence for people.
pub(crate) struct Hold {
    pub(crate) is_holding: bool,
    pub(crate) reason: String,
}

impl State {
    pub(crate) fn hold(&self, at: &Snapshot) -> Hold {
        let Tally { kept, suspect, .. } = at.tally();
        let brake = self.context.registry.brake();
        let share = brake.share * 100.0;
        let reason = if suspect > 0 {
            format!(
                "{suspect} instances are kept in service although they fell silent or fail their probes: more than \
                 {share:.0} % of the {kept} that are kept by heartbeats or probes would have been lost within a minute, \
                 which says more about this server or its network than about them. It ends by itself, at that pace, or as \
                 soon as they are heard of again."
            )
        } else {
            format!(
                "Every instance is told as it is. Should more than {share:.0} % of the {kept} instances that are kept by \
                 heartbeats or probes fall silent within a minute, and at least {}, the rest would be kept in service.",
                brake.at_least
            )
        };
        Hold { is_holding: suspect > 0, reason }
    }
}

use switchboard_model::Rejection;
use switchboard_registry::plan::Plan;
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use super::permit::Who;
use crate::lens::alarms::Alarm;
use crate::refusal::Refusal;

/// Raises an alarm, or disarms it. Replies with the alarm that is on, or that was: one that is raised twice is on, and one
/// that was not on is nothing.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    pub(crate) who: Who,
    pub(crate) alarm: Alarm,
    pub(crate) on: bool,
}

impl Intent for Sound {
    type Reply = Result<Option<Alarm>, Refusal>;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<Self::Reply>, Rejection> {
        let Sound { who, alarm, on } = self;
        let mut plan = Plan::default();
        if let Err(refusal) = who.is_root(at) {
            return Ok(Planned { plan, reply: Err(refusal) });
        }
        let was_on = alarm.is_on(at);
        if was_on != *on {
            plan.writes.push(if *on { alarm.raise() } else { alarm.disarm() });
        }
        Ok(Planned { plan, reply: Ok((*on || was_on).then_some(*alarm)) })
    }
}

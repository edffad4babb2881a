use switchboard_model::Rejection;
use switchboard_registry::plan::{Plan, Write};
use switchboard_registry::{Intent, Now, Planned, Snapshot};

/// Writes these, whatever is there.
#[derive(Clone, Debug)]
pub(crate) struct Bring(pub(crate) Vec<Write>);

impl Intent for Bring {
    type Reply = ();

    fn plan(&self, _at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        Ok(Planned { plan: Plan { writes: self.0.clone(), ..Plan::default() }, reply: () })
    }
}

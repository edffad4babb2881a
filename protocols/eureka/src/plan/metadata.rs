use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_model::{Instance, InstanceKey, Metadata, Noun, Record, Rejection};
use switchboard_registry::plan::{Intent, Plan, Planned};
use switchboard_registry::{Now, Snapshot};

use crate::lens::{Words, weight, zone};

/// Adds pairs to an instance's metadata; those of the same key are replaced.
#[derive(Clone, Debug)]
pub(crate) struct AddMetadata {
    pub(crate) key: Arc<InstanceKey>,
    pub(crate) pairs: Vec<(String, String)>,
}

impl Intent for AddMetadata {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let view =
            at.instance(&self.key).ok_or_else(|| Rejection::not_found(Noun::Instance, &self.key.id))?;
        let instance = &view.instance.value;
        let known = instance.metadata.iter().map(|(key, value)| (key.clone(), value.clone()));
        let mut all: BTreeMap<Arc<str>, Arc<str>> = known.collect();
        for (key, value) in &self.pairs {
            all.insert(key.as_str().into(), value.as_str().into());
        }
        let metadata = Metadata::new(all)?;
        let mut plan = Plan::default();
        if metadata == instance.metadata {
            return Ok(Planned { plan, reply: () });
        }
        let mut words = Words::of(instance);
        words.by_peer = false;
        if let Some(born) = &mut words.born {
            born.updated = now.wall_ms;
        }
        let zone = zone(&metadata).map(Arc::from).or_else(|| instance.zone.clone());
        let weight = weight(&metadata).unwrap_or(instance.weight);
        let annex = words.annex(&instance.annex)?;
        plan.put(Record::Instance(Instance { metadata, zone, weight, annex, ..instance.clone() }));
        Ok(Planned { plan, reply: () })
    }
}

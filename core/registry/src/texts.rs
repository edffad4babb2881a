use std::collections::HashSet;
use std::sync::Arc;

use switchboard_model::Record;
use switchboard_store::{Plan, Write};

/// One copy of each text that instances have in common: versions, regions, tags. A million instances with the same
/// four words in their metadata would otherwise hold four million allocations.
#[derive(Debug, Default)]
pub(crate) struct Texts(HashSet<Arc<str>, foldhash::fast::RandomState>);

impl Texts {
    /// Longer text is hardly ever the same twice.
    const LONGEST: usize = 48;
    /// When this many are known they are forgotten and learnt anew, so that texts nobody uses any more go away.
    const MAX: usize = 16_384;

    /// Lets the records of a plan share their text. Changes no word of it.
    pub(crate) fn share(&mut self, plan: &mut Plan) {
        for write in &mut plan.writes {
            if let Write::Put(Record::Instance(instance)) = write {
                instance.share(&mut |text| self.one(text));
            }
        }
    }

    fn one(&mut self, text: &mut Arc<str>) {
        if text.len() > Texts::LONGEST {
            return;
        }
        if let Some(known) = self.0.get(text) {
            *text = known.clone();
            return;
        }
        if self.0.len() >= Texts::MAX {
            self.0.clear();
        }
        self.0.insert(text.clone());
    }
}

//! Answers that only say that something is somewhere else, and what follows them.

use super::Answer;
use crate::wire::{DomainName, Owner, Sheaf, SheafBuilder, cname_target};

/// Records behind an alias at most.
pub(crate) const MOST: usize = 32;

/// Where the first record leads, if it is an alias.
pub(crate) fn target(sheaf: &Sheaf) -> Option<DomainName> {
    cname_target(sheaf.get(0)?.body)
}

/// One record of it, at random.
pub(super) fn one_of(sheaf: &Sheaf) -> Sheaf {
    let mut one = SheafBuilder::default();
    if let Some(record) = sheaf.get(fastrand::usize(..sheaf.len().max(1))) {
        one.add_alone(record.owner, record.body);
    }
    one.build()
}

impl Answer {
    /// Type, class, TTL and data of each answer.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.answers.len()).filter_map(|index| self.answers.get(index)).map(|record| record.body)
    }

    /// The alias, and behind it what is found where it leads.
    pub(crate) fn followed_by(self, found: &[Vec<u8>]) -> Answer {
        let mut records = SheafBuilder::default();
        self.bodies().for_each(|body| records.add_alone(Owner::Question, body));
        found.iter().take(MOST).for_each(|body| records.add_alone(Owner::Previous, body));
        Answer { answers: records.build(), alias: None, shuffled: false, ..self }
    }
}

//! Answers that only say that something is somewhere else.

use crate::wire::{DomainName, Sheaf, SheafBuilder, cname_target};

/// Where the first record leads, if it is an alias.
pub(super) fn target(sheaf: &Sheaf) -> Option<DomainName> {
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

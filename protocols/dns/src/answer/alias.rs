//! Answers that only say that something is somewhere else.

use domain::base::iana::Rtype;

use super::Answer;
use crate::wire::{DomainName, Owner, Sheaf, SheafBuilder, cname_target};

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

/// The alias, and then what is found where it leads.
pub(crate) fn append(alias: &Answer, found: &[(Owner, Vec<u8>)]) -> Sheaf {
    let mut records = SheafBuilder::default();
    for record in (0..alias.answers.len()).filter_map(|index| alias.answers.get(index)) {
        records.add_alone(record.owner, record.body);
    }
    found.iter().for_each(|(owner, body)| records.add_alone(*owner, body));
    records.build()
}

/// The records of an answer about the name that an alias leads to, as they follow the alias.
pub(crate) fn into(answer: &Answer, qtype: Rtype) -> Vec<(Owner, Vec<u8>)> {
    let _ = qtype;
    let records = (0..answer.answers.len()).filter_map(|index| answer.answers.get(index));
    records.map(|record| (Owner::Previous, record.body.to_vec())).collect()
}

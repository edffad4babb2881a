use bytes::Bytes;

/// Records of one answer, encoded once: the answers to be chosen from, each with what goes along with it.
///
/// In bytes, so that it can lie beside the service that it was made from: the number of records, the place of each, and
/// the records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheaf(Bytes);

/// Whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The name that was asked for.
    Question,
    /// The domain that the name is in.
    Domain,
    /// The name that the record which it goes along with leads to.
    Target,
    /// The name that the record before it leads to.
    Previous,
}

/// A record to be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sheared<'a> {
    pub(crate) owner: Owner,
    /// Records of one group have the same things going along with them.
    pub(crate) group: usize,
    /// Type, class, TTL and data.
    pub(crate) body: &'a [u8],
    pub(super) extras: &'a [u8],
}

impl Sheaf {
    pub(crate) fn from_bytes(bytes: Bytes) -> Sheaf {
        Sheaf(bytes)
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.0
    }

    pub(crate) fn len(&self) -> usize {
        number(&self.0, 0).unwrap_or(0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, index: usize) -> Option<Sheared<'_>> {
        if index >= self.len() {
            return None;
        }
        let mut at = self.0.get(number(&self.0, 4 + 4 * index)?..)?;
        let owner = owner(take(&mut at, 1)?)?;
        let group = number(take(&mut at, 4)?, 0)?;
        let body = lengthy(&mut at)?;
        let extras = take_lengthy_wide(&mut at)?;
        Some(Sheared { owner, group, body, extras })
    }
}

impl<'a> Sheared<'a> {
    /// The records that go along with it, each with its owner.
    pub(crate) fn extras(&self) -> impl Iterator<Item = (Owner, &'a [u8])> + use<'a> {
        let mut at = self.extras;
        std::iter::from_fn(move || Some((owner(take(&mut at, 1)?)?, lengthy(&mut at)?)))
    }
}

/// Puts a sheaf together.
#[derive(Debug, Default)]
pub(crate) struct SheafBuilder {
    places: Vec<usize>,
    records: Vec<u8>,
}

impl SheafBuilder {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn add(&mut self, owner: Owner, group: usize, body: &[u8], extras: &[(Owner, Vec<u8>)]) {
        self.places.push(self.records.len());
        self.records.push(code(owner));
        self.records.extend(narrow(group).to_be_bytes());
        push_lengthy(&mut self.records, body);
        let mut along = Vec::new();
        for (owner, body) in extras {
            along.push(code(*owner));
            push_lengthy(&mut along, body);
        }
        self.records.extend(narrow(along.len()).to_be_bytes());
        self.records.extend(along);
    }

    /// One that shares nothing with the others.
    pub(crate) fn add_alone(&mut self, owner: Owner, body: &[u8]) {
        self.add(owner, self.places.len(), body, &[]);
    }

    pub(crate) fn build(self) -> Sheaf {
        if self.places.is_empty() {
            return Sheaf::default();
        }
        let head = 4 + 4 * self.places.len();
        let mut bytes = Vec::with_capacity(head + self.records.len());
        bytes.extend(narrow(self.places.len()).to_be_bytes());
        self.places.iter().for_each(|place| bytes.extend(narrow(head + place).to_be_bytes()));
        bytes.extend(self.records);
        Sheaf(bytes.into())
    }
}

fn code(owner: Owner) -> u8 {
    match owner {
        Owner::Question => 0,
        Owner::Domain => 1,
        Owner::Target => 2,
        Owner::Previous => 3,
    }
}

fn owner(code: &[u8]) -> Option<Owner> {
    match code {
        [0] => Some(Owner::Question),
        [1] => Some(Owner::Domain),
        [2] => Some(Owner::Target),
        [3] => Some(Owner::Previous),
        _ => None,
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

fn take<'a>(at: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = at.split_at_checked(length)?;
    *at = rest;
    Some(taken)
}

fn push_lengthy(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn lengthy<'a>(at: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(at, 2)?.first_chunk().copied().map(u16::from_be_bytes)?;
    take(at, usize::from(length))
}

fn take_lengthy_wide<'a>(at: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(take(at, 4)?, 0)?;
    take(at, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there() {
        let mut builder = SheafBuilder::default();
        builder.add(Owner::Question, 7, b"srv", &[(Owner::Target, b"a".to_vec()), (Owner::Question, vec![])]);
        builder.add_alone(Owner::Domain, b"ns");
        let sheaf = Sheaf::from_bytes(builder.build().into_bytes());
        assert_eq!(sheaf.len(), 2);
        let first = sheaf.get(0).unwrap();
        assert_eq!((first.owner, first.group, first.body), (Owner::Question, 7, b"srv".as_slice()));
        let extras: Vec<_> = first.extras().collect();
        assert_eq!(extras, [(Owner::Target, b"a".as_slice()), (Owner::Question, b"".as_slice())]);
        let second = sheaf.get(1).unwrap();
        assert_eq!((second.owner, second.group, second.extras().count()), (Owner::Domain, 1, 0));
        assert!(sheaf.get(2).is_none());
        assert!(Sheaf::default().is_empty());
    }
}

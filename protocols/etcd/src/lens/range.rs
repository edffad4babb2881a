use std::ops::Bound;

use bytes::Bytes;

/// Keys from `start` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) start: Bytes,
    pub(crate) end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// `start` and nothing else.
    Only,
    Before(Bytes),
    /// To the last key.
    Open,
}

impl KeyRange {
    /// An end of one zero byte means to the last key.
    pub(crate) fn from_wire(key: &Bytes, range_end: &Bytes) -> KeyRange {
        let end = match &**range_end {
            [] => End::Only,
            [0] => End::Open,
            _ => End::Before(range_end.clone()),
        };
        KeyRange { start: key.clone(), end }
    }

    pub(crate) fn prefix(prefix: &[u8]) -> KeyRange {
        let end = after_prefix(prefix).map_or(End::Open, |end| End::Before(end.into()));
        KeyRange { start: Bytes::copy_from_slice(prefix), end }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            End::Only => key == self.start,
            End::Before(end) => key >= &*self.start && key < &**end,
            End::Open => key >= &*self.start,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.end, End::Before(end) if *end <= self.start)
    }

    /// Whether a key with this prefix can be in the range.
    pub(crate) fn meets_prefix(&self, prefix: &[u8]) -> bool {
        let reaches = match &self.end {
            End::Only => self.start.starts_with(prefix),
            End::Before(end) => &**end > prefix,
            End::Open => true,
        };
        reaches && (self.start.starts_with(prefix) || &*self.start < prefix)
    }

    /// Whether every key in the range has this prefix.
    pub(crate) fn is_within_prefix(&self, prefix: &[u8]) -> bool {
        self.start.starts_with(prefix)
            && match &self.end {
                End::Only => true,
                End::Before(end) => {
                    end.starts_with(prefix) || after_prefix(prefix).is_some_and(|after| **end <= *after)
                }
                End::Open => after_prefix(prefix).is_none(),
            }
    }

    /// The first key that is past the range; None: there is none.
    pub(crate) fn end(&self) -> Option<Bytes> {
        match &self.end {
            End::Only => Some([&self.start, &[0][..]].concat().into()),
            End::Before(end) => Some(end.clone()),
            End::Open => None,
        }
    }

    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let end = match &self.end {
            End::Only => Bound::Included(&*self.start),
            End::Before(end) => Bound::Excluded(&**end),
            End::Open => Bound::Unbounded,
        };
        (Bound::Included(&self.start), end)
    }
}

/// The first key after all keys with this prefix. None: there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(key: &'static str, end: &'static str) -> KeyRange {
        KeyRange::from_wire(&Bytes::from_static(key.as_bytes()), &Bytes::from_static(end.as_bytes()))
    }

    #[test]
    fn an_end_of_one_zero_byte_means_to_the_last_key() {
        assert!(range("a", "").contains(b"a") && !range("a", "").contains(b"b"));
        assert!(range("a", "c").contains(b"b") && !range("a", "c").contains(b"c"));
        assert!(range("b", "\0").contains(b"z") && !range("b", "\0").contains(b"a"));
        assert!(range("b", "a").is_empty() && range("b", "b").is_empty() && !range("b", "").is_empty());
    }

    #[test]
    fn the_last_byte_of_a_prefix_is_carried() {
        assert_eq!(after_prefix(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(after_prefix(b"\xff\xff"), None);
        assert_eq!(KeyRange::prefix(b"\xff").end, End::Open);
    }

    #[test]
    fn ranges_meet_and_keep_to_prefixes() {
        let meets = |key, end, expected: (bool, bool)| {
            let range = range(key, end);
            assert_eq!((range.meets_prefix(b"/s/"), range.is_within_prefix(b"/s/")), expected, "{range:?}");
        };
        meets("/s/a", "", (true, true));
        meets("/s/", "/s0", (true, true));
        meets("/s/a", "/s/b", (true, true));
        meets("/", "0", (true, false));
        meets("\0", "\0", (true, false));
        meets("/r", "/s/", (false, false));
        meets("/t", "\0", (false, false));
        meets("/s", "", (false, false));
    }
}

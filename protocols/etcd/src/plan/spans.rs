use bytes::Bytes;

use crate::lens::range::{End, KeyRange};

/// Keys that are granted: ranges in order, none of which meets the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spans(Vec<Span>);

#[derive(Clone, Debug, PartialEq)]
struct Span {
    start: Bytes,
    /// The first key that is past it; None: there is none.
    end: Option<Bytes>,
}

impl Spans {
    /// What several grants come to together.
    pub(crate) fn of(ranges: impl IntoIterator<Item = KeyRange>) -> Spans {
        let span = |range: KeyRange| Span { end: range.end(), start: range.start };
        let mut all: Vec<Span> = ranges.into_iter().filter(|range| !range.is_empty()).map(span).collect();
        all.sort_by(|a, b| a.start.cmp(&b.start));
        let mut merged: Vec<Span> = Vec::with_capacity(all.len());
        for span in all {
            match merged.last_mut() {
                Some(last) if last.end.as_ref().is_none_or(|end| *end >= span.start) => {
                    last.end = match (last.end.take(), span.end) {
                        (Some(one), Some(other)) => Some(one.max(other)),
                        (None, _) | (_, None) => None,
                    };
                }
                _ => merged.push(span),
            }
        }
        Spans(merged)
    }

    /// Whether every key in the range is granted.
    pub(crate) fn cover(&self, range: &KeyRange) -> bool {
        let after = self.0.partition_point(|span| span.start <= range.start);
        let span = after.checked_sub(1).and_then(|at| self.0.get(at));
        let Some(Span { end, .. }) = span else { return false };
        match (&range.end, end) {
            (_, None) => true,
            (End::Open, Some(_)) => false,
            (End::Only, Some(end)) => range.start < *end,
            // Also of a range that is empty, the place where it would be has to be granted.
            (End::Before(wanted), Some(end)) => range.start < *end && *wanted <= *end,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: &str, end: &str) -> KeyRange {
        KeyRange::from_wire(&Bytes::from(start.to_owned()), &Bytes::from(end.to_owned()))
    }

    fn check(granted: &[(&str, &str)], wanted: (&str, &str), expected: bool) {
        let spans = Spans::of(granted.iter().map(|(start, end)| range(start, end)));
        assert_eq!(spans.cover(&range(wanted.0, wanted.1)), expected, "{granted:?} {wanted:?}");
    }

    #[test]
    fn grants_that_touch_are_one() {
        check(&[("a", "c"), ("c", "e")], ("a", "e"), true);
        check(&[("a", "c"), ("d", "e")], ("a", "e"), false);
        check(&[("a", "z"), ("b", "c")], ("x", "y"), true);
        check(&[("a", ""), ("a\0", "b")], ("a", "b"), true);
        check(&[("a", "c")], ("b", ""), true);
        check(&[("a", "c")], ("c", ""), false);
        check(&[], ("a", ""), false);
    }

    /// Read permission on one key once let a watch with an open end have everything after it (CVE-2026-73499).
    #[test]
    fn an_open_end_is_only_covered_by_an_open_end() {
        check(&[("a", "")], ("a", "\0"), false);
        check(&[("a", "b")], ("a", "\0"), false);
        check(&[("a", "\0")], ("a", "\0"), true);
        check(&[("a", "\0")], ("a", "zzz"), true);
        check(&[("b", "\0")], ("a", "\0"), false);
        check(&[("a", "b"), ("b", "\0")], ("a", "\0"), true);
    }

    proptest! {
        #[test]
        fn a_range_is_covered_exactly_when_every_key_of_it_is(
            granted in prop::collection::vec(("[abc]{1,2}", prop_oneof!["", "\0", "[abc]{1,2}"]), 0..5),
            start in "[abc]{1,2}", end in prop_oneof!["", "\0", "[abc]{1,2}"],
        ) {
            let ranges: Vec<KeyRange> = granted.iter().map(|(start, end)| range(start, end)).collect();
            let wanted = range(&start, &end);
            prop_assume!(!wanted.is_empty());
            // Wherever ranges like these begin or end there is one of these keys.
            let letters = ["", "a", "b", "c"];
            let words = letters.iter().flat_map(|one| letters.map(|two| format!("{one}{two}")));
            let keys: Vec<String> = words.flat_map(|word| [word.clone(), word + "\0"]).collect();
            let mut within = keys.iter().filter(|key| wanted.contains(key.as_bytes()));
            let all = within.all(|key| ranges.iter().any(|range| range.contains(key.as_bytes())));
            prop_assert_eq!(Spans::of(ranges).cover(&wanted), all);
        }
    }
}

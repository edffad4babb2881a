use super::Choice;
use crate::hash::{mix, unit};

/// Weighted rendezvous: every candidate gets a score from the key, the instance and its weight, and the highest wins.
/// With a bound, those that have more than their fair share of the calls on the way are passed over.
pub(super) fn choose(choice: &Choice<'_>, key: u64, load_bound: f64) -> Option<usize> {
    let hashed = &choice.candidates.hashed;
    // Nearly always the first choice takes the call, and then nobody else has to be looked at but for two numbers.
    let first = best(hashed, key, |_| true)?;
    let may_take = |i: usize| choice.may(i) && has_room(choice, i, load_bound);
    if may_take(first) {
        return Some(first);
    }
    best(hashed, key, may_take).or_else(|| best(hashed, key, |i| choice.may(i)))
}

fn has_room(choice: &Choice<'_>, i: usize, load_bound: f64) -> bool {
    let calls = f64::from(choice.core.in_flight()) + 1.0;
    let share = choice.candidates.weight(i) / choice.candidates.total;
    load_bound <= 0.0 || choice.in_flight(i) < (load_bound * calls * share).ceil()
}

/// The highest score of those that may be chosen.
fn best(hashed: &[(u64, f64)], key: u64, may: impl Fn(usize) -> bool) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for (i, (hash, weight)) in hashed.iter().enumerate() {
        let lot = unit(mix(key ^ hash));
        let highest = best.map_or(0.0, |(score, _)| score);
        // The logarithm is most of the work, and no score is higher than this: -ln(x) is at least 1 - x.
        if *weight < highest * (1.0 - lot) {
            continue;
        }
        let score = weight / (-lot.ln()).max(f64::MIN_POSITIVE);
        if best.is_none_or(|(most, _)| score > most) && may(i) {
            best = Some((score, i));
        }
    }
    best.map(|(_, i)| i)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is passed over without its logarithm would not have won.
        #[test]
        fn the_short_cut_chooses_like_all_scores_together(
            hashed in prop::collection::vec((any::<u64>(), 0.1..9.0_f64), 0..60), key in any::<u64>(), skip in 1_usize..5,
        ) {
            let may = |i: usize| i % skip != 1;
            let score = |i: &usize| hashed[*i].1 / -unit(mix(key ^ hashed[*i].0)).ln();
            let expected = (0..hashed.len()).filter(|i| may(*i)).max_by(|a, b| score(a).total_cmp(&score(b)));
            prop_assert_eq!(best(&hashed, key, may), expected);
        }
    }
}

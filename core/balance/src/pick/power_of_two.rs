use super::Choice;
use crate::dice::Dice;

/// Where weights differ, the second of two must be better by this much. Estimates decay, so the one that was used less of
/// late always looks a little better, and that alone would level all weights.
const WEIGHTED_MARGIN: f64 = 0.9;

/// Rounds of drawing two before everyone is looked at.
const ROUNDS: usize = 3;

pub(super) fn choose(choice: &Choice<'_>, dice: &mut dyn Dice) -> Option<usize> {
    let candidates = choice.candidates;
    if candidates.len() < 2 {
        return choice.may(0).then_some(0);
    }
    let by_more_than = if candidates.is_weighted() { WEIGHTED_MARGIN } else { 1.0 };
    for _ in 0..ROUNDS {
        let first = candidates.draw(dice);
        let second = candidates.draw_other(first, dice);
        match (choice.may(first), choice.may(second)) {
            // The first wins a tie: it was drawn in proportion to the weights.
            (true, true) => {
                let (one, other) = (measured(choice, first), measured(choice, second));
                // Whoever was never measured is taken to be as fast as the one beside it, so that measuring the first
                // few does not keep all calls away from the rest; but never to be as slow as one that fails.
                let unknown = choice.typical_nanos.min(one.or(other).unwrap_or(f64::INFINITY));
                let cost = |nanos: Option<f64>, i| loaded(choice, nanos.unwrap_or(unknown), i);
                let second_is_better = cost(other, second) < cost(one, first) * by_more_than;
                return Some(if second_is_better { second } else { first });
            }
            (true, false) => return Some(first),
            (false, true) => return Some(second),
            (false, false) => {}
        }
    }
    choice.scan(dice).min_by(|a, b| cost(choice, *a).total_cmp(&cost(choice, *b)))
}

/// The time that one more call would take: the estimate for one call, times the calls that would share the instance.
///
/// Weights act twice: the draw is in proportion to them, and an instance of twice the weight bears twice the calls at the
/// same cost. Dividing the whole cost by the weight instead would starve light instances while nothing is going on.
fn loaded(choice: &Choice<'_>, nanos: f64, i: usize) -> f64 {
    nanos * (choice.in_flight(i) / choice.candidates.relative_weight(i) + 1.0)
}

fn measured(choice: &Choice<'_>, i: usize) -> Option<f64> {
    let decay = choice.core.policy.latency.decay;
    choice.state(i).and_then(|state| state.latency.nanos_at(decay, choice.now))
}

fn cost(choice: &Choice<'_>, i: usize) -> f64 {
    loaded(choice, measured(choice, i).unwrap_or(choice.typical_nanos), i)
}

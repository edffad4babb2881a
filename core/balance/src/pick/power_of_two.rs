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
                return Some(if cost(choice, second) < cost(choice, first) * by_more_than {
                    second
                } else {
                    first
                });
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
fn cost(choice: &Choice<'_>, i: usize) -> f64 {
    let measured = choice
        .state(i)
        .and_then(|state| state.latency.nanos_at(choice.core.policy.latency.decay, choice.now));
    let nanos = measured.unwrap_or(choice.typical_nanos);
    nanos * (choice.in_flight(i) / choice.candidates.relative_weight(i) + 1.0)
}

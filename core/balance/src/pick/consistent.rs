use super::Choice;
use crate::hash::{mix, unit};

/// Weighted rendezvous: every candidate gets a score from the key, the instance and its weight, and the highest wins.
/// With a bound, those that have more than their fair share of the calls on the way are passed over.
pub(super) fn choose(choice: &Choice<'_>, key: u64, load_bound: f64) -> Option<usize> {
    let candidates = choice.candidates;
    let calls = f64::from(choice.core.in_flight()) + 1.0;
    let (mut best, mut best_with_room) = (None, None);
    for i in (0..candidates.len()).filter(|i| choice.may(*i)) {
        let Some(state) = choice.state(i) else { continue };
        // Slow start would move calls here and then there: the share is the weight.
        let ramp = candidates.ramps.as_ref().and_then(|ramps| ramps.get(i)).copied().unwrap_or(1.0);
        let score = candidates.weight(i) / ramp / -unit(mix(key ^ state.hash)).ln();
        let raise = |best: &mut Option<(f64, usize)>| {
            if best.is_none_or(|(most, _)| score > most) {
                *best = Some((score, i));
            }
        };
        raise(&mut best);
        let room = (load_bound * calls * candidates.weight(i) / candidates.total).ceil();
        if load_bound > 0.0 && choice.in_flight(i) < room {
            raise(&mut best_with_room);
        }
    }
    best_with_room.or(best).map(|(_, i)| i)
}

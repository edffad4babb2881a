//! One after the other, with and without weights.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;

use super::Choice;
use crate::dice::Dice;

pub(super) fn round_robin(choice: &Choice<'_>, dice: &mut dyn Dice) -> Option<usize> {
    let n = choice.candidates.len();
    let cursor = &choice.core.cursor;
    if cursor.load(Ordering::Relaxed) == usize::MAX {
        // Clients that start together must not march in step. Losing a race here only means another start.
        cursor.store(dice.below(usize::MAX >> 1), Ordering::Relaxed);
    }
    let start = cursor.fetch_add(1, Ordering::Relaxed);
    let mut passed_over = None;
    for i in (0..n).map(|step| start.wrapping_add(step) % n).filter(|i| choice.may(*i)) {
        let ramp = choice.candidates.ramps.as_ref().and_then(|ramps| ramps.get(i)).copied().unwrap_or(1.0);
        if ramp >= 1.0 || dice.unit() < ramp {
            return Some(i);
        }
        passed_over.get_or_insert(i);
    }
    passed_over
}

pub(super) fn weighted(choice: &Choice<'_>) -> Option<usize> {
    let mut turns = choice.candidates.turns.as_ref()?.lock();
    let mut passed_over = Vec::new();
    let mut chosen = None;
    while let Some(Reverse((due, i))) = turns.due.pop() {
        if choice.may(i) {
            turns.due.push(Reverse((due + choice.candidates.period(i), i)));
            chosen = Some(i);
            break;
        }
        passed_over.push(Reverse((due, i)));
    }
    // Whoever was passed over is still due.
    turns.due.extend(passed_over);
    chosen
}

use super::Choice;
use crate::dice::Dice;

pub(super) fn choose(choice: &Choice<'_>, choices: u32, dice: &mut dyn Dice) -> Option<usize> {
    if choices as usize >= choice.candidates.len() {
        return of_all(choice, dice);
    }
    let drawn: Vec<usize> = (0..choices).map(|_| choice.candidates.draw(dice)).collect();
    let best = drawn.into_iter().filter(|i| choice.may(*i));
    let best = best.min_by(|a, b| load(choice, *a).total_cmp(&load(choice, *b)));
    best.or_else(|| of_all(choice, dice))
}

/// Among equals, which all are that are idle, the weights decide.
fn of_all(choice: &Choice<'_>, dice: &mut dyn Dice) -> Option<usize> {
    let drawn = Some(choice.candidates.draw(dice)).filter(|i| choice.may(*i));
    drawn.into_iter().chain(choice.scan(dice)).min_by(|a, b| load(choice, *a).total_cmp(&load(choice, *b)))
}

fn load(choice: &Choice<'_>, i: usize) -> f64 {
    choice.in_flight(i) / choice.candidates.relative_weight(i)
}

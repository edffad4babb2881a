//! Choosing one of the candidates.

mod consistent;
mod least;
mod power_of_two;
mod turns;

use std::sync::Arc;

use crate::core::Core;
use crate::dice::Dice;
use crate::moment::Moment;
use crate::plan::Candidates;
use crate::policy::Algorithm;
use crate::request::Request;
use crate::state::State;

/// Everything that a choice depends on.
#[derive(Clone, Copy)]
pub(crate) struct Choice<'a> {
    pub(crate) candidates: &'a Candidates,
    pub(crate) states: &'a [Arc<State>],
    pub(crate) core: &'a Core,
    pub(crate) request: &'a Request<'a>,
    pub(crate) typical_nanos: f64,
    pub(crate) now: Moment,
}

impl Choice<'_> {
    /// The place of the one that takes the call; None: none may.
    pub(crate) fn make(&self, dice: &mut dyn Dice) -> Option<u32> {
        let chosen = match self.core.policy.algorithm {
            Algorithm::PowerOfTwo => power_of_two::choose(self, dice),
            Algorithm::LeastRequest { choices } => least::choose(self, choices, dice),
            Algorithm::RoundRobin => turns::round_robin(self, dice),
            Algorithm::WeightedRoundRobin => turns::weighted(self),
            Algorithm::Random => self.draw_one_that_may(dice),
            Algorithm::ConsistentHash { load_bound } => {
                let key = self.request.hash.unwrap_or_else(|| dice.roll());
                consistent::choose(self, key, load_bound)
            }
        };
        self.candidates.places.get(chosen?).copied()
    }

    fn state(&self, i: usize) -> Option<&State> {
        let place = self.candidates.places.get(i)?;
        self.states.get(*place as usize).map(|state| &**state)
    }

    fn in_flight(&self, i: usize) -> f64 {
        self.state(i).map_or(0.0, |state| f64::from(state.in_flight()))
    }

    /// Whether the call was not tried there before, and it has room for one more.
    fn may(&self, i: usize) -> bool {
        self.state(i).is_some_and(|state| is_open_to(state, self.core, self.request))
    }

    fn draw_one_that_may(&self, dice: &mut dyn Dice) -> Option<usize> {
        let drawn = (0..3).map(|_| self.candidates.draw(dice)).find(|i| self.may(*i));
        drawn.or_else(|| self.scan(dice).next())
    }

    /// All that may, from a random one on.
    fn scan(&self, dice: &mut dyn Dice) -> impl Iterator<Item = usize> {
        let n = self.candidates.len();
        let start = dice.below(n);
        (0..n).map(move |step| (start + step) % n).filter(|i| self.may(*i))
    }
}

pub(crate) fn is_open_to(state: &State, core: &Core, request: &Request<'_>) -> bool {
    let has_room = core.policy.max_in_flight_per_instance.is_none_or(|most| state.in_flight() < most);
    has_room && !was_tried(state, request)
}

pub(crate) fn was_tried(state: &State, request: &Request<'_>) -> bool {
    request.tried.iter().any(|key| Arc::ptr_eq(key, &state.key) || **key == *state.key)
}

//! When each check has its turn. Pure: the clock and the dice are handed in.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Turns move by up to this share of the interval in either direction, so that checks which met do not stay together.
const JITTER: f64 = 0.05;

/// How soon a new check is probed for the first time, at the latest, when it comes alone.
const SOON: Duration = Duration::from_secs(1);

/// With this many checks waiting for their first turn, more of them are spread over their whole interval.
const MANY: usize = 64;

#[derive(Debug)]
pub(crate) struct Schedule<K> {
    /// The earliest turn first. Whoever waits for a free place waits in here, so nobody is overtaken.
    turns: BTreeMap<Turn, K>,
    /// Exactly the keys in `turns`.
    entries: HashMap<K, Entry>,
    /// How many entries have not had a turn.
    fresh: usize,
    serial: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: Instant,
    serial: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    turn: Turn,
    interval: Duration,
    is_fresh: bool,
}

impl<K: Clone + Eq + Hash> Schedule<K> {
    pub(crate) fn new() -> Schedule<K> {
        Schedule { turns: BTreeMap::new(), entries: HashMap::new(), fresh: 0, serial: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a key, or starts it afresh. `together`: how many come with it. `dice` is in 0..1.
    pub(crate) fn add(&mut self, key: K, interval: Duration, together: usize, now: Instant, dice: f64) {
        self.remove(&key);
        let is_crowded = together >= MANY || self.fresh >= MANY;
        let window = if is_crowded { interval } else { interval.min(SOON) };
        self.fresh += 1;
        self.put(key, now + window.mul_f64(dice), interval, true);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.turns.remove(&entry.turn);
            self.fresh -= usize::from(entry.is_fresh);
        }
    }

    /// When the next turn is.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.turns.first_key_value().map(|(turn, _)| turn.at)
    }

    /// The key whose turn it is, with the time at which it was; its next turn is an interval later.
    pub(crate) fn take(&mut self, now: Instant, dice: f64) -> Option<(K, Instant)> {
        let due = self.turns.first_entry().filter(|first| first.key().at <= now)?;
        let (turn, key) = due.remove_entry();
        let entry = self.entries.remove(&key)?;
        self.fresh -= usize::from(entry.is_fresh);
        let step = entry.interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * dice);
        // A turn that was missed altogether is not made up for: that would be a burst.
        let next = if turn.at + step > now { turn.at + step } else { now + step };
        self.put(key.clone(), next, entry.interval, false);
        Some((key, turn.at))
    }

    fn put(&mut self, key: K, at: Instant, interval: Duration, is_fresh: bool) {
        self.serial += 1;
        let turn = Turn { at, serial: self.serial };
        self.turns.insert(turn, key.clone());
        self.entries.insert(key, Entry { turn, interval, is_fresh });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    /// When each turn up to `until` was, in seconds.
    fn turns(schedule: &mut Schedule<u32>, start: Instant, until: Duration) -> Vec<(u32, f64)> {
        let mut dice = fastrand::Rng::with_seed(7);
        let mut turns = Vec::new();
        while let Some(at) = schedule.next().filter(|at| *at <= start + until) {
            let (key, due) = schedule.take(at, dice.f64()).unwrap();
            turns.push((key, (due - start).as_secs_f64()));
        }
        turns
    }

    #[test]
    fn a_lone_check_is_probed_within_a_second_and_then_about_every_interval() {
        let (mut schedule, start) = (Schedule::new(), Instant::now());
        schedule.add(1, INTERVAL, 1, start, 0.999);
        let turns = turns(&mut schedule, start, Duration::from_secs(60));
        assert!(turns[0].1 < 1.0);
        for pair in turns.windows(2) {
            let step = pair[1].1 - pair[0].1;
            assert!((4.75..=5.25).contains(&step), "{step}");
        }
    }

    #[test]
    fn many_at_once_are_spread_over_the_interval_and_stay_so() {
        let (mut schedule, start) = (Schedule::new(), Instant::now());
        let mut dice = fastrand::Rng::with_seed(3);
        for key in 0..10_000 {
            schedule.add(key, INTERVAL, 10_000, start, dice.f64());
        }
        let turns = turns(&mut schedule, start, Duration::from_secs(100));
        for second in 1..99 {
            let busy =
                turns.iter().filter(|(_, at)| (second as f64..second as f64 + 0.5).contains(at)).count();
            assert!((850..1150).contains(&busy), "{busy} of 1000 expected turns in half of second {second}");
        }
    }

    #[test]
    fn checks_that_met_part_again() {
        let (mut schedule, start) = (Schedule::new(), Instant::now());
        for key in 0..1000 {
            schedule.add(key, INTERVAL, 1, start, 0.0);
        }
        let turns = turns(&mut schedule, start, Duration::from_secs(1000));
        let last: Vec<f64> = turns.iter().rev().take(1000).map(|(_, at)| at % 0.5).collect();
        let busiest = (0..10).map(|i| last.iter().filter(|at| (**at / 0.05) as usize == i).count()).max();
        assert!(busiest.unwrap() < 300, "{busiest:?} of 1000 in a tenth of half a second");
    }

    #[test]
    fn missed_turns_are_not_made_up_for() {
        let (mut schedule, start) = (Schedule::new(), Instant::now());
        schedule.add(1, INTERVAL, 1, start, 0.0);
        let late = start + Duration::from_secs(60);
        assert_eq!(schedule.take(late, 0.5), Some((1, start)));
        assert_eq!(schedule.take(late, 0.5), None);
        assert_eq!(schedule.next(), Some(late + INTERVAL));
    }

    #[test]
    fn what_is_removed_has_no_turn() {
        let (mut schedule, start) = (Schedule::new(), Instant::now());
        schedule.add(1, INTERVAL, 1, start, 0.0);
        schedule.add(1, INTERVAL, 1, start, 0.5);
        assert_eq!((schedule.len(), schedule.turns.len(), schedule.fresh), (1, 1, 1));
        schedule.remove(&1);
        assert_eq!((schedule.len(), schedule.turns.len(), schedule.fresh), (0, 0, 0));
    }
}

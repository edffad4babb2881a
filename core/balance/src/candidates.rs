//! Those of one pool, laid out for picking.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use parking_lot::Mutex;

use crate::dice::Dice;
use crate::policy::Algorithm;
use crate::roster::Row;

/// Instances that may be picked, side by side with their weights.
#[derive(Debug)]
pub(crate) struct Candidates {
    pub(crate) places: Box<[u32]>,
    pub(crate) weights: Box<[f64]>,
    /// How much of its share each gets while it starts slowly; None: all of them all of it.
    pub(crate) ramps: Option<Box<[f64]>>,
    /// The running sum of the weights; None: they are equal.
    sums: Option<Box<[f64]>>,
    pub(crate) total: f64,
    pub(crate) turns: Option<Mutex<Turns>>,
    /// For consistent hashing: the hash of each, and the share that it has by its own weight.
    pub(crate) hashed: Box<[(u64, f64)]>,
}

/// When it is whose turn in weighted round robin: each is due again after a time that is 1 / its weight.
#[derive(Debug)]
pub(crate) struct Turns {
    /// The moment when one is due, and its place among the candidates.
    pub(crate) due: BinaryHeap<Reverse<(u128, usize)>>,
}

const TURN: f64 = (1_u64 << 40) as f64;

impl Candidates {
    pub(crate) fn new(rows: &[Row], algorithm: Algorithm, dice: &mut dyn Dice) -> Candidates {
        let weights: Box<[f64]> = rows.iter().map(|row| row.weight).collect();
        let first = weights.first().copied().unwrap_or(1.0);
        let equal = weights.iter().all(|weight| (weight - first).abs() < f64::EPSILON * first);
        let mut total = 0.0;
        let sums: Box<[f64]> = weights
            .iter()
            .map(|weight| {
                total += weight;
                total
            })
            .collect();
        let slow = rows.iter().any(|row| row.ramp < 1.0);
        let turns = (algorithm == Algorithm::WeightedRoundRobin).then(|| {
            // Each begins somewhere in its first period, so that clients which start together do not march in step.
            let due = weights.iter().enumerate().map(|(i, weight)| {
                let period = TURN / weight;
                Reverse(((period * dice.unit()) as u128, i))
            });
            Mutex::new(Turns { due: due.collect() })
        });
        let hashes = matches!(algorithm, Algorithm::ConsistentHash { .. });
        // Slow start would move calls here and then there: the share is the weight.
        let hashed = rows.iter().filter(|_| hashes).map(|row| (row.hash, row.weight / row.ramp));
        Candidates {
            hashed: hashed.collect(),
            places: rows.iter().map(|row| row.place).collect(),
            ramps: slow.then(|| rows.iter().map(|row| row.ramp).collect()),
            sums: (!equal).then_some(sums),
            weights,
            total,
            turns,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_weighted(&self) -> bool {
        self.sums.is_some()
    }

    pub(crate) fn weight(&self, i: usize) -> f64 {
        self.weights.get(i).copied().unwrap_or(1.0)
    }

    /// The weight relative to the average.
    pub(crate) fn relative_weight(&self, i: usize) -> f64 {
        match self.sums {
            None => 1.0,
            Some(_) => self.weight(i) * self.len() as f64 / self.total,
        }
    }

    pub(crate) fn period(&self, i: usize) -> u128 {
        ((TURN / self.weight(i)) as u128).max(1)
    }

    /// One of them, in proportion to the weights.
    pub(crate) fn draw(&self, dice: &mut dyn Dice) -> usize {
        match &self.sums {
            None => dice.below(self.len()),
            Some(sums) => {
                let lot = dice.unit() * self.total;
                sums.partition_point(|sum| *sum <= lot).min(self.len().saturating_sub(1))
            }
        }
    }

    /// Another one than `first`. There must be more than one.
    pub(crate) fn draw_other(&self, first: usize, dice: &mut dyn Dice) -> usize {
        if self.sums.is_none() {
            let other = dice.below(self.len() - 1);
            return other + usize::from(other >= first);
        }
        let drawn = (0..4).map(|_| self.draw(dice)).find(|other| *other != first);
        drawn.unwrap_or_else(|| (first + 1 + dice.below(self.len() - 1)) % self.len())
    }
}

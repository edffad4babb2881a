//! Who may be picked: made of health, ejection, weights and zones, and made anew only when one of them changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::breaker::Phase;
use crate::candidates::Candidates;
use crate::core::Core;
use crate::dice::Dice;
use crate::endpoint::{Endpoint, Fitness};
use crate::moment::Moment;
use crate::policy::{Policy, ZoneMode, ZonePolicy};
use crate::ribbon::{ZoneRules, ZoneSnapshot, available_zones};
use crate::slow_start::ramp;
use crate::state::State;

/// How often a roster is made anew that follows something which changes all the time.
const REFRESH: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Roster {
    version: u64,
    valid_until: Moment,
    pub(crate) pools: Vec<Pool>,
    /// Places of ejected instances whose rest is over.
    pub(crate) probes: Box<[u32]>,
    /// What an instance that was never measured is taken to need, in nanoseconds.
    pub(crate) typical_nanos: f64,
}

/// Candidates that get a share of the calls.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The upper end of its share, the pools lying side by side from 0 to 1.
    pub(crate) upto: f64,
    pub(crate) candidates: Candidates,
}

/// What a roster is made of.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) place: u32,
    fitness: Fitness,
    pub(crate) weight: f64,
    pub(crate) ramp: f64,
    zone: Option<Arc<str>>,
    ejected: bool,
    active: u32,
    pub(crate) hash: u64,
}

impl Roster {
    pub(crate) fn is_good(&self, core: &Core, now: Moment) -> bool {
        self.version == core.ledger.version() && now < self.valid_until
    }

    pub(crate) fn make(
        endpoints: &[&Endpoint],
        states: &[Arc<State>],
        core: &Core,
        now: Moment,
        dice: &mut dyn Dice,
    ) -> Roster {
        let policy = &core.policy;
        // Read before the states: a change in between makes the roster old at once.
        let version = core.ledger.version();
        let mut valid_until = Moment::NEVER;
        let mut probes = Vec::new();
        let mut rows = Vec::with_capacity(states.len());
        let (mut measured, mut sum) = (0_u32, 0.0);
        for ((place, state), endpoint) in (0_u32..).zip(states).zip(endpoints) {
            let phase = if policy.ejection.is_some() { state.phase() } else { Phase::Closed };
            match phase {
                Phase::Open { until } if until <= now => {
                    if endpoint.fitness == Fitness::Fit && endpoint.weight > 0 {
                        probes.push(place);
                    }
                }
                Phase::Open { until } => valid_until = valid_until.min(until),
                Phase::Closed | Phase::HalfOpen => {}
            }
            match state.latency.nanos_at(policy.latency.decay, now) {
                Some(nanos) => (measured, sum) = (measured + 1, sum + nanos),
                None => valid_until = valid_until.min(now + REFRESH * 10),
            }
            let ramp = match (policy.slow_start, state.since()) {
                (Some(slow), Some(since)) => ramp(now.since(since), slow.window, slow.aggression),
                _ => 1.0,
            };
            if ramp < 1.0 {
                valid_until = valid_until.min(now + REFRESH);
            }
            rows.push(Row {
                place,
                fitness: endpoint.fitness,
                weight: f64::from(endpoint.weight) * ramp,
                ramp,
                zone: endpoint.zone.clone(),
                ejected: phase != Phase::Closed,
                active: state.in_flight(),
                hash: state.hash,
            });
        }
        if matches!(&policy.zone, Some(ZonePolicy { mode: ZoneMode::Avoid(_), .. })) {
            valid_until = valid_until.min(now + REFRESH);
        }
        let assumed = policy.latency.assumed.as_nanos() as f64;
        let typical_nanos = if measured > 0 { sum / f64::from(measured) } else { assumed };
        let pools = pools(rows, policy, dice);
        Roster { version, valid_until, pools, probes: probes.into(), typical_nanos }
    }
}

/// Decides who takes calls at all, and which share of them goes to which zone.
fn pools(rows: Vec<Row>, policy: &Policy, dice: &mut dyn Dice) -> Vec<Pool> {
    let takers: Vec<Row> =
        rows.into_iter().filter(|row| row.fitness != Fitness::Away && row.weight > 0.0).collect();
    let is_well = |row: &Row| row.fitness == Fitness::Fit && !row.ejected;
    let well: Vec<Row> = takers.iter().filter(|row| is_well(row)).cloned().collect();
    let panics = (well.len() as f64) < takers.len() as f64 * policy.panic_threshold;
    if panics {
        return whole(takers, policy, dice);
    }
    if well.is_empty() {
        // Everyone that the registry vouches for was ejected, and whoever was not has left since.
        let vouched = takers.into_iter().filter(|row| row.fitness == Fitness::Fit).collect();
        return whole(vouched, policy, dice);
    }
    match &policy.zone {
        None => whole(well, policy, dice),
        Some(ZonePolicy { local, mode: ZoneMode::Prefer { overprovision, min_local } }) => {
            let (near, far): (Vec<Row>, Vec<Row>) =
                well.into_iter().partition(|row| row.zone.as_ref().is_some_and(|zone| same(zone, local)));
            let zones = 1 + distinct_zones(&far);
            if near.len() < (*min_local).max(1) || far.is_empty() {
                return whole(near.into_iter().chain(far).collect(), policy, dice);
            }
            let share = local_share(&near, &far, zones, *overprovision);
            if share >= 1.0 {
                // The others stand by, for calls that failed on all of the near ones.
                return vec![pool(near, 1.0, policy, dice), pool(far, 1.0, policy, dice)];
            }
            vec![pool(near, share, policy, dice), pool(far, 1.0, policy, dice)]
        }
        Some(ZonePolicy { mode: ZoneMode::Avoid(rules), .. }) => avoiding(&takers, well, rules, policy, dice),
    }
}

/// What the caller's zone can bear of its part of the calls. All zones are taken to send equally many.
fn local_share(near: &[Row], far: &[Row], zones: usize, overprovision: f64) -> f64 {
    let weight = |rows: &[Row]| rows.iter().map(|row| row.weight).sum::<f64>();
    let near = weight(near);
    let part = near / (near + weight(far));
    (part * zones as f64 * overprovision).min(1.0)
}

fn distinct_zones(rows: &[Row]) -> usize {
    let folded = rows.iter().map(|row| row.zone.as_ref().map(|zone| zone.to_ascii_lowercase()));
    folded.collect::<std::collections::BTreeSet<_>>().len()
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn avoiding(
    takers: &[Row],
    well: Vec<Row>,
    rules: &ZoneRules,
    policy: &Policy,
    dice: &mut dyn Dice,
) -> Vec<Pool> {
    let zone_of = |row: &Row| -> Arc<str> { row.zone.clone().unwrap_or_else(|| Arc::from("")) };
    let mut counts: BTreeMap<Arc<str>, (usize, usize, u32)> = BTreeMap::new();
    for row in takers {
        let (instances, tripped, active) = counts.entry(zone_of(row)).or_default();
        *instances += 1;
        if row.ejected {
            *tripped += 1;
        } else {
            *active = active.saturating_add(row.active);
        }
    }
    let zones: BTreeMap<Arc<str>, ZoneSnapshot> = counts
        .iter()
        .map(|(zone, (n, tripped, active))| (zone.clone(), ZoneSnapshot::new(*n, *tripped, *active)))
        .collect();
    let left = available_zones(&zones, rules, dice);
    if left.len() == zones.len() || left.is_empty() {
        return whole(well, policy, dice);
    }
    let instances = |zone: &Arc<str>| zones.get(zone).map_or(0, |zone| zone.instances);
    let all: usize = left.iter().map(instances).sum();
    let (mut pools, mut upto) = (Vec::new(), 0);
    for zone in &left {
        let rows: Vec<Row> = well.iter().filter(|row| zone_of(row) == *zone).cloned().collect();
        upto += instances(zone);
        if !rows.is_empty() {
            pools.push(pool(rows, upto as f64 / all.max(1) as f64, policy, dice));
        }
    }
    // For calls that failed on all of those.
    let rest: Vec<Row> = well.into_iter().filter(|row| !left.contains(&zone_of(row))).collect();
    if !rest.is_empty() {
        pools.push(pool(rest, 1.0, policy, dice));
    }
    pools
}

fn whole(rows: Vec<Row>, policy: &Policy, dice: &mut dyn Dice) -> Vec<Pool> {
    if rows.is_empty() { Vec::new() } else { vec![pool(rows, 1.0, policy, dice)] }
}

fn pool(rows: Vec<Row>, upto: f64, policy: &Policy, dice: &mut dyn Dice) -> Pool {
    Pool { upto, candidates: Candidates::new(&rows, policy.algorithm, dice) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows as `zone fitness/ejected weight active`, such as `a + 1 0`: `+` well, `-` failing, `x` ejected, `.` away.
    fn rows(text: &str) -> Vec<Row> {
        let row = |(place, text): (u32, &str)| {
            let words: Vec<&str> = text.split(' ').collect();
            Row {
                place,
                zone: Some(Arc::from(words[0])),
                fitness: match words[1] {
                    "-" => Fitness::Failing,
                    "." => Fitness::Away,
                    _ => Fitness::Fit,
                },
                ejected: words[1] == "x",
                weight: words[2].parse().unwrap(),
                ramp: 1.0,
                active: words[3].parse().unwrap(),
                hash: u64::from(place),
            }
        };
        (0..).zip(text.split(", ")).map(row).collect()
    }

    /// The pools that come out, as `share: places`.
    fn check(zone: Option<ZonePolicy>, text: &str, expected: &str) {
        let policy = Policy { zone, ..Policy::default() };
        let mut random = fastrand::Rng::with_seed(3);
        let pools = pools(rows(text), &policy, &mut || random.u64(..));
        let mut from = 0.0;
        let shown: Vec<String> = pools
            .iter()
            .map(|pool| {
                let share = ((pool.upto - from) * 100.0_f64).round();
                from = pool.upto;
                format!(
                    "{share}: {}",
                    pool.candidates.places.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
                )
            })
            .collect();
        assert_eq!(shown.join(", "), expected, "{text}");
    }

    #[test]
    fn only_those_that_are_well_take_calls() {
        check(None, "a + 1 0, a x 1 0, a . 1 0, a + 0 0, a + 1 0", "100: 0 4");
        check(None, "a . 1 0, a + 0 0", "");
    }

    #[test]
    fn when_too_few_are_well_all_are_used_but_never_those_that_are_away() {
        check(None, "a + 1 0, a - 1 0", "100: 0");
        check(None, "a + 1 0, a - 1 0, a - 1 0, a . 1 0", "100: 0 1 2");
        check(None, "a - 1 0, a - 1 0", "100: 0 1");
    }

    #[test]
    fn calls_stay_near_while_the_zone_bears_its_part() {
        let near = || Some(ZonePolicy::prefer("a"));
        check(near(), "a + 1 0, a + 1 0, b + 1 0, b + 1 0", "100: 0 1, 0: 2 3");
        // 1 of 3 instances for half of the clients, with 1.4 times the load of an average one.
        check(near(), "a + 1 0, b + 1 0, b + 1 0", "93: 0, 7: 1 2");
        check(near(), "a + 1 0, b + 1 0, b + 1 0, b + 1 0, b + 1 0", "56: 0, 44: 1 2 3 4");
        check(near(), "A + 1 0, a x 1 0, a x 1 0, b + 1 0, b + 1 0, b + 1 0", "70: 0, 30: 3 4 5");
        check(near(), "a x 1 0, b + 1 0, b + 1 0", "100: 1 2");
        check(near(), "a + 1 0, a + 1 0", "100: 0 1");
        check(near(), "b + 1 0, c + 1 0", "100: 0 1");
    }

    #[test]
    fn the_worst_zone_is_avoided() {
        let avoid = || Some(ZonePolicy::avoid_worst("a"));
        check(avoid(), "a + 1 0, b + 1 0, c + 1 0", "100: 0 1 2");
        check(avoid(), "a + 1 9, b + 1 0, b + 1 0, b + 1 0, c + 1 0", "75: 1 2 3, 25: 4, 0: 0");
    }

    proptest::proptest! {
        #[test]
        fn the_local_share_never_grows_when_a_local_instance_fails(near in 1_usize..20, far in 1_usize..20, zones in 2_usize..5) {
            let row = &rows("a + 1 0")[0];
            let share = |near: usize| local_share(&vec![row.clone(); near], &vec![row.clone(); far], zones, 1.4);
            let shares: Vec<f64> = (1..=near).map(share).collect();
            assert!(shares.is_sorted(), "{shares:?}");
            assert!(shares.iter().all(|share| *share > 0.0 && *share <= 1.0));
        }
    }
}

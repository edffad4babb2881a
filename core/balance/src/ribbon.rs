//! The zone rules of Ribbon: which zones calls may go to, decided from a snapshot of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dice::Dice;

/// The state of one zone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ZoneSnapshot {
    /// Instances in it.
    pub instances: usize,
    /// Those of them that are left out because they fail.
    pub tripped: usize,
    /// Calls on the way per instance that is not left out; negative when all are.
    pub load_per_instance: f64,
}

impl ZoneSnapshot {
    /// A zone with this many instances, of which so many fail, and the calls on the way to the others.
    pub fn new(instances: usize, tripped: usize, active: u32) -> ZoneSnapshot {
        let working = instances.saturating_sub(tripped);
        let load_per_instance = match (instances, working) {
            (0, _) => 0.0,
            (_, 0) => -1.0,
            _ => f64::from(active) / working as f64,
        };
        ZoneSnapshot { instances, tripped, load_per_instance }
    }
}

/// Ribbon's two thresholds, with its defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZoneRules {
    /// Below this load per instance no zone is the worst (`triggeringLoadPerServerThreshold`).
    pub triggering_load: f64,
    /// From this share of failing instances on a zone is left out (`avoidZoneWithBlackoutPercetage`, spelled so).
    pub blackout_share: f64,
}

impl Default for ZoneRules {
    fn default() -> ZoneRules {
        ZoneRules { triggering_load: 0.2, blackout_share: 0.99999 }
    }
}

/// The zones that calls may go to.
///
/// Zones without instances or with nothing but failing ones are out. Of the others, one of those with the highest load
/// goes too, chosen by chance in proportion to its instances, unless all are well and the load is low. A single zone
/// stays whatever its state.
pub fn available_zones(
    zones: &BTreeMap<Arc<str>, ZoneSnapshot>,
    rules: &ZoneRules,
    dice: &mut dyn Dice,
) -> Vec<Arc<str>> {
    if zones.len() <= 1 {
        return zones.keys().cloned().collect();
    }
    let is_dead = |zone: &ZoneSnapshot| {
        zone.instances == 0
            || zone.tripped as f64 / zone.instances as f64 >= rules.blackout_share
            || zone.load_per_instance < 0.0
    };
    let mut left: Vec<(&Arc<str>, &ZoneSnapshot)> = zones.iter().filter(|(_, zone)| !is_dead(zone)).collect();
    let limited = left.len() < zones.len();
    let highest = left.iter().map(|(_, zone)| zone.load_per_instance).fold(0.0, f64::max);
    if limited || highest >= rules.triggering_load {
        let is_worst = |zone: &ZoneSnapshot| (zone.load_per_instance - highest).abs() < 0.000_001;
        let worst = left.iter().filter(|(_, zone)| is_worst(zone));
        let mut lot = dice.below(worst.clone().map(|(_, zone)| zone.instances).sum());
        let drawn = worst.copied().find(|(_, zone)| match lot.checked_sub(zone.instances) {
            Some(rest) => {
                lot = rest;
                false
            }
            None => true,
        });
        left.retain(|(name, _)| drawn.is_none_or(|(drawn, _)| drawn != *name));
    }
    left.into_iter().map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Zones as `name instances/tripped load`, and which sets of zones come out, whatever the dice say.
    fn check(zones: &str, expected: &[&str]) {
        let zones: BTreeMap<Arc<str>, ZoneSnapshot> = zones
            .split(", ")
            .filter(|text| !text.is_empty())
            .map(|text| {
                let mut words = text.split(' ');
                let name = Arc::from(words.next().unwrap());
                let (instances, tripped) = words.next().unwrap().split_once('/').unwrap();
                let load_per_instance = words.next().unwrap().parse().unwrap();
                let (instances, tripped) = (instances.parse().unwrap(), tripped.parse().unwrap());
                (name, ZoneSnapshot { instances, tripped, load_per_instance })
            })
            .collect();
        let mut random = fastrand::Rng::with_seed(1);
        let outcomes: BTreeSet<String> = (0..200)
            .map(|_| available_zones(&zones, &ZoneRules::default(), &mut || random.u64(..)).join(" "))
            .collect();
        let expected: BTreeSet<String> = expected.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn no_zone_and_a_single_zone_stay_as_they_are() {
        check("", &[""]);
        check("a 3/3 -1", &["a"]);
        check("a 0/0 0", &["a"]);
    }

    #[test]
    fn all_zones_are_used_while_all_are_well_and_idle() {
        check("a 3/0 0, b 3/0 0", &["a b"]);
        check("a 3/1 0.19, b 3/0 0.1", &["a b"]);
    }

    #[test]
    fn the_zone_with_the_highest_load_goes_once_the_load_matters() {
        check("a 3/0 0.2, b 3/0 0.1, c 3/0 0", &["b c"]);
        check("a 3/0 0.5, b 3/0 0.5, c 3/0 0.1", &["a c", "b c"]);
        check("a 3/0 0.5, b 3/0 0.5000001", &["a", "b"]);
    }

    #[test]
    fn zones_that_are_empty_or_all_failing_go_and_then_one_of_the_worst_too() {
        check("a 0/0 0, b 3/0 0.1, c 3/0 0.05", &["c"]);
        check("a 4/4 -1, b 3/0 0, c 3/0 0", &["b", "c"]);
        check("a 4/4 -1, b 3/0 0.1", &[""]);
    }

    #[test]
    fn load_counts_only_instances_that_work() {
        assert_eq!(ZoneSnapshot::new(4, 2, 6).load_per_instance, 3.0);
        assert_eq!(ZoneSnapshot::new(2, 2, 6).load_per_instance, -1.0);
        assert_eq!(ZoneSnapshot::new(0, 0, 0).load_per_instance, 0.0);
    }
}

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// How instances are picked, watched and spared. The same for the client library and the gateway.
///
/// ```
/// use switchboard_balance::{Algorithm, Policy, ZonePolicy};
///
/// let policy = Policy {
///     algorithm: Algorithm::LeastRequest { choices: 2 },
///     zone: Some(ZonePolicy::prefer("eu-1")),
///     ..Policy::default()
/// };
/// policy.check().unwrap();
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How one of several instances is chosen.
    pub algorithm: Algorithm,
    /// How the time that calls take is estimated.
    pub latency: LatencyPolicy,
    /// When an instance that fails is left out, and for how long. None: never.
    pub ejection: Option<EjectionPolicy>,
    /// When calls to the whole service are refused at once. None: never.
    pub circuit: Option<CircuitPolicy>,
    /// How an instance that joins or comes back gets its share. None: at once.
    pub slow_start: Option<SlowStartPolicy>,
    /// Which zones calls go to. None: zones make no difference.
    pub zone: Option<ZonePolicy>,
    /// To how many of the instances this client keeps. None: to all.
    pub subset: Option<SubsetPolicy>,
    /// How calls are tried again.
    pub retry: RetryPolicy,
    /// When a smaller share of the instances than this takes calls, all are used: so many cannot be broken, and the
    /// rest could not bear the load. 0: never.
    pub panic_threshold: f64,
    /// Calls that one instance may have at once. None: any number.
    pub max_in_flight_per_instance: Option<u32>,
    /// Calls that the service may have at once. None: any number.
    pub max_in_flight: Option<u32>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            algorithm: Algorithm::default(),
            latency: LatencyPolicy::default(),
            ejection: Some(EjectionPolicy::default()),
            circuit: None,
            slow_start: Some(SlowStartPolicy::default()),
            zone: None,
            subset: None,
            retry: RetryPolicy::default(),
            panic_threshold: 0.5,
            max_in_flight_per_instance: None,
            max_in_flight: None,
        }
    }
}

/// How one of several instances is chosen.
///
/// ```
/// use switchboard_balance::{Algorithm, Policy};
///
/// let by_user = Policy { algorithm: Algorithm::ConsistentHash { load_bound: 1.25 }, ..Policy::default() };
/// assert!(by_user.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Algorithm {
    /// Of two at random, the one whose calls take less time, counting those on the way and failures as slow.
    #[default]
    PowerOfTwo,
    /// Of some at random, the one with the fewest calls on the way.
    LeastRequest {
        /// How many are looked at; at least 2.
        choices: u32,
    },
    /// One after the other, whatever their weights.
    RoundRobin,
    /// In proportion to the weights, evenly spread.
    WeightedRoundRobin,
    /// In proportion to the weights, by chance.
    Random,
    /// The same instance for calls with the same hash; when an instance comes or goes only its own calls move.
    ///
    /// It is weighted rendezvous hashing with bounded loads. Against a ring or Maglev it has no table to build, which
    /// matters because ejections change the set often; its shares are exactly the weights; and "the next best" is
    /// defined, which retries and bounded loads need. It looks at every instance on each pick: beyond some hundreds,
    /// take a subset.
    ConsistentHash {
        /// An instance may have this many times its fair share of the calls on the way before others help out; 0
        /// means that it may have all of them.
        load_bound: f64,
    },
}

/// How the time that calls take is estimated.
///
/// ```
/// use std::time::Duration;
/// use switchboard_balance::{LatencyPolicy, Policy};
///
/// // Calls here are allowed to take long: failing must look worse still.
/// let latency = LatencyPolicy { penalty: Duration::from_secs(60), ..LatencyPolicy::default() };
/// let policy = Policy { latency, ..Policy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyPolicy {
    /// How fast samples are forgotten.
    pub decay: Duration,
    /// What is assumed as long as nothing was measured.
    pub assumed: Duration,
    /// What a failed call counts as having taken at least. Failing fast must not look good.
    pub penalty: Duration,
    /// The longest that an instance can ask to be left alone for.
    pub longest_penalty: Duration,
}

impl Default for LatencyPolicy {
    fn default() -> LatencyPolicy {
        LatencyPolicy {
            decay: Duration::from_secs(10),
            assumed: Duration::from_millis(30),
            penalty: Duration::from_secs(5),
            longest_penalty: Duration::from_secs(300),
        }
    }
}

/// When a breaker opens.
///
/// ```
/// use std::time::Duration;
/// use switchboard_balance::TripRules;
///
/// // Three failures in a row, or less than four of five calls within ten seconds.
/// let rules =
///     TripRules { consecutive: 3, success_rate: 0.8, min_calls: 10, window: Duration::from_secs(10) };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripRules {
    /// After this many failures in a row; 0: however many.
    pub consecutive: u32,
    /// When a smaller share of the calls within the window succeeded; 0: however few.
    pub success_rate: f64,
    /// Calls within the window before their success rate says anything.
    pub min_calls: u32,
    /// What the success rate is taken of.
    pub window: Duration,
}

/// How long a breaker stays open: `base` the first time, twice `base` the second, up to `longest`.
///
/// ```
/// use std::time::Duration;
/// use switchboard_balance::{EjectionPolicy, Policy, Rest};
///
/// let rest = Rest { base: Duration::from_secs(5), ..Rest::default() };
/// let policy = Policy { ejection: Some(EjectionPolicy { rest, ..EjectionPolicy::default() }), ..Policy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rest {
    /// The first rest.
    pub base: Duration,
    /// The longest rest.
    pub longest: Duration,
    /// The largest share that is added to a rest, so that not all come back at once.
    pub jitter: f64,
}

impl Default for Rest {
    fn default() -> Rest {
        Rest { base: Duration::from_secs(30), longest: Duration::from_secs(300), jitter: 0.1 }
    }
}

/// When an instance that fails is left out, and for how long.
///
/// ```
/// use switchboard_balance::{EjectionPolicy, Policy};
///
/// let few = Policy { ejection: Some(EjectionPolicy { max_share: 0.1, ..EjectionPolicy::default() }), ..Policy::default() };
/// let none = Policy { ejection: None, ..Policy::default() };
/// assert!(few.check().is_ok() && none.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EjectionPolicy {
    /// When.
    pub rules: TripRules,
    /// For how long.
    pub rest: Rest,
    /// The largest share of the instances that may be left out at once, from 0 to 1. One may always be, as long as it
    /// is not the last: a share alone would never eject anything from a small service.
    pub max_share: f64,
}

impl Default for EjectionPolicy {
    fn default() -> EjectionPolicy {
        let rules =
            TripRules { consecutive: 5, success_rate: 0.5, min_calls: 20, window: Duration::from_secs(10) };
        EjectionPolicy { rules, rest: Rest::default(), max_share: 0.5 }
    }
}

/// When calls to the whole service are refused at once, and for how long.
///
/// ```
/// use switchboard_balance::{CircuitPolicy, Policy};
///
/// let policy = Policy { circuit: Some(CircuitPolicy::default()), ..Policy::default() };
/// assert!(policy.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CircuitPolicy {
    /// When.
    pub rules: TripRules,
    /// For how long.
    pub rest: Rest,
}

impl Default for CircuitPolicy {
    fn default() -> CircuitPolicy {
        let rules =
            TripRules { consecutive: 0, success_rate: 0.2, min_calls: 50, window: Duration::from_secs(10) };
        let rest = Rest { base: Duration::from_secs(1), longest: Duration::from_secs(30), jitter: 0.1 };
        CircuitPolicy { rules, rest }
    }
}

/// How an instance that joins or comes back from ejection gets its share. The instances of the first set start with all
/// of theirs. Consistent hashing knows no slow start: calls would move twice.
///
/// ```
/// use std::time::Duration;
/// use switchboard_balance::{Policy, SlowStartPolicy};
///
/// let slow_start = SlowStartPolicy { window: Duration::from_secs(120), aggression: 1.0 };
/// let policy = Policy { slow_start: Some(slow_start), ..Policy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStartPolicy {
    /// After this long it has all of its share.
    pub window: Duration,
    /// 1 is a straight line; more is steeper at first.
    pub aggression: f64,
}

impl Default for SlowStartPolicy {
    fn default() -> SlowStartPolicy {
        SlowStartPolicy { window: Duration::from_secs(30), aggression: 1.0 }
    }
}

/// Which zones calls go to.
///
/// ```
/// use switchboard_balance::{Policy, ZonePolicy};
///
/// let near = Policy { zone: Some(ZonePolicy::prefer("eu-1")), ..Policy::default() };
/// let as_ribbon = Policy { zone: Some(ZonePolicy::avoid_worst("eu-1")), ..Policy::default() };
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ZonePolicy {
    /// The caller's own zone.
    pub local: Arc<str>,
    /// What is done with it.
    pub mode: ZoneMode,
}

/// What is done with zones.
///
/// ```
/// use switchboard_balance::{ZoneMode, ZonePolicy};
///
/// // As soon as an instance of the zone would get more than others, the rest goes elsewhere.
/// let mode = ZoneMode::Prefer { overprovision: 1.0, min_local: 2 };
/// let even = ZonePolicy { mode, ..ZonePolicy::prefer("eu-1") };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ZoneMode {
    /// Calls stay in the caller's zone as long as its instances can bear their part; what they cannot bear goes to the
    /// other zones.
    Prefer {
        /// The clients of all zones are taken to be equally many. An instance of this zone may then get this many times
        /// the calls of an average one before the rest spills over; at least 1.
        overprovision: f64,
        /// Below this many instances that take calls the zone makes no difference.
        min_local: usize,
    },
    /// Calls go to all zones but the worst: one that is mostly ejected, or that has the most calls per instance. These
    /// are the rules of Ribbon.
    Avoid(crate::ribbon::ZoneRules),
}

impl ZonePolicy {
    /// Prefers this zone.
    pub fn prefer(zone: &str) -> ZonePolicy {
        ZonePolicy { local: Arc::from(zone), mode: ZoneMode::Prefer { overprovision: 1.4, min_local: 1 } }
    }

    /// Avoids the worst zone.
    pub fn avoid_worst(zone: &str) -> ZonePolicy {
        ZonePolicy { local: Arc::from(zone), mode: ZoneMode::Avoid(crate::ribbon::ZoneRules::default()) }
    }
}

/// To how many of the instances a client keeps.
///
/// ```
/// use switchboard_balance::{Policy, SubsetPolicy, hash_of};
///
/// let subset = SubsetPolicy { size: 20, seed: hash_of(b"this host's name") };
/// let policy = Policy { subset: Some(subset), ..Policy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubsetPolicy {
    /// How many.
    pub size: usize,
    /// Different for each client, and for one client always the same.
    pub seed: u64,
}

/// How calls are tried again. It is always on another instance.
///
/// ```
/// use switchboard_balance::{Policy, RetryPolicy};
///
/// let never = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
/// let policy = Policy { retry: never, ..Policy::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How often a call may be tried in all; 1 means no second time.
    pub max_attempts: u32,
    /// The share of the calls on the way that may be retries, from 0 to 1.
    pub budget: f64,
    /// So many may be in any case.
    pub min_concurrent: u32,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { max_attempts: 3, budget: 0.2, min_concurrent: 3 }
    }
}

/// A setting that makes no sense.
///
/// ```
/// use switchboard_balance::Policy;
///
/// let error = Policy { panic_threshold: 50.0, ..Policy::default() }.check().unwrap_err();
/// assert_eq!(error.to_string(), "panic_threshold: must be from 0 to 1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{setting}: {why}")]
pub struct PolicyError {
    /// Its place, such as `ejection.max_share`.
    pub setting: &'static str,
    /// What it must be.
    pub why: &'static str,
}

impl Policy {
    /// Names the first setting that makes no sense.
    pub fn check(&self) -> Result<(), PolicyError> {
        let mut rules: Vec<(bool, &'static str, &'static str)> = vec![
            (is_share(self.panic_threshold), "panic_threshold", "must be from 0 to 1"),
            (is_share(self.retry.budget), "retry.budget", "must be from 0 to 1"),
            (self.retry.max_attempts >= 1, "retry.max_attempts", "must be at least 1"),
            (!self.latency.decay.is_zero(), "latency.decay", "must not be 0"),
            (self.max_in_flight_per_instance != Some(0), "max_in_flight_per_instance", "must not be 0"),
            (self.max_in_flight != Some(0), "max_in_flight", "must not be 0"),
            (self.subset.is_none_or(|it| it.size >= 1), "subset.size", "must be at least 1"),
            (
                self.slow_start.is_none_or(|it| it.aggression > 0.0),
                "slow_start.aggression",
                "must be above 0",
            ),
        ];
        match self.algorithm {
            Algorithm::LeastRequest { choices } => {
                rules.push((choices >= 2, "algorithm.choices", "must be at least 2"));
            }
            Algorithm::ConsistentHash { load_bound } => {
                let fits = load_bound == 0.0 || (load_bound >= 1.0 && load_bound.is_finite());
                rules.push((fits, "algorithm.load_bound", "must be 0, or at least 1"));
            }
            Algorithm::PowerOfTwo
            | Algorithm::RoundRobin
            | Algorithm::WeightedRoundRobin
            | Algorithm::Random => {}
        }
        if let Some(ejection) = &self.ejection {
            let rest = ejection.rest;
            rules.push((is_share(ejection.max_share), "ejection.max_share", "must be from 0 to 1"));
            rules.push((
                is_share(ejection.rules.success_rate),
                "ejection.rules.success_rate",
                "must be from 0 to 1",
            ));
            rules.push((!rest.base.is_zero(), "ejection.rest.base", "must not be 0"));
            rules.push((is_share(rest.jitter), "ejection.rest.jitter", "must be from 0 to 1"));
        }
        if let Some(circuit) = &self.circuit {
            rules.push((
                is_share(circuit.rules.success_rate),
                "circuit.rules.success_rate",
                "must be from 0 to 1",
            ));
            rules.push((!circuit.rest.base.is_zero(), "circuit.rest.base", "must not be 0"));
            rules.push((is_share(circuit.rest.jitter), "circuit.rest.jitter", "must be from 0 to 1"));
        }
        if let Some(ZonePolicy { mode: ZoneMode::Prefer { overprovision, .. }, .. }) = &self.zone {
            let fits = *overprovision >= 1.0 && overprovision.is_finite();
            rules.push((fits, "zone.overprovision", "must be at least 1"));
        }
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, why)) => Err(PolicyError { setting, why }),
            None => Ok(()),
        }
    }
}

fn is_share(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

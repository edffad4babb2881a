use std::time::Duration;

use crate::hash::{mix, unit};
use crate::moment::Moment;
use crate::policy::{Rest, TripRules};
use crate::window::Window;

/// The state machine behind ejection of an instance and the circuit breaker of a service.
///
/// Closed lets calls through and counts failures. When the rules say so the owner opens it: it rests, each time for
/// longer. After the rest one call is let through (half open); if that succeeds it is closed again, otherwise it rests
/// anew. Answers that arrive while it rests are of calls from before and change nothing.
#[derive(Clone, Debug)]
pub struct Breaker {
    phase: Phase,
    consecutive: u32,
    window: Window,
    /// How often it opened of late; the next rest is this many times longer.
    times: u32,
    closed_at: Moment,
    salt: u64,
}

/// Where a breaker stands.
///
/// ```
/// use switchboard_balance::{Breaker, EjectionPolicy, Moment, Phase};
///
/// let EjectionPolicy { rules, rest, .. } = EjectionPolicy::default();
/// let mut breaker = Breaker::new(&rules, 7, Moment::START);
/// assert_eq!(breaker.phase(), Phase::Closed);
/// breaker.open(&rest, Moment::START);
/// assert!(matches!(breaker.phase(), Phase::Open { until } if until >= Moment::START + rest.base));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Calls go through.
    Closed,
    /// No call goes through.
    Open {
        /// The end of the rest.
        until: Moment,
    },
    /// One call is on its way to find out.
    HalfOpen,
}

/// What an outcome means to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// It wants fewer calls: no reason to open, and none to close.
    Busy,
}

impl Breaker {
    /// A closed breaker. Breakers with different salts come back at different moments.
    pub fn new(rules: &TripRules, salt: u64, now: Moment) -> Breaker {
        Breaker::of_window(rules.window, salt, now)
    }

    pub(crate) fn of_window(window: Duration, salt: u64, now: Moment) -> Breaker {
        let window = Window::new(window);
        Breaker { phase: Phase::Closed, consecutive: 0, window, times: 0, closed_at: now, salt }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Counts a call. True: the rules say that it should open now, with [`Breaker::open`]; the owner may have reasons not
    /// to, and is asked again at the next failure.
    #[must_use]
    pub fn record(&mut self, verdict: Verdict, rules: &TripRules, now: Moment) -> bool {
        if self.phase != Phase::Closed {
            return false;
        }
        match verdict {
            Verdict::Good => {
                self.consecutive = 0;
                self.window.count(false, now);
                false
            }
            Verdict::Busy => false,
            Verdict::Bad => {
                self.consecutive = self.consecutive.saturating_add(1);
                self.window.count(true, now);
                self.is_too_much(rules, now)
            }
        }
    }

    fn is_too_much(&self, rules: &TripRules, now: Moment) -> bool {
        let in_a_row = rules.consecutive > 0 && self.consecutive >= rules.consecutive;
        let of_late = rules.success_rate > 0.0
            && self.window.success_rate(rules.min_calls, now).is_some_and(|rate| rate < rules.success_rate);
        in_a_row || of_late
    }

    /// Opens it, for longer than the last time unless that is long ago.
    pub fn open(&mut self, rest: &Rest, now: Moment) {
        if self.phase == Phase::Closed {
            let forgiven = now.since(self.closed_at).as_nanos() / rest.base.as_nanos().max(1);
            self.times = self.times.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        }
        self.times = self.times.saturating_add(1);
        let longest = rest.longest.max(rest.base);
        let long = rest.base.saturating_mul(self.times).min(longest);
        let chance = unit(mix(self.salt ^ u64::from(self.times)));
        let jitter =
            Duration::try_from_secs_f64(long.as_secs_f64() * rest.jitter * chance).unwrap_or_default();
        self.phase = Phase::Open { until: now + long + jitter };
    }

    /// Asks to be the one call that finds out. Whoever is told true must call [`Breaker::probed`].
    #[must_use]
    pub fn try_probe(&mut self, now: Moment) -> bool {
        let due = matches!(self.phase, Phase::Open { until } if until <= now);
        if due {
            self.phase = Phase::HalfOpen;
        }
        due
    }

    /// The end of the one call; None if it was given up. True: it is closed again.
    pub fn probed(&mut self, verdict: Option<Verdict>, rest: &Rest, now: Moment) -> bool {
        if self.phase != Phase::HalfOpen {
            return false;
        }
        match verdict {
            Some(Verdict::Good) => {
                self.phase = Phase::Closed;
                self.consecutive = 0;
                self.window.clear();
                self.closed_at = now;
                return true;
            }
            Some(Verdict::Bad | Verdict::Busy) => self.open(rest, now),
            None => self.phase = Phase::Open { until: now },
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: TripRules =
        TripRules { consecutive: 3, success_rate: 0.5, min_calls: 10, window: Duration::from_secs(10) };
    const REST: Rest = Rest { base: Duration::from_secs(30), longest: Duration::from_secs(300), jitter: 0.0 };

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    /// Runs `G`ood, `B`ad and `L`imited calls, one each second; says after which one it wants to open.
    fn opens_after(calls: &str) -> Option<usize> {
        let mut breaker = Breaker::new(&RULES, 0, at(0));
        calls.chars().position(|call| {
            let verdict = match call {
                'G' => Verdict::Good,
                'B' => Verdict::Bad,
                _ => Verdict::Busy,
            };
            breaker.record(verdict, &RULES, at(0))
        })
    }

    #[test]
    fn it_opens_after_failures_in_a_row_or_too_many_of_late() {
        assert_eq!(opens_after("BBGBBGG"), None);
        assert_eq!(opens_after("BBB"), Some(2));
        assert_eq!(opens_after("BBLB"), Some(3));
        assert_eq!(opens_after("BBGBBGBBGB"), Some(9));
        assert_eq!(opens_after("LLLLLLLLLLLLLLLLLLLL"), None);
    }

    #[test]
    fn each_rest_is_longer_and_good_conduct_shortens_the_next() {
        let mut breaker = Breaker::new(&RULES, 0, at(0));
        breaker.open(&REST, at(0));
        assert_eq!(breaker.phase(), Phase::Open { until: at(30) });
        assert!(!breaker.try_probe(at(29)));
        assert!(breaker.try_probe(at(30)));
        assert!(!breaker.try_probe(at(30)), "two calls at once were let through");
        breaker.probed(Some(Verdict::Bad), &REST, at(31));
        assert_eq!(breaker.phase(), Phase::Open { until: at(91) });
        assert!(breaker.try_probe(at(91)));
        assert!(breaker.probed(Some(Verdict::Good), &REST, at(92)));
        breaker.open(&REST, at(93));
        assert_eq!(breaker.phase(), Phase::Open { until: at(93 + 90) });
        assert!(breaker.try_probe(at(200)));
        assert!(breaker.probed(Some(Verdict::Good), &REST, at(200)));
        breaker.open(&REST, at(1000));
        assert_eq!(breaker.phase(), Phase::Open { until: at(1030) });
    }

    #[test]
    fn a_probe_that_was_given_up_may_be_tried_by_the_next() {
        let mut breaker = Breaker::new(&RULES, 0, at(0));
        breaker.open(&REST, at(0));
        assert!(breaker.try_probe(at(40)));
        assert!(!breaker.probed(None, &REST, at(41)));
        assert!(breaker.try_probe(at(41)));
    }

    #[test]
    fn the_rest_has_an_end_and_jitter_spreads_it() {
        let rest = Rest { jitter: 0.5, ..REST };
        let ends: std::collections::BTreeSet<Moment> = (0..20)
            .map(|salt| {
                let mut breaker = Breaker::new(&RULES, salt, at(0));
                (0..50).for_each(|_| breaker.open(&rest, at(0)));
                let Phase::Open { until } = breaker.phase() else { panic!("it is not open") };
                assert!(until >= at(300) && until <= at(450), "{until:?}");
                until
            })
            .collect();
        assert!(ends.len() > 10, "they would all come back at once");
    }
}

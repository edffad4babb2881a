use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;

use crate::breaker::Phase;
use crate::budget::RetryPermit;
use crate::core::Core;
use crate::dice::Dice;
use crate::endpoint::{Endpoint, Fitness};
use crate::ledger::Ledger;
use crate::member::{Member, Pick, Probes, Report};
use crate::moment::Moment;
use crate::pick::{Choice, is_open_to, was_tried};
use crate::policy::{Policy, PolicyError};
use crate::request::{NoPick, Request};
use crate::roster::{Pool, Roster};
use crate::state::State;
use crate::subset::subset;

/// Picks an instance of one service for each call.
///
/// `T` is whatever the caller needs to reach an instance. Picking waits for nobody: it reads a view that
/// [`Balancer::update`] replaces as a whole.
pub struct Balancer<T> {
    core: Arc<Core>,
    view: ArcSwap<View<T>>,
    updating: Mutex<()>,
    has_members: AtomicBool,
}

struct View<T> {
    members: Box<[Arc<Member<T>>]>,
    /// Those of the members, in their order.
    states: Box<[Arc<State>]>,
    roster: ArcSwapOption<Roster>,
    making: Mutex<()>,
}

impl<T> Balancer<T> {
    /// A balancer without instances. Balancers that share a ledger share what they learn, and many of them may share a
    /// policy, too.
    pub fn new(policy: impl Into<Arc<Policy>>, ledger: Arc<Ledger>) -> Result<Balancer<T>, PolicyError> {
        let policy = policy.into();
        policy.check()?;
        Ok(Balancer {
            core: Arc::new(Core::new(policy, ledger)),
            view: ArcSwap::from_pointee(View::new(Vec::new())),
            updating: Mutex::new(()),
            has_members: AtomicBool::new(false),
        })
    }

    /// The policy it was made with.
    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    /// Replaces the instances. What is known about those that stay is kept; of two with the same key the first counts.
    pub fn update(&self, set: Vec<(Endpoint, T)>, now: Moment) {
        let _updating = self.updating.lock();
        let joins = self.has_members.load(Ordering::Relaxed);
        let rules = self.core.policy.ejection.unwrap_or_default().rules;
        let mut seen = HashSet::new();
        let mut set: Vec<(Endpoint, T)> =
            set.into_iter().filter(|(endpoint, _)| seen.insert(endpoint.key.clone())).collect();
        if let Some(policy) = &self.core.policy.subset {
            let endpoints: Vec<Endpoint> = set.iter().map(|(endpoint, _)| endpoint.clone()).collect();
            let kept: HashSet<usize> = subset(&endpoints, policy).into_iter().collect();
            let mut place = 0..;
            set.retain(|_| place.next().is_some_and(|place: usize| kept.contains(&place)));
        }
        let open = |(endpoint, target): (Endpoint, T)| {
            let state = self.core.ledger.open(&endpoint, &rules, joins, now);
            Arc::new(Member { endpoint, target, state })
        };
        let members: Vec<Arc<Member<T>>> = set.into_iter().map(open).collect();
        let is_crew =
            |member: &&Arc<Member<T>>| member.endpoint.fitness == Fitness::Fit && member.endpoint.weight > 0;
        self.core.set_crew(members.iter().filter(is_crew).map(|member| member.state.clone()).collect());
        if !members.is_empty() {
            self.has_members.store(true, Ordering::Relaxed);
        }
        self.view.store(Arc::new(View::new(members)));
        self.core.ledger.sweep();
    }

    /// Picks an instance for a call.
    pub fn pick(&self, request: &Request<'_>, now: Moment, dice: &mut dyn Dice) -> Result<Pick<T>, NoPick> {
        let view = self.view.load();
        if view.members.is_empty() {
            return Err(NoPick::Empty);
        }
        let circuit = self.core.enter(now)?;
        let picked = match view.roster(&self.core, now, dice) {
            Some(roster) => view.choose(&self.core, &roster, request, now, dice),
            None => None,
        };
        match picked {
            Some((member, instance)) => {
                let probes = Probes { instance, circuit };
                Ok(Pick::new(member.clone(), self.core.clone(), probes, now))
            }
            None => {
                if circuit {
                    self.core.tell_circuit(None, true, now);
                }
                Err(view.why_none(request))
            }
        }
    }

    /// Asks for leave to try a call once more. None: too many calls are being retried already.
    pub fn retry(&self) -> Option<RetryPermit> {
        self.core.budget.take(self.core.in_flight())
    }

    /// Calls on the way.
    pub fn in_flight(&self) -> u32 {
        self.core.in_flight()
    }

    /// Where the circuit breaker of the service stands; None: the policy has none.
    pub fn circuit(&self) -> Option<Phase> {
        self.core.circuit()
    }

    /// How many instances there are, whether they take calls or not.
    pub fn len(&self) -> usize {
        self.view.load().members.len()
    }

    /// Whether there are no instances.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known about each instance, for people.
    pub fn report(&self, now: Moment) -> Vec<Report> {
        let decay = self.core.policy.latency.decay;
        self.view.load().members.iter().map(|member| member.report(decay, now)).collect()
    }
}

impl<T> View<T> {
    fn new(members: Vec<Arc<Member<T>>>) -> View<T> {
        View {
            states: members.iter().map(|member| member.state.clone()).collect(),
            members: members.into(),
            roster: ArcSwapOption::empty(),
            making: Mutex::new(()),
        }
    }

    /// The roster, made anew if it is not good any more. While one thread makes it the others go by the old one.
    fn roster(&self, core: &Core, now: Moment, dice: &mut dyn Dice) -> Option<Arc<Roster>> {
        let roster = self.roster.load();
        let _making = match &*roster {
            Some(roster) if roster.is_good(core, now) => return Some(roster.clone()),
            Some(roster) => match self.making.try_lock() {
                Some(making) => making,
                None => return Some(roster.clone()),
            },
            None => self.making.lock(),
        };
        if let Some(roster) = self.roster.load_full().filter(|roster| roster.is_good(core, now)) {
            return Some(roster);
        }
        let endpoints: Vec<&Endpoint> = self.members.iter().map(|member| &member.endpoint).collect();
        let made = Arc::new(Roster::make(&endpoints, &self.states, core, now, dice));
        self.roster.store(Some(made.clone()));
        Some(made)
    }

    /// The member that takes the call, and whether that is a probe.
    fn choose(
        &self,
        core: &Core,
        roster: &Roster,
        request: &Request<'_>,
        now: Moment,
        dice: &mut dyn Dice,
    ) -> Option<(&Arc<Member<T>>, bool)> {
        for place in &roster.probes {
            let member = self.members.get(*place as usize)?;
            let mut taken = false;
            if is_open_to(&member.state, core, request) {
                member.state.with_breaker(now, |breaker| taken = breaker.try_probe(now));
            }
            if taken {
                return Some((member, true));
            }
        }
        let first = match roster.pools.len() {
            0 => return None,
            1 => 0,
            _ => {
                let lot = dice.unit();
                roster.pools.iter().position(|pool| lot < pool.upto).unwrap_or(0)
            }
        };
        let choose = |pool: &Pool, dice: &mut dyn Dice| {
            let typical_nanos = roster.typical_nanos;
            let choice = Choice {
                candidates: &pool.candidates,
                states: &self.states,
                core,
                request,
                typical_nanos,
                now,
            };
            choice.make(dice)
        };
        let mut place = roster.pools.get(first).and_then(|pool| choose(pool, dice));
        let others = roster.pools.iter().enumerate().filter(|(i, _)| *i != first);
        for (_, pool) in others {
            place = place.or_else(|| choose(pool, dice));
        }
        self.members.get(place? as usize).map(|member| (member, false))
    }

    fn why_none(&self, request: &Request<'_>) -> NoPick {
        let takers: Vec<&Arc<Member<T>>> = self
            .members
            .iter()
            .filter(|member| member.endpoint.fitness != Fitness::Away && member.endpoint.weight > 0)
            .collect();
        let is_fit = |member: &&&Arc<Member<T>>| member.endpoint.fitness == Fitness::Fit;
        if takers.iter().find(is_fit).is_none() {
            return NoPick::NoneServing { known: self.members.len() };
        }
        if takers.iter().filter(is_fit).all(|member| was_tried(&member.state, request)) {
            return NoPick::AllTried;
        }
        // Ejected ones are left out of a retry too; what is left has no room or was tried.
        let has_untried_room =
            takers.iter().any(|member| !member.state.is_ejected() && !was_tried(&member.state, request));
        if has_untried_room { NoPick::Full } else { NoPick::AllTried }
    }
}

impl<T> fmt::Debug for Balancer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balancer")
            .field("instances", &self.len())
            .field("in_flight", &self.in_flight())
            .finish()
    }
}

//! What the zone rules make of zones: reads a situation per line, `NAME CALLS | ZONE INSTANCES TRIPPED ACTIVE | ...`, and
//! says how often which zones were available and which instance was chosen. `conformance/eureka/ribbon.py` compares it
//! with what Ribbon says.
#![allow(clippy::print_stdout, reason = "what it says is what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use switchboard_balance::{
    Algorithm, Balancer, EjectionPolicy, Endpoint, Ledger, Moment, Outcome, Pick, Policy, Request,
    ZonePolicy, ZoneRules, ZoneSnapshot, available_zones,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Counts = BTreeMap<String, usize>;

struct Zone {
    name: Arc<str>,
    instances: usize,
    tripped: usize,
    active: usize,
}

fn main() -> Result<()> {
    let mut random = fastrand::Rng::with_seed(20_260_101);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut parts = line.split('|').map(str::trim);
        let (name, calls) = parts.next().and_then(|head| head.split_once(' ')).ok_or("NAME CALLS")?;
        let calls: usize = calls.parse()?;
        let zones = parts.map(read).collect::<Result<Vec<Zone>>>()?;
        tell("zones", name, &available(&zones, calls, &mut random));
        tell("choices", name, &choices(&zones, calls, &mut random)?);
    }
    Ok(())
}

fn read(text: &str) -> Result<Zone> {
    let mut words = text.split(' ');
    let name = Arc::from(words.next().ok_or("a zone's name")?);
    let mut number = || -> Result<usize> { Ok(words.next().ok_or("a number")?.parse()?) };
    Ok(Zone { name, instances: number()?, tripped: number()?, active: number()? })
}

fn available(zones: &[Zone], calls: usize, random: &mut fastrand::Rng) -> Counts {
    let snapshot = |zone: &Zone| {
        let active = u32::try_from(zone.active).unwrap_or(u32::MAX);
        (zone.name.clone(), ZoneSnapshot::new(zone.instances, zone.tripped, active))
    };
    let snapshots: BTreeMap<_, _> = zones.iter().map(snapshot).collect();
    let mut counts = Counts::new();
    for _ in 0..calls {
        let left = available_zones(&snapshots, &ZoneRules::default(), &mut || random.u64(..));
        *counts.entry(left.join("+")).or_default() += 1;
    }
    counts
}

fn choices(zones: &[Zone], calls: usize, random: &mut fastrand::Rng) -> Result<Counts> {
    const LONG: Duration = Duration::from_secs(100_000);
    let mut ejection = EjectionPolicy { max_share: 1.0, ..EjectionPolicy::default() };
    (ejection.rest.base, ejection.rest.longest) = (LONG, LONG);
    let policy = Policy {
        algorithm: Algorithm::Random,
        ejection: Some(ejection),
        slow_start: None,
        zone: Some(ZonePolicy::avoid_worst("elsewhere")),
        // Ribbon knows no such thing.
        panic_threshold: 0.0,
        ..Policy::default()
    };
    let ledger = Arc::new(Ledger::new());
    let mut now = Moment::after_start(Duration::from_secs(1000));
    let mut all = Vec::new();
    // Kept, for what is known of an instance is kept as long as somebody has it.
    let (mut others, mut under_way) = (Vec::new(), Vec::new());
    for zone in zones {
        let made = (0..zone.instances).map(|i| endpoint(zone, i)).collect::<Result<Vec<_>>>()?;
        for one in made.iter().take(zone.tripped) {
            others.push(trip(one, &policy, &ledger, now)?);
        }
        for call in 0..zone.active {
            let place = zone.tripped + call % (zone.instances - zone.tripped).max(1);
            let one = made.get(place).ok_or("calls to nobody")?;
            let (balancer, pick) = begin(one, &policy, &ledger, now)?;
            others.push(balancer);
            under_way.push(pick);
        }
        all.extend(made);
    }
    let balancer = Balancer::new(policy, ledger)?;
    balancer.update(all, now);
    let mut counts = Counts::new();
    for _ in 0..calls {
        // Ribbon looks at the zones anew for each call, this when a tenth of a second has passed.
        now = now + Duration::from_millis(150);
        let chosen = match balancer.pick(&Request::default(), now, &mut || random.u64(..)) {
            Ok(pick) => {
                let chosen = pick.target().clone();
                pick.give_up(now);
                chosen
            }
            Err(_) => "none".to_owned(),
        };
        *counts.entry(chosen).or_default() += 1;
    }
    under_way.into_iter().for_each(|pick: Pick<String>| pick.give_up(now));
    Ok(counts)
}

fn endpoint(zone: &Zone, i: usize) -> Result<(Endpoint, String)> {
    let id = format!("{}-{i}", zone.name);
    Ok((Endpoint { zone: Some(zone.name.clone()), ..Endpoint::new("service", &id)? }, id))
}

/// Fails on one instance until it is ejected, beside another one that is well.
fn trip(
    one: &(Endpoint, String),
    policy: &Policy,
    ledger: &Arc<Ledger>,
    now: Moment,
) -> Result<Balancer<String>> {
    let policy = Policy { algorithm: Algorithm::RoundRobin, zone: None, ..policy.clone() };
    let balancer = Balancer::new(policy, ledger.clone())?;
    let well = format!("beside {}", one.1);
    balancer.update(vec![one.clone(), (Endpoint::new("service", &well)?, well)], now);
    let mut dice = fastrand::Rng::with_seed(1);
    for _ in 0..100 {
        let pick = balancer.pick(&Request::default(), now, &mut || dice.u64(..))?;
        let outcome = if *pick.target() == one.1 { Outcome::FAILURE } else { Outcome::Success };
        pick.finish(outcome, now);
    }
    Ok(balancer)
}

/// A call that does not end.
fn begin(
    one: &(Endpoint, String),
    policy: &Policy,
    ledger: &Arc<Ledger>,
    now: Moment,
) -> Result<(Balancer<String>, Pick<String>)> {
    let balancer = Balancer::new(Policy { zone: None, ..policy.clone() }, ledger.clone())?;
    balancer.update(vec![one.clone()], now);
    let mut dice = fastrand::Rng::with_seed(1);
    let pick = balancer.pick(&Request::default(), now, &mut || dice.u64(..))?;
    Ok((balancer, pick))
}

fn tell(what: &str, name: &str, counts: &Counts) {
    let named = |key: &str| if key.is_empty() { "none".to_owned() } else { key.to_owned() };
    let counts: Vec<String> = counts.iter().map(|(key, count)| format!(" {}={count}", named(key))).collect();
    println!("{what} {name}{}", counts.concat());
}

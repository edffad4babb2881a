//! Watches over deadlines: leases, lapsed leases, TTL checks, and checks that stay critical.
//!
//! It is a caller of `submit` like anyone else. It decides nothing: what is overdue is proposed, and the plan looks
//! again, with the brake in hand.

use std::sync::Arc;
use std::time::Duration;

use switchboard_model::{
    Check, CheckKey, LeaseId, OnExpiry, Owner, Probe, Rejection, Standing, Status, Stored,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::caller::Caller;
use crate::changes::{Changes, What};
use crate::clock::ServiceTime;
use crate::plan::{DeleteNode, Deregister, Expire, Expiry, Judge, Retire, Revive};
use crate::registry::{Registry, Shared};
use crate::snapshot::Snapshot;

/// Leases proposed in one intent.
const BATCH: usize = 256;
/// Proposals on their way at once: a mass loss must not fill the queue that registrations wait in.
const AT_ONCE: usize = 64;

pub(crate) fn spawn(registry: Registry) {
    let shared = registry.shared().clone();
    tokio::spawn(shared.clone().keep("the watch over deadlines", run(registry.clone())));
    tokio::spawn(shared.keep("the forgetting of history", compact(registry)));
}

async fn run(registry: Registry) {
    let shared = registry.shared().clone();
    let tick = shared.options.tick;
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pace = Pace::default();
    let mut proposals = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = registry.stopping() => return,
        }
        let Some(now) = pace.advance(&shared) else { continue };
        while proposals.try_join_next().is_some() {}
        propose(&registry, now, &mut proposals);
    }
}

/// Turns real time into service time.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    stalls: u64,
}

impl Pace {
    /// None: time stands still, because the store does.
    fn advance(&mut self, shared: &Shared) -> Option<ServiceTime> {
        let tick = shared.options.tick;
        let passed = self.last.replace(Instant::now()).map_or(Duration::ZERO, |last| last.elapsed());
        if shared.stall.is_long() {
            return None;
        }
        let stalls = shared.stall.count();
        let now = shared.clock.advance(passed, tick);
        if passed > tick * 4 || stalls != self.stalls {
            // Somebody may have spoken while nobody listened.
            self.stalls = stalls;
            shared.meters.pauses.inc();
            shared.leases.grace(now);
            shared.ttl_checks.grace(now);
            shared.lingers.grace(now);
            shared.removals.grace(now);
        }
        Some(now)
    }
}

fn propose(registry: &Registry, now: ServiceTime, proposals: &mut JoinSet<()>) {
    let shared = registry.shared();
    let room = |proposals: &JoinSet<()>| AT_ONCE.saturating_sub(proposals.len());

    let returned = shared.leases.take_returned(BATCH);
    if !returned.is_empty() {
        proposals.spawn(revive(registry.clone(), returned));
    }
    shared.ttl_checks.take_returned(usize::MAX);

    let Some(at) = shared.published.load_full() else { return };
    let mut due = shared.leases.due(now, room(proposals) * BATCH);
    let allowance = shared.options.brake.allowance(at.tally().kept, &at.losses, now);
    due.extend(shared.leases.release(allowance.min(BATCH)));
    let (exact, lapsing): (Vec<LeaseId>, Vec<LeaseId>) = due
        .into_iter()
        .partition(|id| at.lease(*id).is_some_and(|view| view.lease.on_expiry == OnExpiry::Delete));
    for batch in lapsing.chunks(BATCH) {
        proposals.spawn(expire(registry.clone(), batch.to_vec()));
    }
    // What a protocol promises exactly goes lease by lease, each in a revision of its own.
    for batch in exact.chunks(BATCH) {
        let (registry, batch) = (registry.clone(), batch.to_vec());
        proposals.spawn(async move {
            for id in batch {
                expire(registry.clone(), vec![id]).await;
            }
        });
    }
    for id in shared.lingers.due(now, room(proposals)) {
        proposals.spawn(retire(registry.clone(), id));
    }
    let mut silent = shared.ttl_checks.due(now, room(proposals));
    silent.extend(shared.ttl_checks.release(allowance.min(room(proposals))));
    for key in silent {
        proposals.spawn(silence(registry.clone(), key));
    }
    for key in shared.removals.due(now, room(proposals)) {
        proposals.spawn(remove(registry.clone(), key));
    }
}

fn me() -> Caller {
    Caller::internal("reaper")
}

async fn expire(registry: Registry, leases: Vec<LeaseId>) {
    let shared = registry.shared().clone();
    let judge: Judge = {
        let shared = shared.clone();
        Arc::new(move |id| shared.leases.judge(&id))
    };
    let intent = Expire { leases: leases.clone(), judge, brake: shared.options.brake };
    match registry.submit(&me(), intent).await {
        Ok(committed) => {
            for (id, expiry) in committed.reply {
                match expiry {
                    Expiry::Held => {
                        shared.meters.holds.inc();
                        shared.leases.hold(&id);
                    }
                    Expiry::Lapsed | Expiry::Deleted => {
                        shared.meters.lapses.inc();
                    }
                    Expiry::Void => {}
                }
            }
        }
        Err(rejection) => {
            tracing::warn!(%rejection, leases = leases.len(), "leases could not be ended; they get a full TTL");
            for id in &leases {
                shared.leases.forgive(id, shared.clock.service());
            }
        }
    }
}

async fn revive(registry: Registry, leases: Vec<LeaseId>) {
    if let Err(rejection) = registry.submit(&me(), Revive { leases: leases.clone() }).await {
        tracing::warn!(%rejection, "suspect leases that were heard of again stay suspect until their next heartbeat");
        let shared = registry.shared();
        for id in &leases {
            shared.leases.hold(id);
        }
    }
}

async fn retire(registry: Registry, id: LeaseId) {
    let shared = registry.shared();
    if !shared.lingers.judge(&id) {
        return;
    }
    if let Err(rejection) = registry.submit(&me(), Retire { id }).await {
        tracing::warn!(%rejection, %id, "a lapsed lease could not be removed; trying again later");
        shared.lingers.forgive(&id, shared.clock.service());
    }
}

/// A TTL check that nobody reported on.
async fn silence(registry: Registry, key: CheckKey) {
    let shared = registry.shared();
    if !shared.ttl_checks.judge(&key) {
        return;
    }
    let output = expired(&last_output(&registry, &key));
    match registry.evidence(&me(), &key, Status::Critical, &output).await {
        Ok(_) => {
            let held =
                shared.published.load().as_ref().is_some_and(|at| at.check(&key).is_some_and(|c| c.suspect));
            if held {
                shared.meters.holds.inc();
                shared.ttl_checks.hold(&key);
            }
        }
        Err(Rejection::NotFound { .. }) => {}
        Err(rejection) => {
            tracing::warn!(%rejection, %key, "a silent check could not be marked; it gets a full TTL");
            shared.ttl_checks.forgive(&key, shared.clock.service());
        }
    }
}

fn last_output(registry: &Registry, key: &CheckKey) -> String {
    if let Some(newest) = registry.output(key) {
        return newest.text.to_string();
    }
    let published = registry.shared().published.load();
    let check = published.as_ref().and_then(|at| at.check(key).map(|check| check.output.to_string()));
    check.unwrap_or_default()
}

/// What a silent check says: for people, so with what they heard of it last.
fn expired(last: &str) -> String {
    const EXPIRED: &str = "TTL expired";
    match last {
        "" => EXPIRED.to_owned(),
        // It is silent still, or again.
        _ if last.starts_with(EXPIRED) => last.to_owned(),
        _ => format!("{EXPIRED} (last output before timeout follows): {last}"),
    }
}

/// A check that has been critical for as long as its owner allows.
async fn remove(registry: Registry, key: CheckKey) {
    let shared = registry.shared();
    if !shared.removals.judge(&key) {
        return;
    }
    let removed = match &key.owner {
        Owner::Instance(owner) => registry.submit(&me(), Deregister { key: owner.clone() }).await.map(|_| ()),
        Owner::Node(owner) => {
            let intent = DeleteNode { key: owner.clone(), with_instances: true };
            registry.submit(&me(), intent).await.map(|_| ())
        }
    };
    match removed {
        Ok(()) => tracing::info!(%key, "deregistered the owner of a check that stayed critical"),
        Err(Rejection::NotFound { .. }) => {}
        Err(rejection) => {
            tracing::warn!(%rejection, %key, "the owner of a critical check could not be deregistered");
            shared.removals.forgive(&key, shared.clock.service());
        }
    }
}

/// Compacts history by age, a few times within that age.
async fn compact(registry: Registry) {
    let Some(keep) = registry.options().keep_history else { return };
    let mut marks: Vec<(Instant, switchboard_model::Revision)> = Vec::new();
    let step = (keep / 12).max(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = tokio::time::sleep(step) => {}
            () = registry.stopping() => return,
        }
        marks.push((Instant::now(), registry.head()));
        let old = marks.iter().rposition(|(at, _)| at.elapsed() >= keep);
        if let Some((_, through)) = old.and_then(|old| marks.drain(..=old).next_back())
            && let Err(error) = registry.compact(&me(), through).await
        {
            tracing::warn!(%error, %through, "history could not be compacted; trying again later");
        }
    }
}

/// Starts the deadlines of everything that was loaded: each has its full time again.
pub(crate) fn adopt(shared: &Shared, snapshot: &Snapshot) {
    for view in snapshot.leases(std::ops::Bound::Unbounded) {
        lease(shared, None, Some(&view.lease));
    }
    let on_nodes = snapshot.nodes(std::ops::Bound::Unbounded).flat_map(|view| view.facts.checks.iter());
    for found in on_nodes {
        check(shared, None, Some(found));
    }
    if snapshot.tally().checks > 0 {
        let services = snapshot.services(std::ops::Bound::Unbounded);
        for found in services.flat_map(|service| service.instances()).flat_map(|view| view.checks.iter()) {
            check(shared, None, Some(found));
        }
    }
}

/// Keeps the deadlines true to what was committed.
pub(crate) fn follow(shared: &Shared, changes: &Changes) {
    for item in &changes.items {
        match &item.what {
            What::Lease { before, after } => lease(shared, before.as_deref(), after.as_deref()),
            What::Check { before, after } => check(shared, before.as_deref(), after.as_deref()),
            What::Instance { .. } | What::Node { .. } | What::Entry { .. } => {}
        }
    }
}

type StoredLease = Stored<switchboard_model::Lease>;

fn lease(shared: &Shared, before: Option<&StoredLease>, after: Option<&StoredLease>) {
    let now = shared.clock.service();
    let Some(lease) = after else {
        if let Some(before) = before {
            shared.leases.stop(&before.id);
            shared.lingers.stop(&before.id);
        }
        return;
    };
    let same = before.is_some_and(|before| before.ttl == lease.ttl && before.standing == lease.standing);
    match (lease.standing, lease.on_expiry) {
        (Standing::Live, _) if !same => {
            shared.lingers.stop(&lease.id);
            shared.leases.start(lease.id, lease.ttl, now);
        }
        // Found at start: like everyone else it has its full TTL again, and so it is no longer suspect.
        (Standing::Suspect { .. }, _) if before.is_none() => {
            shared.leases.start(lease.id, lease.ttl, now);
            shared.leases.welcome(lease.id);
        }
        (Standing::Lapsed { .. }, OnExpiry::Lapse { linger }) if !same => {
            shared.leases.stop(&lease.id);
            shared.lingers.start(lease.id, linger, now);
        }
        _ => {}
    }
}

fn check(shared: &Shared, before: Option<&Stored<Check>>, after: Option<&Stored<Check>>) {
    let now = shared.clock.service();
    let Some(check) = after else {
        if let Some(before) = before {
            shared.ttl_checks.stop(&before.key);
            shared.removals.stop(&before.key);
            shared.outputs.forget(&before.key);
        }
        return;
    };
    match check.probe {
        Probe::Ttl { ttl } if check.status != Status::Critical => {
            let same =
                before.is_some_and(|before| before.probe == check.probe && before.status == check.status);
            if !same || !shared.ttl_checks.is_running(&check.key) {
                shared.ttl_checks.start(check.key.clone(), ttl, now);
            }
        }
        // A held one stays in hand: its status is critical, but it is not believed.
        Probe::Ttl { .. } if check.suspect => {}
        _ => shared.ttl_checks.stop(&check.key),
    }
    match check.deregister_after {
        Some(after) if check.counted() == Status::Critical => {
            if !shared.removals.is_running(&check.key) {
                shared.removals.start(check.key.clone(), after, now);
            }
        }
        _ => shared.removals.stop(&check.key),
    }
}

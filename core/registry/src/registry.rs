use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use switchboard_model::{
    CheckKey, InstanceKey, LeaseId, Noun, Probe, RecordKey, Rejection, Revision, Selector, ServiceKey,
    Status, Unavailable,
};
use switchboard_store::{ChangesError, Engine, Facts, StoreError};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::caller::Caller;
use crate::changes::Changes;
use crate::clock::{Clock, Now};
use crate::deadlines::{Beat, Deadlines};
use crate::diary::{Diary, Transition};
use crate::fold::{Step, fold};
use crate::gate::Gate;
use crate::meters::Meters;
use crate::options::Options;
use crate::outputs::{Output, Outputs};
use crate::past::Pasts;
use crate::plan::{Intent, Report, Reporter, Revive};
use crate::ring::Ring;
use crate::snapshot::Snapshot;
use crate::topics::Topics;
use crate::watch::Watch;
use crate::writer::{Ask, Asked, Stall, Writer};
use crate::{brake::Brake, reaper};

/// The front door. Cheap to clone; every clone is the same registry.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("head", &self.shared.head()).finish_non_exhaustive()
    }
}

/// What a write came to.
#[derive(Clone, Debug)]
pub struct Committed<R> {
    pub reply: R,
    /// The commit that made it true; for a wish that was true already, the newest commit.
    pub revision: Revision,
    /// Whether a commit was made.
    pub changed: bool,
}

/// What a heartbeat came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The lease has its full TTL again.
    Kept { ttl: Duration },
    /// The lease had lapsed: [`Registry::keep_alive`] brings it back.
    Late { ttl: Duration },
}

/// What a report on a check came to.
#[derive(Clone, Copy, Debug)]
pub struct Reported {
    pub revision: Revision,
    pub changed: bool,
}

/// One snapshot, as far as the caller may see it.
#[derive(Clone, Debug)]
pub struct View(pub(crate) Arc<Snapshot>);

impl Deref for View {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

/// What all parts of the registry share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) meters: Meters,
    /// None until the records are loaded: an empty answer would look like an empty registry.
    pub(crate) published: ArcSwapOption<Snapshot>,
    head: AtomicU64,
    /// History up to here is no longer kept, as far as this process knows.
    floor: AtomicU64,
    pub(crate) pasts: Pasts,
    pub(crate) heads: watch::Sender<Revision>,
    pub(crate) ring: Ring,
    pub(crate) topics: Topics,
    pub(crate) leases: Deadlines<LeaseId>,
    /// Lapsed leases until they go.
    pub(crate) lingers: Deadlines<LeaseId>,
    /// TTL checks until they turn critical.
    pub(crate) ttl_checks: Deadlines<CheckKey>,
    /// Critical checks until their owner is deregistered.
    pub(crate) removals: Deadlines<CheckKey>,
    pub(crate) outputs: Outputs,
    pub(crate) diary: Diary,
    pub(crate) stall: Stall,
    /// What stands between the registry and being ready, for people.
    pub(crate) waiting_for: Mutex<Option<String>>,
    asks: Mutex<Option<mpsc::Sender<Box<dyn Ask>>>>,
    stopping: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
    pub(crate) catch_ups: Semaphore,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Registry {
    /// Opens the registry over an engine. It answers at once, with `Loading`, until the records are loaded.
    pub fn open(engine: Arc<dyn Engine>, options: Options, gate: Arc<dyn Gate>) -> Registry {
        let (asks, inbox) = mpsc::channel(options.bounds.queue);
        let shared = Arc::new(Shared {
            engine,
            gate,
            options,
            clock: Clock::default(),
            meters: Meters::default(),
            published: ArcSwapOption::empty(),
            head: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            pasts: Pasts::default(),
            heads: watch::Sender::new(Revision::ZERO),
            ring: Ring::new(options.bounds.ring),
            topics: Topics::default(),
            leases: Deadlines::new(),
            lingers: Deadlines::new(),
            ttl_checks: Deadlines::new(),
            removals: Deadlines::new(),
            outputs: Outputs::default(),
            diary: Diary::new(options.bounds.diary),
            stall: Stall::default(),
            waiting_for: Mutex::new(Some("its records to be loaded".to_owned())),
            asks: Mutex::new(Some(asks)),
            stopping: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
            catch_ups: Semaphore::new(2),
        });
        let registry = Registry { shared: shared.clone() };
        let (reaped, watched) = (registry.clone(), shared.clone());
        let writing = shared.clone().keep("the writer", async move {
            match Writer::load(watched.clone(), inbox).await {
                Ok(writer) => {
                    reaper::spawn(reaped);
                    writer.run().await;
                }
                Err(error) => {
                    tracing::error!(%error, "the store could not be loaded");
                    *watched.waiting_for.lock() = Some(format!("a store that can be loaded: {error}"));
                    watched.end();
                }
            }
        });
        tokio::spawn(async move {
            writing.await;
            shared.stopped.send_replace(true);
        });
        registry
    }

    /// Waits until the records are loaded. Err: they cannot be, and why.
    pub async fn loaded(&self) -> Result<(), String> {
        let mut heads = self.shared.heads.subscribe();
        let mut stopped = self.shared.stopped.subscribe();
        loop {
            if self.shared.published.load().is_some() {
                return Ok(());
            }
            if *stopped.borrow() {
                return Err(self.waiting_for().unwrap_or_else(|| "the registry stopped".to_owned()));
            }
            tokio::select! {
                _ = heads.changed() => {}
                _ = stopped.changed() => {}
            }
        }
    }

    /// Makes a wish come true, durably. Nothing is acknowledged before the engine has kept it.
    pub async fn submit<I: Intent>(
        &self,
        caller: &Caller,
        intent: I,
    ) -> Result<Committed<I::Reply>, Rejection> {
        let (done, answer) = oneshot::channel();
        let ask: Box<dyn Ask> = Box::new(Asked::new(*caller, intent, done));
        let asks = self.shared.asks.lock().clone().ok_or(Unavailable::Stopping)?;
        match asks.try_send(ask) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.shared.meters.overloads.inc();
                return Err(Unavailable::Overloaded.into());
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Unavailable::Stopping.into()),
        }
        drop(asks);
        answer.await.unwrap_or_else(|_| Err(Unavailable::Stopping.into()))
    }

    /// The newest published snapshot.
    pub fn view(&self, _caller: &Caller) -> Result<View, Rejection> {
        self.shared.published.load_full().map(View).ok_or_else(|| Unavailable::Loading.into())
    }

    /// A snapshot at least as new as `revision`; waits for it, as long as `patience` lasts.
    pub async fn view_at_least(
        &self,
        caller: &Caller,
        revision: Revision,
        patience: Duration,
    ) -> Result<View, Rejection> {
        let mut heads = self.shared.heads.subscribe();
        let reached = heads.wait_for(|head| *head >= revision);
        match tokio::time::timeout(patience, reached).await {
            Ok(_) => self.view(caller),
            Err(_) => Err(Rejection::NotYet { wanted: revision, head: self.shared.head() }),
        }
    }

    /// The commits after `after` that touch the selector.
    pub fn watch(&self, _caller: &Caller, selector: &Selector, after: Revision) -> Result<Watch, Rejection> {
        if self.shared.published.load().is_none() {
            return Err(Unavailable::Loading.into());
        }
        Watch::open(self.shared.clone(), selector, after)
    }

    /// A heartbeat, in memory.
    pub fn renew(&self, lease: LeaseId) -> Result<Renewed, Rejection> {
        match self.shared.leases.beat(&lease, self.shared.clock.service()) {
            Some(Beat::Kept(ttl)) => {
                self.shared.meters.renewals.inc();
                Ok(Renewed::Kept { ttl })
            }
            Some(Beat::Late(ttl)) => Ok(Renewed::Late { ttl }),
            None => match self.shared.published.load().as_ref() {
                None => Err(Unavailable::Loading.into()),
                Some(at) => match at.lease(lease) {
                    // Lapsed: only its linger is ticking.
                    Some(view) => Ok(Renewed::Late { ttl: view.lease.ttl }),
                    None => Err(Rejection::not_found(Noun::Lease, lease)),
                },
            },
        }
    }

    /// A heartbeat that also brings a lapsed lease back. Returns its TTL.
    pub async fn keep_alive(&self, caller: &Caller, lease: LeaseId) -> Result<Duration, Rejection> {
        match self.renew(lease)? {
            Renewed::Kept { ttl } => Ok(ttl),
            Renewed::Late { ttl } => {
                self.submit(caller, Revive { leases: vec![lease] }).await?;
                Ok(ttl)
            }
        }
    }

    /// How long until the lease ends, if nothing is heard.
    pub fn remaining(&self, lease: LeaseId) -> Option<Duration> {
        self.shared.leases.remaining(&lease, self.shared.clock.service())
    }

    /// A provider's word on a check. The same word again moves a deadline in memory and wakes nobody.
    pub async fn report(
        &self,
        caller: &Caller,
        key: &CheckKey,
        status: Status,
        output: &str,
    ) -> Result<Reported, Rejection> {
        self.verdict(caller, key, status, output, Reporter::Provider).await
    }

    /// What a probe, or the lack of a report, says about a check.
    pub async fn evidence(
        &self,
        caller: &Caller,
        key: &CheckKey,
        status: Status,
        output: &str,
    ) -> Result<Reported, Rejection> {
        self.verdict(caller, key, status, output, Reporter::Evidence(self.shared.options.brake)).await
    }

    async fn verdict(
        &self,
        caller: &Caller,
        key: &CheckKey,
        status: Status,
        output: &str,
        by: Reporter,
    ) -> Result<Reported, Rejection> {
        let view = self.view(caller)?;
        let check = view.check(key).ok_or_else(|| Rejection::not_found(Noun::Check, &key.id))?;
        let key = check.key.clone();
        let provider = matches!(by, Reporter::Provider);
        let is_ttl = matches!(check.probe, Probe::Ttl { .. });
        if provider && is_ttl && status != Status::Critical {
            self.shared.ttl_checks.beat(&key, self.shared.clock.service());
        }
        // A beat that came too late still needs a commit: the check is being taken for silent.
        let settled = check.status == status && !check.suspect;
        let ticking = !is_ttl || status == Status::Critical || self.shared.ttl_checks.is_running(&key);
        self.shared.outputs.set(&key, output, self.now().wall_ms);
        if settled && ticking {
            return Ok(Reported { revision: view.revision(), changed: false });
        }
        let report = Report { key, status, output: output.into(), by };
        let committed = self.submit(caller, report).await?;
        Ok(Reported { revision: committed.revision, changed: committed.changed })
    }

    /// The newest output of a check, if it is newer than what the check's record holds.
    pub fn output(&self, key: &CheckKey) -> Option<Output> {
        self.shared.outputs.get(key)
    }

    /// Moves whenever `output` says something else of a check that shows in this service.
    pub fn outputs_version(&self, service: &ServiceKey) -> u64 {
        self.shared.outputs.version(service)
    }

    /// The state changes of an instance that are remembered, oldest first.
    pub fn history(&self, key: &InstanceKey) -> Vec<Transition> {
        self.shared.diary.of(key)
    }

    pub fn head(&self) -> Revision {
        self.shared.head()
    }

    pub fn now(&self) -> Now {
        self.shared.clock.now()
    }

    pub fn facts(&self) -> Facts {
        self.shared.engine.facts()
    }

    pub fn brake(&self) -> Brake {
        self.shared.options.brake
    }

    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// What the registry waits for before it is ready; None: it is.
    pub fn waiting_for(&self) -> Option<String> {
        let waiting_for = self.shared.waiting_for.lock().clone();
        let is_stopping = *self.shared.stopping.borrow() && self.shared.published.load().is_some();
        waiting_for.or_else(|| is_stopping.then(|| "nothing: it is stopping".to_owned()))
    }

    /// The meters, with the gauges brought up to date.
    pub fn meters(&self) -> &Meters {
        let meters = &self.shared.meters;
        let gauges = &meters.gauges;
        let set = |gauge: &prometheus_client::metrics::gauge::Gauge, value: usize| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        if let Some(at) = self.shared.published.load().as_ref() {
            let tally = at.tally();
            gauges.revision.set(at.revision().0);
            set(&gauges.services, at.service_count());
            set(&gauges.instances, tally.instances);
            set(&gauges.served, tally.served);
            set(&gauges.suspect, tally.suspect);
            set(&gauges.lapsed, tally.lapsed);
            set(&gauges.checks, tally.checks);
            set(&gauges.leases, at.lease_count());
            set(&gauges.entries, at.entry_count());
        }
        set(&gauges.watches, meters.watches.load(Ordering::Acquire));
        set(&gauges.ready, usize::from(self.waiting_for().is_none()));
        meters
    }

    /// Takes no more writes, finishes those that it took, and lets go of the engine.
    pub async fn stop(&self) -> Result<(), StoreError> {
        self.shared.end();
        let mut stopped = self.shared.stopped.subscribe();
        // The sender lives as long as we do.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        self.shared.engine.close().await
    }

    /// Resolves when the registry stops, or could not start.
    pub async fn stopping(&self) {
        let mut stopping = self.shared.stopping.subscribe();
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    /// Nothing more is taken, and nobody is kept waiting.
    fn end(&self) {
        self.stopping.send_replace(true);
        self.asks.lock().take();
        self.topics.ring_all();
    }

    /// Work that everything rests on. If it crashes the registry stops, and whoever runs it sees that: one that nothing is written
    /// to, or in which nothing ends, would go on looking well.
    pub(crate) fn keep(
        self: Arc<Shared>,
        what: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send {
        let working = tokio::spawn(work);
        async move {
            if let Err(error) = working.await
                && error.is_panic()
            {
                tracing::error!(what, %error, "a part that everything rests on crashed: the registry stops");
                *self.waiting_for.lock() = Some(format!("to be started again: {what} crashed: {error}"));
                self.end();
            }
        }
    }

    pub(crate) fn head(&self) -> Revision {
        Revision(self.head.load(Ordering::Acquire))
    }

    pub(crate) fn floor(&self) -> Revision {
        Revision(self.floor.load(Ordering::Acquire))
    }

    pub(crate) fn raise_floor(&self, floor: Revision) {
        self.floor.fetch_max(floor.0, Ordering::AcqRel);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Makes a group of commits visible to everyone, in this order: heartbeats find their leases, logs have the
    /// changes, the head moves, bells ring.
    pub(crate) fn publish(&self, snapshot: Snapshot, group: Vec<Changes>) {
        let revision = snapshot.revision();
        let group: Vec<Arc<Changes>> = group.into_iter().map(Arc::new).collect();
        for changes in &group {
            reaper::follow(self, changes);
            self.diary.follow(changes);
        }
        self.ring.push(&group);
        self.topics.ring(&group, || {
            self.published.store(Some(Arc::new(snapshot)));
            self.head.store(revision.0, Ordering::Release);
        });
        self.heads.send_replace(revision);
    }

    /// The commits after `after`, folded anew from the engine's history: what changed is told as it was seen then.
    /// Empty: they are more than anyone may ask for.
    pub(crate) async fn catch_up(&self, after: Revision) -> Result<Vec<Arc<Changes>>, ChangesError> {
        let Ok(_permit) = self.catch_ups.acquire().await else { return Ok(Vec::new()) };
        self.meters.catch_ups.inc();
        let Some(at) = self.published.load_full() else { return Ok(Vec::new()) };
        let history =
            match read_history(&*self.engine, after, at.revision(), self.options.bounds.catch_up).await? {
                Some(history) => history,
                None => return Ok(Vec::new()),
            };
        Ok(replay(&at, history).into_iter().map(Arc::new).collect())
    }
}

type History = Vec<switchboard_store::Commit>;

/// The commits after `after` up to `head`; None: more than `limit`.
pub(crate) async fn read_history(
    engine: &dyn Engine,
    after: Revision,
    head: Revision,
    limit: usize,
) -> Result<Option<History>, ChangesError> {
    let mut history: History = Vec::new();
    let mut cursor = after;
    while cursor < head {
        if history.len() >= limit || head.0.saturating_sub(after.0) > limit as u64 {
            return Ok(None);
        }
        let page = engine.changes(cursor, 1024).await?;
        let Some(last) = page.last() else { break };
        cursor = last.revision;
        history.extend(page.into_iter().filter(|commit| commit.revision <= head));
    }
    Ok(Some(history))
}

/// Undoes `history`, the newest commits of `at`, and folds it again to learn how each of them changed what was seen.
pub(crate) fn replay(at: &Snapshot, history: History) -> Vec<Changes> {
    let mut past = at.clone();
    let now = |at_ms| Now { wall_ms: at_ms, service: Default::default() };
    for commit in history.iter().rev() {
        let undone = commit.edits.iter().rev().filter_map(|edit| step(edit, false)).collect();
        fold(&mut past, commit.revision, now(commit.at_ms), undone);
    }
    let redo = |commit: switchboard_store::Commit| {
        let steps = commit.edits.iter().filter_map(|edit| step(edit, true)).collect();
        fold(&mut past, commit.revision, now(commit.at_ms), steps)
    };
    history.into_iter().map(redo).collect()
}

/// An edit as a step forward, or back.
pub(crate) fn step(edit: &switchboard_store::Edit, forward: bool) -> Option<Step> {
    let key: RecordKey = edit.after.as_ref().or(edit.before.as_ref())?.key();
    Some((key, if forward { edit.after.clone() } else { edit.before.clone() }))
}

#[cfg(test)]
mod tests {
    use switchboard_engine_memory::Memory;

    use super::*;
    use crate::gate::OpenGate;

    /// It took no more writes, and looked as well as ever.
    #[tokio::test]
    async fn a_registry_whose_parts_crash_stops_and_says_so() {
        let registry = Registry::open(Arc::new(Memory::new()), Options::default(), Arc::new(OpenGate));
        registry.loaded().await.unwrap();
        assert_eq!(registry.waiting_for(), None);
        registry.shared.clone().keep("a test", async { panic!("on purpose") }).await;
        registry.stopping().await;
        assert!(registry.waiting_for().unwrap().contains("a test crashed"));
        let refused = registry.keep_alive(&Caller::internal("test"), LeaseId(1)).await;
        assert!(refused.is_err());
    }
}

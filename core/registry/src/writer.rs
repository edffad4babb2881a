//! The one writer: plans intents in order, commits them in groups, publishes, acknowledges.
//!
//! Intents are planned against the newest accepted state, which may not be on disk yet. While one group is on its
//! way to the disk the next one gathers. Nobody outside sees accepted state: replies, also those that change
//! nothing and those that refuse, wait until everything they were planned on has been kept.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use switchboard_model::{Rejection, Revision, Unavailable};
use switchboard_store::{CommitError, Expectation, Plan, StoreError, StoreErrorKind};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::caller::Caller;
use crate::changes::Changes;
use crate::clock::Now;
use crate::fold::{fold, succeed};
use crate::plan::Intent;
use crate::registry::{Committed, Shared, read_history, replay, step};
use crate::snapshot::Snapshot;
use crate::texts::Texts;
use crate::{gate, reaper};

/// An intent on its way, with whoever waits for the answer.
pub(crate) trait Ask: Send {
    fn caller(&self) -> &Caller;
    fn plan(&mut self, at: &Snapshot, now: Now) -> Result<Plan, Rejection>;
    fn answer(self: Box<Self>, outcome: Outcome);
}

/// The revision, and whether a commit was made.
type Outcome = Result<(Revision, bool), Rejection>;

pub(crate) struct Asked<I: Intent> {
    caller: Caller,
    intent: I,
    reply: Option<I::Reply>,
    done: oneshot::Sender<Result<Committed<I::Reply>, Rejection>>,
}

impl<I: Intent> Asked<I> {
    pub(crate) fn new(
        caller: Caller,
        intent: I,
        done: oneshot::Sender<Result<Committed<I::Reply>, Rejection>>,
    ) -> Asked<I> {
        Asked { caller, intent, reply: None, done }
    }
}

impl<I: Intent> Ask for Asked<I> {
    fn caller(&self) -> &Caller {
        &self.caller
    }

    fn plan(&mut self, at: &Snapshot, now: Now) -> Result<Plan, Rejection> {
        let planned = self.intent.plan(at, now)?;
        self.reply = Some(planned.reply);
        Ok(planned.plan)
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        let answer = match (outcome, self.reply) {
            (Ok((revision, changed)), Some(reply)) => Ok(Committed { reply, revision, changed }),
            (Ok(_), None) => Err(Unavailable::Stopping.into()),
            (Err(rejection), _) => Err(rejection),
        };
        // Whoever asked may have gone away.
        let _ = self.done.send(answer);
    }
}

/// How long the engine has been busy with one group.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    since: Mutex<Option<Instant>>,
    /// Groups that took so long that heartbeats may have been held up behind them.
    count: AtomicU64,
}

impl Stall {
    const LONG: Duration = Duration::from_secs(1);

    fn begin(&self) {
        *self.since.lock() = Some(Instant::now());
    }

    fn end(&self) {
        if self.since.lock().take().is_some_and(|since| since.elapsed() > Stall::LONG) {
            self.count.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn is_long(&self) -> bool {
        self.since.lock().is_some_and(|since| since.elapsed() > Stall::LONG)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }
}

/// What waits for a group to be kept.
enum Waiting {
    /// For this plan of the group.
    Planned(Box<dyn Ask>),
    /// For the state it was answered from.
    Settled(Box<dyn Ask>, Outcome),
}

/// Plans that go to the engine together.
struct Group {
    plans: Vec<Plan>,
    waiting: Vec<Waiting>,
    changes: Vec<Changes>,
    /// The state after the last plan.
    snapshot: Snapshot,
}

type Committing = Pin<Box<dyn Future<Output = Vec<Result<Revision, CommitError>>> + Send>>;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Box<dyn Ask>>,
    texts: Texts,
    /// Published state and everything accepted since.
    accepted: Snapshot,
    gathered: Group,
}

impl Writer {
    pub(crate) async fn load(
        shared: Arc<Shared>,
        inbox: mpsc::Receiver<Box<dyn Ask>>,
    ) -> Result<Writer, StoreError> {
        let checkpoint = shared.engine.load().await?;
        let (head, floor) = (checkpoint.revision, checkpoint.floor);
        let snapshot = work(move || Snapshot::from_checkpoint(checkpoint)).await?;
        reaper::adopt(&shared, &snapshot);
        shared.raise_floor(floor);

        // The newest commits are told to the ring and to the diary again, as if the process had never stopped.
        let bounds = shared.options.bounds;
        let recent = Revision(head.0.saturating_sub(bounds.ring as u64).max(floor.0));
        shared.ring.reset(head);
        if shared.engine.facts().history {
            match read_history(&*shared.engine, recent, head, bounds.ring).await {
                Ok(Some(history)) => {
                    let at = snapshot.clone();
                    let changes = work(move || replay(&at, history)).await?;
                    let changes: Vec<Arc<Changes>> = changes.into_iter().map(Arc::new).collect();
                    for item in &changes {
                        shared.diary.follow(item);
                    }
                    shared.ring.reset(recent);
                    shared.ring.push(&changes);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "recent history could not be read; watches resume from disk")
                }
            }
        }
        shared.publish(snapshot.clone(), Vec::new());
        *shared.waiting_for.lock() = None;
        let gathered = Group::after(&snapshot);
        Ok(Writer { shared, inbox, texts: Texts::default(), accepted: snapshot, gathered })
    }

    pub(crate) async fn run(mut self) {
        let mut committing: Option<(Group, Instant, Committing)> = None;
        loop {
            if committing.is_none() && !self.gathered.plans.is_empty() {
                committing = Some(self.launch());
            }
            let room = self.gathered.waiting.len() < self.shared.options.bounds.group;
            tokio::select! {
                biased;
                results = arrived(&mut committing) => {
                    if let Some((group, began, _)) = committing.take() {
                        self.shared.meters.commit_seconds.observe(began.elapsed().as_secs_f64());
                        self.shared.stall.end();
                        self.settle(group, results).await;
                    }
                }
                ask = self.inbox.recv(), if room => match ask {
                    Some(ask) => self.accept(ask, &mut committing),
                    None if committing.is_none() && self.gathered.plans.is_empty() => return,
                    None => {
                        // Every handle is gone: finish what was accepted.
                        if committing.is_none() {
                            committing = Some(self.launch());
                        }
                        let results = arrived(&mut committing).await;
                        if let Some((group, ..)) = committing.take() {
                            self.settle(group, results).await;
                        }
                    }
                },
            }
        }
    }

    fn accept(&mut self, ask: Box<dyn Ask>, committing: &mut Option<(Group, Instant, Committing)>) {
        self.plan(ask, committing.as_mut().map(|(group, ..)| group));
        // Others who are already waiting join the group without another turn of the loop.
        while self.gathered.waiting.len() < self.shared.options.bounds.group {
            match self.inbox.try_recv() {
                Ok(ask) => self.plan(ask, committing.as_mut().map(|(group, ..)| group)),
                Err(_) => break,
            }
        }
    }

    fn plan(&mut self, mut ask: Box<dyn Ask>, committing: Option<&mut Group>) {
        let now = self.shared.clock.now();
        let planned = unharmed(|| {
            let plan = ask.plan(&self.accepted, now)?;
            gate::admit(&*self.shared.gate, ask.caller(), &plan, &self.accepted)?;
            Ok(plan)
        });
        let settled = match planned {
            Ok(plan) if !plan.is_empty() => {
                self.take(plan, now);
                self.gathered.waiting.push(Waiting::Planned(ask));
                return;
            }
            Ok(_) => Ok((self.accepted.revision(), false)),
            Err(rejection) => {
                self.shared.meters.rejections.inc();
                Err(rejection)
            }
        };
        // The answer rests on state that may still be on its way to the disk.
        match (self.gathered.plans.is_empty(), committing) {
            (false, _) => self.gathered.waiting.push(Waiting::Settled(ask, settled)),
            (true, Some(group)) => group.waiting.push(Waiting::Settled(ask, settled)),
            (true, None) => ask.answer(settled),
        }
    }

    /// Folds a plan into the accepted state and gathers it.
    fn take(&mut self, mut plan: Plan, now: Now) {
        plan.at_ms = now.wall_ms;
        self.texts.share(&mut plan);
        if self.shared.engine.facts().shared {
            let at = &self.accepted;
            plan.expects.extend(plan.writes.iter().map(|write| {
                let key = write.key();
                Expectation { modified: at.record(&key).map(|kept| kept.modified()), key }
            }));
        }
        let revision = self.accepted.revision().next();
        let steps = plan.writes.iter().map(|write| succeed(&self.accepted, write, revision)).collect();
        let changes = fold(&mut self.accepted, revision, now, steps);
        self.gathered.plans.push(plan);
        self.gathered.changes.push(changes);
    }

    fn launch(&mut self) -> (Group, Instant, Committing) {
        self.gathered.snapshot = self.accepted.clone();
        let mut group = std::mem::replace(&mut self.gathered, Group::after(&self.accepted));
        let plans = std::mem::take(&mut group.plans);
        let engine = self.shared.engine.clone();
        self.shared.stall.begin();
        let committing: Committing = Box::pin(async move { engine.commit(plans).await });
        (group, Instant::now(), committing)
    }

    async fn settle(&mut self, group: Group, results: Vec<Result<Revision, CommitError>>) {
        let first = self.shared.head().next();
        let as_planned = |(i, result): (usize, &Result<Revision, CommitError>)| {
            result.as_ref().is_ok_and(|revision| revision.0 == first.0 + i as u64)
        };
        if results.len() == group.changes.len() && results.iter().enumerate().all(as_planned) {
            let meters = &self.shared.meters;
            meters.groups.inc();
            meters.commits.inc_by(results.len() as u64);
            self.shared.publish(group.snapshot, group.changes);
            let mut revisions = results.into_iter();
            for waiting in group.waiting {
                match waiting {
                    Waiting::Planned(ask) => match revisions.next() {
                        Some(Ok(revision)) => ask.answer(Ok((revision, true))),
                        _ => ask.answer(Err(Unavailable::Stopping.into())),
                    },
                    Waiting::Settled(ask, outcome) => ask.answer(outcome),
                }
            }
            return;
        }
        self.unplanned(group, results).await;
    }

    /// Something did not go as planned. The engine's own history says what was kept.
    async fn unplanned(&mut self, group: Group, results: Vec<Result<Revision, CommitError>>) {
        let failure = results.iter().find_map(|result| match result {
            Err(CommitError::Store(error)) => Some(error.clone()),
            _ => None,
        });
        let mut again = Vec::new();
        let mut results = results.into_iter();
        let mut answers: Vec<(Box<dyn Ask>, Outcome)> = Vec::new();
        for waiting in group.waiting {
            match (waiting, &failure) {
                (Waiting::Planned(ask), None) => match results.next() {
                    Some(Ok(revision)) => answers.push((ask, Ok((revision, true)))),
                    _ => again.push(ask),
                },
                (Waiting::Settled(ask, _), None) => again.push(ask),
                (Waiting::Planned(ask) | Waiting::Settled(ask, _), Some(error)) => {
                    answers.push((ask, Err(store(error))));
                }
            }
        }
        // What gathered was planned on a state that never came to be.
        let gathered = std::mem::replace(&mut self.gathered, Group::after(&self.accepted));
        for waiting in gathered.waiting {
            let (Waiting::Planned(ask) | Waiting::Settled(ask, _)) = waiting;
            match &failure {
                None => again.push(ask),
                Some(error) => answers.push((ask, Err(store(error)))),
            }
        }
        match failure {
            Some(error) => {
                for (ask, outcome) in answers {
                    ask.answer(outcome);
                }
                self.recover(error).await;
            }
            None => {
                if let Err(error) = self.resync().await {
                    for (ask, _) in answers {
                        ask.answer(Err(store(&error)));
                    }
                    return self.recover(error).await;
                }
                for (ask, outcome) in answers {
                    ask.answer(outcome);
                }
                for ask in again {
                    self.plan(ask, None);
                }
            }
        }
    }

    /// Reads go on from memory while the engine is asked, again and again, what it has.
    async fn recover(&mut self, mut error: StoreError) {
        self.shared.meters.store_failures.inc();
        let mut pause = Duration::from_millis(200);
        loop {
            tracing::error!(%error, "the store failed: writes are refused, reads are answered from memory");
            *self.shared.waiting_for.lock() = Some(format!("the store to take writes again: {error}"));
            let retry = tokio::time::sleep(pause);
            tokio::pin!(retry);
            loop {
                tokio::select! {
                    () = &mut retry => break,
                    ask = self.inbox.recv() => match ask {
                        Some(ask) => ask.answer(Err(store(&error))),
                        None => return,
                    },
                }
            }
            pause = (pause * 2).min(Duration::from_secs(10));
            let reloaded = match self.shared.engine.load().await {
                Ok(_) => self.resync().await,
                Err(error) => Err(error),
            };
            match reloaded {
                Ok(()) => break,
                Err(again) => error = again,
            }
        }
        *self.shared.waiting_for.lock() = None;
        self.shared.stall.count.fetch_add(1, Ordering::AcqRel);
        tracing::info!(revision = %self.accepted.revision(), "the store takes writes again");
    }

    /// Brings the published state to what the engine has kept.
    async fn resync(&mut self) -> Result<(), StoreError> {
        let head = self.shared.head();
        let Some(published) = self.shared.published.load_full() else { return Ok(()) };
        let newest = self.shared.engine.barrier().await?;
        if newest < head {
            return Err(StoreError::permanent(
                StoreErrorKind::Damaged,
                format!(
                    "the store went back from revision {head} to {newest}: acknowledged writes are missing from it. \
                     Stop this process, put back the right data folder, and start it again"
                ),
            ));
        }
        let history = read_history(&*self.shared.engine, head, newest, usize::MAX)
            .await
            .map_err(|error| StoreError::temporary(StoreErrorKind::Io, error.to_string()))?;
        let mut snapshot = (*published).clone();
        let mut group = Vec::new();
        for commit in history.into_iter().flatten() {
            let now = Now { wall_ms: commit.at_ms, service: self.shared.clock.service() };
            let steps = commit.edits.iter().filter_map(|edit| step(edit, true)).collect();
            group.push(fold(&mut snapshot, commit.revision, now, steps));
        }
        self.accepted = snapshot.clone();
        self.gathered = Group::after(&self.accepted);
        self.shared.publish(snapshot, group);
        Ok(())
    }
}

/// One wish that cannot be planned without a crash is no reason for all others to find no writer any more. Planning changes nothing.
fn unharmed(plan: impl FnOnce() -> Result<Plan, Rejection>) -> Result<Plan, Rejection> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(plan)).unwrap_or_else(|_| {
        tracing::error!("a request crashed while it was planned, and was refused; please report this with its backtrace");
        let why = "planning it crashed, so nothing was written; this is a fault of the registry, whose log says where";
        Err(Rejection::invalid("request", why))
    })
}

/// Work that takes long enough to be kept away from the threads that answer requests.
async fn work<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::permanent(StoreErrorKind::Damaged, format!("loading failed: {error}")))
}

impl Group {
    fn after(snapshot: &Snapshot) -> Group {
        Group { plans: Vec::new(), waiting: Vec::new(), changes: Vec::new(), snapshot: snapshot.clone() }
    }
}

/// The results of the group that is being committed; never, if there is none.
async fn arrived(
    committing: &mut Option<(Group, Instant, Committing)>,
) -> Vec<Result<Revision, CommitError>> {
    match committing {
        Some((_, _, committing)) => committing.await,
        None => std::future::pending().await,
    }
}

fn store(error: &StoreError) -> Rejection {
    Unavailable::Store { why: error.to_string() }.into()
}

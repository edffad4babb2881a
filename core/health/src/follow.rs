use std::collections::{HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use switchboard_model::{Check, CheckKey, NodeKey, Rejection, Selector, Stored};
use switchboard_registry::{Delivery, Registry, ServiceRef, Snapshot, WatchEnd, What};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::schedule::Schedule;
use crate::turn::{CALLER, Desk};
use crate::verdict::Verdict;

/// How long to wait when the registry's history cannot be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the registry's active checks and gives them their turns.
pub(crate) struct Follower {
    registry: Registry,
    desk: Arc<Desk>,
    concurrent: usize,
    schedule: Schedule<CheckKey>,
    /// Exactly the checks in `schedule`.
    checks: HashMap<CheckKey, Followed>,
    running: JoinSet<()>,
}

struct Followed {
    /// As it was when its turns began.
    check: Arc<Stored<Check>>,
    verdict: Arc<Mutex<Verdict>>,
    /// Its newest probe.
    probe: Option<AbortHandle>,
}

impl Drop for Followed {
    /// The answer to a question that is no longer asked must not arrive.
    fn drop(&mut self) {
        if let Some(probe) = &self.probe {
            probe.abort();
        }
    }
}

impl Follower {
    pub(crate) fn new(registry: Registry, desk: Arc<Desk>, concurrent: usize) -> Follower {
        Follower {
            registry,
            desk,
            concurrent,
            schedule: Schedule::new(),
            checks: HashMap::new(),
            running: JoinSet::new(),
        }
    }

    /// Ends when the registry stops; probes on their way end with it.
    pub(crate) async fn run(mut self) {
        if self.registry.loaded().await.is_err() {
            return;
        }
        loop {
            match self.follow().await {
                Ok(WatchEnd::Stopping) => return,
                Ok(WatchEnd::Lagged { .. } | WatchEnd::Compacted { .. }) => {}
                Ok(WatchEnd::Unavailable { why }) => self.pause(&why).await,
                Err(rejection) => self.pause(&rejection.to_string()).await,
            }
        }
    }

    async fn pause(&self, why: &str) {
        tracing::warn!(why, "cannot follow the registry's checks; trying again");
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = self.registry.stopping() => {}
        }
    }

    /// Starts from a fresh view and works until the watch on what comes after it ends.
    async fn follow(&mut self) -> Result<WatchEnd, Rejection> {
        let view = self.registry.view(&CALLER)?;
        let mut watch = self.registry.watch(&CALLER, &Selector::Everything, view.revision())?;
        self.resync(&view);
        drop(view);
        loop {
            self.start_due();
            let has_room = self.running.len() < self.concurrent;
            let next = self.schedule.next().filter(|_| has_room);
            tokio::select! {
                delivery = watch.next() => match delivery {
                    Ok(delivery) => self.apply(&delivery),
                    Err(end) => return Ok(end),
                },
                Some(_) = self.running.join_next() => {
                    while self.running.try_join_next().is_some() {}
                }
                () = sleep_until(next) => {}
            }
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        while self.running.len() < self.concurrent {
            let Some((key, due)) = self.schedule.take(now, fastrand::f64()) else { return };
            let Some(followed) = self.checks.get_mut(&key) else { continue };
            // Its verdict is still being written down: this turn is left out.
            if followed.probe.as_ref().is_some_and(|probe| !probe.is_finished()) {
                continue;
            }
            self.desk.meters.late(now.saturating_duration_since(due));
            let turn = self.desk.clone().take(key, followed.verdict.clone());
            followed.probe = Some(self.running.spawn(turn));
        }
    }

    fn resync(&mut self, view: &Snapshot) {
        let found = active_checks(view);
        let keys: HashSet<&CheckKey> = found.iter().map(|check| &check.key).collect();
        let gone: Vec<CheckKey> = self.checks.keys().filter(|key| !keys.contains(key)).cloned().collect();
        for key in gone {
            self.forget(&key);
        }
        let together = found.len().saturating_sub(self.checks.len());
        for check in &found {
            self.put(check, together);
        }
    }

    fn apply(&mut self, delivery: &Delivery) {
        for item in delivery.items() {
            match &item.what {
                What::Check { after: Some(check), .. } if check.probe.is_active() => self.put(check, 1),
                What::Check { before: Some(check), .. } => self.forget(&check.key),
                _ => {}
            }
        }
    }

    fn put(&mut self, check: &Arc<Stored<Check>>, together: usize) {
        if self.checks.get(&check.key).is_some_and(|followed| asks_the_same(&followed.check, check)) {
            return;
        }
        let verdict = Arc::new(Mutex::new(Verdict::new(check.status)));
        self.schedule.add(check.key.clone(), check.interval, together, Instant::now(), fastrand::f64());
        self.checks.insert(check.key.clone(), Followed { check: check.clone(), verdict, probe: None });
        self.count();
    }

    fn forget(&mut self, key: &CheckKey) {
        self.schedule.remove(key);
        self.checks.remove(key);
        self.count();
    }

    fn count(&self) {
        self.desk.meters.scheduled.set(i64::try_from(self.schedule.len()).unwrap_or(i64::MAX));
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Whether a new definition leaves the probe and its rhythm as they were. Names, notes and verdicts do not matter.
fn asks_the_same(a: &Check, b: &Check) -> bool {
    a.probe == b.probe && a.interval == b.interval && a.timeout == b.timeout && a.thresholds == b.thresholds
}

fn active_checks(view: &Snapshot) -> Vec<Arc<Stored<Check>>> {
    let of_instances = view
        .services(Bound::Unbounded::<ServiceRef<'_>>)
        .flat_map(|service| service.instances())
        .flat_map(|instance| instance.checks.iter());
    let of_nodes = view.nodes(Bound::Unbounded::<NodeKey>).flat_map(|node| node.facts.checks.iter());
    of_instances.chain(of_nodes).filter(|check| check.probe.is_active()).cloned().collect()
}

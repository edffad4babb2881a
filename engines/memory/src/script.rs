use std::time::Duration;

use switchboard_store::{StoreError, StoreErrorKind};
use tokio::sync::watch;

/// Makes a [`Memory`](crate::Memory) engine misbehave. What is asked for counts commits, that is batches.
///
/// After a failed commit the engine refuses further ones with the same error until `load` was called, as an
/// engine on a disk does: what the disk holds then has to be looked at first.
#[derive(Debug, Default)]
pub struct Script {
    orders: parking_lot::Mutex<Orders>,
    holds: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Orders {
    /// Commits that still succeed before `fail` applies.
    grace: usize,
    fail: Option<StoreError>,
    fail_load: Option<StoreError>,
    lose_ack: bool,
    conflict: bool,
    down: Option<StoreError>,
    stall: Duration,
}

/// What becomes of a commit.
pub(crate) enum Turn {
    Commit,
    Conflict,
    Fail(StoreError),
    LoseAck(StoreError),
}

impl Script {
    /// The next commit fails, and nothing of it is kept.
    pub fn fail_next(&self, error: StoreError) {
        self.fail_after(0, error);
    }

    /// `commits` commits succeed, the one after them fails, and nothing of it is kept.
    pub fn fail_after(&self, commits: usize, error: StoreError) {
        let mut orders = self.orders.lock();
        orders.grace = commits;
        orders.fail = Some(error);
    }

    /// The next load fails.
    pub fn fail_next_load(&self, error: StoreError) {
        self.orders.lock().fail_load = Some(error);
    }

    /// The next commit is kept, but its answer is an error.
    pub fn lose_ack_next(&self) {
        self.orders.lock().lose_ack = true;
    }

    /// Every plan of the next commit is answered with a conflict.
    pub fn conflict_next(&self) {
        self.orders.lock().conflict = true;
    }

    /// Everything but reading history fails with `error` until [`Script::come_back`].
    pub fn go_down(&self, error: StoreError) {
        self.orders.lock().down = Some(error);
    }

    pub fn come_back(&self) {
        self.orders.lock().down = None;
    }

    /// Every commit from now on takes this much longer.
    pub fn stall(&self, delay: Duration) {
        self.orders.lock().stall = delay;
    }

    /// Commits that have not begun wait until the returned guard is dropped.
    #[must_use = "dropping it releases the commits"]
    pub fn hold(self: &std::sync::Arc<Script>) -> Held {
        self.holds.send_modify(|holds| *holds += 1);
        Held { script: self.clone() }
    }

    pub(crate) async fn wait(&self) {
        let stall = self.orders.lock().stall;
        if !stall.is_zero() {
            tokio::time::sleep(stall).await;
        }
        // The sender is this script itself, so it cannot go away.
        let _ = self.holds.subscribe().wait_for(|holds| *holds == 0).await;
    }

    pub(crate) fn check_up(&self) -> Result<(), StoreError> {
        self.orders.lock().down.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn check_load(&self) -> Result<(), StoreError> {
        self.orders.lock().fail_load.take().map_or(Ok(()), Err)
    }

    pub(crate) fn next_turn(&self) -> Turn {
        let mut orders = self.orders.lock();
        if std::mem::take(&mut orders.lose_ack) {
            let why = "the connection broke after the write";
            return Turn::LoseAck(StoreError::temporary(StoreErrorKind::Io, why));
        }
        if std::mem::take(&mut orders.conflict) {
            return Turn::Conflict;
        }
        match (orders.grace.checked_sub(1), orders.fail.take()) {
            (None, Some(error)) => Turn::Fail(error),
            (left, fail) => {
                orders.grace = left.unwrap_or(0);
                orders.fail = fail;
                Turn::Commit
            }
        }
    }
}

/// Holds commits back while it lives.
#[derive(Debug)]
pub struct Held {
    script: std::sync::Arc<Script>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.script.holds.send_modify(|holds| *holds = holds.saturating_sub(1));
    }
}

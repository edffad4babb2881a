//! An engine that keeps its commits in memory, for tests and for trying things out.
//!
//! Nothing survives the process. History is bounded: beyond the bound the floor moves up by itself. A [`Script`]
//! makes the engine stall, fail, conflict or lose an acknowledgement on request, so that whatever stands on an
//! engine can be tested against every answer an engine may give.
//!
//! What this crate does not know: bytes, files, and the registry.

mod script;
mod state;

use std::sync::Arc;

use async_trait::async_trait;
use switchboard_model::Revision;
use switchboard_store::{ChangesError, Checkpoint, Commit, CommitError, Engine, Facts, Plan};
use tokio::sync::watch;

use script::Turn;
pub use script::{Held, Script};
use state::State;
/// What a script makes commits fail with.
pub use switchboard_store::{StoreError, StoreErrorKind};

/// How many commits are kept as history unless said otherwise.
pub const HISTORY: usize = 65_536;

#[derive(Debug)]
pub struct Memory {
    state: parking_lot::Mutex<State>,
    /// Held over a whole commit, so that a commit that is made to wait delays the ones behind it, as a disk would.
    writer: tokio::sync::Mutex<()>,
    /// What was acknowledged: readers never see a commit before its caller may.
    tide: watch::Sender<Tide>,
    script: Arc<Script>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tide {
    head: Revision,
    closed: bool,
}

impl Memory {
    pub fn new() -> Memory {
        Memory::with_history(HISTORY)
    }

    /// Keeps at most `commits` commits as history.
    pub fn with_history(commits: usize) -> Memory {
        Memory {
            state: parking_lot::Mutex::new(State::new(commits)),
            writer: tokio::sync::Mutex::default(),
            tide: watch::Sender::new(Tide::default()),
            script: Arc::default(),
        }
    }

    /// The handle that makes this engine misbehave.
    pub fn script(&self) -> Arc<Script> {
        self.script.clone()
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.tide.borrow().closed { Err(closed()) } else { Ok(()) }
    }

    async fn try_commit(&self, batch: Vec<Plan>) -> Result<Vec<Result<Revision, CommitError>>, StoreError> {
        let _writing = self.writer.lock().await;
        self.check_open()?;
        self.script.wait().await;
        self.check_open()?;
        self.script.check_up()?;
        let turn = self.script.next_turn();
        let mut state = self.state.lock();
        state.check_latch()?;
        match turn {
            Turn::Fail(error) => {
                state.latch(error.clone());
                Err(error)
            }
            Turn::LoseAck(error) => {
                state.commit(batch);
                state.latch(error.clone());
                Err(error)
            }
            Turn::Conflict => Ok(batch.iter().map(|plan| Err(state.contradict(plan))).collect()),
            Turn::Commit => {
                let answers = state.commit(batch);
                let head = state.head;
                self.tide.send_modify(|tide| tide.head = head);
                Ok(answers)
            }
        }
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

#[async_trait]
impl Engine for Memory {
    fn facts(&self) -> Facts {
        Facts { durable: false, linearizable: true, shared: false, history: true }
    }

    async fn load(&self) -> Result<Checkpoint, StoreError> {
        let _writing = self.writer.lock().await;
        self.check_open()?;
        self.script.check_up()?;
        self.script.check_load()?;
        let mut state = self.state.lock();
        let checkpoint = state.recover();
        self.tide.send_modify(|tide| tide.head = checkpoint.revision);
        Ok(checkpoint)
    }

    async fn commit(&self, batch: Vec<Plan>) -> Vec<Result<Revision, CommitError>> {
        let asked = batch.len();
        match self.try_commit(batch).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(CommitError::Store(error)); asked],
        }
    }

    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<Commit>, ChangesError> {
        let mut tide = self.tide.subscribe();
        loop {
            let Tide { head, closed: is_closed } = *tide.borrow_and_update();
            if is_closed {
                return Err(closed().into());
            }
            let page = self.state.lock().history(after, head, limit.max(1))?;
            if !page.is_empty() {
                return Ok(page);
            }
            // The sender lives as long as this engine does.
            let _ = tide.changed().await;
        }
    }

    async fn barrier(&self) -> Result<Revision, StoreError> {
        self.check_open()?;
        self.script.check_up()?;
        Ok(self.tide.borrow().head)
    }

    async fn compact(&self, through: Revision) -> Result<(), StoreError> {
        self.check_open()?;
        self.script.check_up()?;
        let head = self.tide.borrow().head;
        self.state.lock().compact(through.min(head));
        Ok(())
    }

    async fn close(&self) -> Result<(), StoreError> {
        let _writing = self.writer.lock().await;
        self.check_open()?;
        self.tide.send_modify(|tide| tide.closed = true);
        Ok(())
    }
}

fn closed() -> StoreError {
    StoreError::permanent(StoreErrorKind::Closed, "the engine was closed")
}

use std::sync::Arc;
use std::time::Duration;

use switchboard_model::Revision;
use switchboard_store::{Checkpoint, CommitError, Plan, StoreError};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};

use crate::batch;
use crate::fault::{Fault, contain};
use crate::file::File;
use crate::meta::Meta;
use crate::read;
use crate::unsettled::Unsettled;

type Answers = Vec<Result<Revision, CommitError>>;

/// What only the writer may do.
#[derive(Debug)]
pub(crate) enum Job {
    Commit {
        batch: Vec<Plan>,
        reply: oneshot::Sender<Result<Answers, StoreError>>,
    },
    /// Forgets a piece of history. The answer is whether there is more to forget.
    Compact {
        through: Revision,
        reply: oneshot::Sender<Result<bool, StoreError>>,
    },
    /// Reads everything, after opening the file again if an error made that necessary.
    Load {
        reply: oneshot::Sender<Result<Checkpoint, StoreError>>,
    },
    Close {
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
}

/// How far acknowledged history reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tide {
    pub(crate) head: Revision,
    pub(crate) closed: bool,
}

/// The one thread that writes.
pub(crate) struct Writer {
    file: Arc<File>,
    meta: Meta,
    unsettled: Unsettled,
    tide: watch::Sender<Tide>,
    /// The error after which it is unknown what the disk holds. Nothing is written until the file was opened again.
    latch: Option<StoreError>,
}

impl Writer {
    pub(crate) fn new(
        file: Arc<File>,
        meta: Meta,
        unsettled: Unsettled,
        tide: watch::Sender<Tide>,
    ) -> Writer {
        Writer { file, meta, unsettled, tide, latch: None }
    }

    /// Works until it is told to close or nobody is left to tell it anything. Whoever does not care for an answer
    /// any more does not get one.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Job>, clock: &Runtime) {
        while let Some(job) = self.next(&mut queue, clock) {
            match job {
                Job::Commit { batch, reply } => {
                    let _ = reply.send(self.commit(batch));
                }
                Job::Compact { through, reply } => {
                    let _ = reply.send(self.compact(through));
                }
                Job::Load { reply } => {
                    let _ = reply.send(self.load());
                }
                Job::Close { reply } => {
                    // Refuses what comes from now on before those who wait hear of it.
                    queue.close();
                    self.tide.send_modify(|tide| tide.closed = true);
                    let _ = reply.send(self.close());
                    return;
                }
            }
        }
        if let Err(error) = self.file.close() {
            tracing::warn!(%error, "the store was not closed properly");
        }
    }

    /// Writes what waits while nobody asks for anything, a piece at a time. None: nobody is left to ask.
    fn next(&mut self, queue: &mut mpsc::Receiver<Job>, clock: &Runtime) -> Option<Job> {
        let mut is_idle = false;
        loop {
            let idle = self.unsettled.idle().filter(|_| self.latch.is_none());
            let Some(idle) = idle else { return queue.blocking_recv() };
            let patience = if is_idle { Duration::ZERO } else { idle };
            match clock.block_on(async { tokio::time::timeout(patience, queue.recv()).await }) {
                Ok(job) => return job,
                Err(_) => is_idle = true,
            }
            // If it fails, the next who writes is told.
            let _ = self.settle();
        }
    }

    fn commit(&mut self, batch: Vec<Plan>) -> Result<Answers, StoreError> {
        let written = self.work("writing to", |database, meta, unsettled| {
            batch::commit(database, meta, unsettled, batch)
        })?;
        self.advance(written.meta);
        Ok(written.answers)
    }

    /// History that records still have to be read from is not forgotten before they are settled.
    fn compact(&mut self, through: Revision) -> Result<bool, StoreError> {
        if self.meta.settled < through.min(self.meta.head) {
            self.settle()?;
            return Ok(true);
        }
        let compacted =
            self.work("compacting", |database, meta, _| batch::compact(database, meta, through))?;
        self.advance(compacted.meta);
        Ok(compacted.more)
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        let meta = self.work("writing to", batch::settle)?;
        self.advance(meta);
        Ok(())
    }

    /// Leaves a file that is opened without reading history, if the disk lets it.
    fn close(&mut self) -> Result<(), StoreError> {
        while self.latch.is_none() && !self.unsettled.is_empty() {
            let (meta, unsettled) = (self.meta, &mut self.unsettled);
            match self.file.with(|database| contain(|| batch::settle(database, meta, unsettled))) {
                Some(Ok(meta)) => self.meta = meta,
                // What was acknowledged is in history, so that nothing is lost if this file does not even close.
                Some(Err(fault)) => {
                    let error = self.file.explain("writing to", fault);
                    tracing::warn!(%error, "some records stay in history only; the next start reads them there");
                    let _ = self.file.close();
                    return Ok(());
                }
                None => break,
            }
        }
        self.file.close()
    }

    fn load(&mut self) -> Result<Checkpoint, StoreError> {
        self.recover()?;
        self.work("reading", |database, _, unsettled| read::checkpoint(database, unsettled))
    }

    fn recover(&mut self) -> Result<(), StoreError> {
        if self.latch.is_none() {
            return Ok(());
        }
        match self.file.open() {
            Ok(meta) if meta.cluster_id != self.meta.cluster_id || meta.head < self.meta.head => {
                let why = format!("it went back from revision {} to {}", self.meta.head, meta.head);
                let error = self.file.explain("opening", Fault::Damaged(why));
                self.latch = Some(error.clone());
                Err(error)
            }
            Ok(meta) => {
                match self.file.unsettled(meta) {
                    Ok(unsettled) => self.unsettled = unsettled,
                    Err(error) => {
                        self.latch = Some(error.clone());
                        return Err(error);
                    }
                }
                tracing::info!(path = %self.file.path.display(), revision = %meta.head, "the store is back");
                self.latch = None;
                self.advance(meta);
                Ok(())
            }
            Err(error) => {
                self.latch = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Works on the file; any error of it latches.
    fn work<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&redb::Database, Meta, &mut Unsettled) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        if let Some(error) = &self.latch {
            return Err(error.clone());
        }
        let (meta, unsettled) = (self.meta, &mut self.unsettled);
        let result = self.file.with(|database| contain(|| work(database, meta, unsettled)));
        let error = match result {
            Some(Ok(done)) => return Ok(done),
            Some(Err(fault)) => self.file.explain(doing, fault),
            None => self.file.unavailable(false),
        };
        tracing::error!(%error, "the store failed; nothing is written until it was loaded again");
        self.latch = Some(error.clone());
        Err(error)
    }

    fn advance(&mut self, meta: Meta) {
        self.meta = meta;
        self.tide.send_if_modified(|tide| {
            let moved = tide.head != meta.head;
            tide.head = meta.head;
            moved
        });
    }
}

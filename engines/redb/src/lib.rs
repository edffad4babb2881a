//! An engine that keeps its commits in one redb file: durable, embedded, the default.
//!
//! One thread writes. It takes a batch of plans, makes one transaction of it, and acknowledges it after redb has
//! synced it to the disk twice: first the pages, then the header that points at them. Readers of history never
//! wait for the writer. A commit is written as history, and its records later, in sweeps ([`Patience`]).
//!
//! After an error of the disk nothing is written until [`Engine::load`] has closed the file, opened it again and
//! read what it really holds: of a batch that failed, the file holds either everything or nothing.
//!
//! Every value carries a checksum over its key and its bytes, because redb itself verifies pages only when asked
//! to. A damaged record makes `load` fail and name the file. The alternative, serving everything but that
//! record, would lose silently what was once acknowledged, so it is left to a person to decide.
//!
//! What this crate does not know: what is in a record (that is [`switchboard_store::codec`]) and the registry.

mod batch;
mod fault;
mod file;
mod inspect;
mod meta;
mod read;
mod seal;
mod unsettled;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use switchboard_model::Revision;
use switchboard_store::{
    ChangesError, Checkpoint, Commit, CommitError, Engine, Facts, Plan, StoreError, StoreErrorKind,
};
use tokio::sync::{mpsc, oneshot, watch};

pub use file::Opener;
pub use inspect::{Report, inspect};
pub use unsettled::Patience;

use file::File;
use writer::{Job, Tide, Writer};

/// The name of the file within the data directory.
pub const FILE_NAME: &str = "switchboard.redb";

/// Batches and compactions that may wait for the writer; whoever comes later waits to be let in.
const QUEUE: usize = 64;

#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for pages. The registry holds every record itself, so this only serves the writer.
    pub cache_bytes: usize,
    /// Verify the whole file while opening it. Takes as long as reading all of it.
    pub verify: bool,
    /// When records are written that are in history already.
    pub patience: Patience,
}

impl Default for Options {
    fn default() -> Options {
        Options { cache_bytes: 4 << 20, verify: false, patience: Patience::default() }
    }
}

#[derive(Debug)]
pub struct Redb {
    file: Arc<File>,
    cluster_id: u128,
    jobs: mpsc::Sender<Job>,
    /// What was acknowledged. Readers are not shown more than this.
    tide: watch::Receiver<Tide>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Redb {
    /// Opens the store in `dir`, which is made if it is missing. Blocks on the disk.
    pub fn open(dir: &Path, options: Options) -> Result<Redb, StoreError> {
        Redb::start(File::in_dir(dir, options)?)
    }

    /// Opens a store that lies somewhere else than in a file; `name` is what errors call it.
    pub fn open_with(name: &str, opener: Opener, options: Options) -> Result<Redb, StoreError> {
        Redb::start(File::new(name.into(), opener, options))
    }

    /// Where the store lies.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Drawn at random when the store was created; the same for as long as its revisions are.
    pub fn cluster_id(&self) -> u128 {
        self.cluster_id
    }

    fn start(file: File) -> Result<Redb, StoreError> {
        let file = Arc::new(file);
        let meta = file.open()?;
        let unsettled = file.unsettled(meta)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (tide_sender, tide) = watch::channel(Tide { head: meta.head, closed: false });
        let writer = Writer::new(file.clone(), meta, unsettled, tide_sender);
        let failed = |what: &str, error: std::io::Error| {
            StoreError::temporary(StoreErrorKind::Io, format!("cannot start {what}: {error}"))
        };
        // It drives nothing but the writer's own waiting.
        let clock = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let clock = clock.map_err(|error| failed("a clock", error))?;
        let thread = std::thread::Builder::new()
            .name("redb-writer".into())
            .spawn(move || writer.run(queue, &clock))
            .map_err(|error| failed("a thread", error))?;
        Ok(Redb { file, cluster_id: meta.cluster_id, jobs, tide, thread: Mutex::new(Some(thread)) })
    }

    /// Has the writer do something and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| self.file.closed())?;
        answer.await.map_err(|_| self.file.closed())
    }

    /// Reads on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&redb::Database) -> Result<T, fault::Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = self.file.clone();
        let work =
            tokio::task::spawn_blocking(move || file.with(|database| fault::contain(|| read(database))));
        match work.await {
            Ok(Some(result)) => result.map_err(|fault| self.file.explain("reading", fault)),
            Ok(None) => Err(self.file.unavailable(self.tide.borrow().closed)),
            Err(_) => Err(self.file.closed()),
        }
    }
}

#[async_trait]
impl Engine for Redb {
    fn facts(&self) -> Facts {
        Facts { durable: true, linearizable: true, shared: false, history: true }
    }

    async fn load(&self) -> Result<Checkpoint, StoreError> {
        self.ask(|reply| Job::Load { reply }).await?
    }

    /// The batch is written even if the returned future is dropped.
    async fn commit(&self, batch: Vec<Plan>) -> Vec<Result<Revision, CommitError>> {
        let asked = batch.len();
        match self.ask(|reply| Job::Commit { batch, reply }).await.flatten() {
            Ok(answers) => answers,
            Err(error) => vec![Err(CommitError::Store(error)); asked],
        }
    }

    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<Commit>, ChangesError> {
        let mut tide = self.tide.clone();
        loop {
            let Tide { head, closed } = *tide.borrow_and_update();
            if closed {
                return Err(self.file.closed().into());
            }
            let page = self.read(move |database| read::page(database, after, head, limit.max(1))).await?;
            match page {
                read::Page::Commits(commits) if commits.is_empty() => {}
                read::Page::Commits(commits) => return Ok(commits),
                read::Page::Compacted { floor } => return Err(ChangesError::Compacted { floor }),
            }
            if tide.changed().await.is_err() {
                return Err(self.file.closed().into());
            }
        }
    }

    /// Answered from memory, also while the disk fails: nobody else commits to this file.
    async fn barrier(&self) -> Result<Revision, StoreError> {
        let Tide { head, closed } = *self.tide.borrow();
        if closed { Err(self.file.closed()) } else { Ok(head) }
    }

    async fn compact(&self, through: Revision) -> Result<(), StoreError> {
        // Piece by piece, so that commits get in between.
        while self.ask(|reply| Job::Compact { through, reply }).await?? {}
        Ok(())
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.ask(|reply| Job::Close { reply }).await?
    }
}

impl Drop for Redb {
    /// Waits for the writer, so that the file can be opened again at once.
    fn drop(&mut self) {
        self.jobs = mpsc::channel(1).0;
        if let Some(thread) = self.thread.lock().take() {
            // A writer that panicked has nothing left to wait for.
            let _ = thread.join();
        }
    }
}

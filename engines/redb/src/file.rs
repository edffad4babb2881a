use std::fmt;
use std::fs::TryLockError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use redb::{Builder, Database, DatabaseError};
use switchboard_store::{StoreError, StoreErrorKind};

use crate::fault::{self, Fault, contain};
use crate::meta::Meta;
use crate::unsettled::Unsettled;
use crate::{FILE_NAME, Options, read};

/// Opens the database with the builder's settings. Called again after every error of the disk.
pub type Opener = Arc<dyn Fn(&Builder) -> Result<Database, DatabaseError> + Send + Sync>;

/// The database, which can be closed and opened again while others hold on to this.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    opener: Opener,
    options: Options,
    /// Locked for reading by everyone who uses the database, the writer included; for writing only to replace it.
    database: RwLock<Option<Database>>,
}

impl File {
    pub(crate) fn in_dir(dir: &Path, options: Options) -> Result<File, StoreError> {
        let path = dir.join(FILE_NAME);
        std::fs::create_dir_all(dir)
            .map_err(|error| fault::explain(dir, "creating", Fault::Redb(redb::Error::Io(error))))?;
        let opener: Opener = Arc::new({
            let (path, dir) = (path.clone(), dir.to_owned());
            move |builder| {
                create_if_missing(&dir, &path, builder)?;
                builder.open(&path)
            }
        });
        Ok(File::new(path, opener, options))
    }

    pub(crate) fn new(path: PathBuf, opener: Opener, options: Options) -> File {
        File { path, opener, options, database: RwLock::new(None) }
    }

    /// Opens the database, after closing it if it is open, and reads what it knows about itself.
    pub(crate) fn open(&self) -> Result<Meta, StoreError> {
        let mut slot = self.database.write();
        if let Some(old) = slot.take() {
            // It failed already, and what it has to say about that has been said.
            let _ = contain(|| Ok(old.close()?));
        }
        let opened = contain(|| {
            let mut builder = Builder::new();
            builder.set_cache_size(self.options.cache_bytes);
            builder.set_check_integrity_on_open(self.options.verify);
            let database = (self.opener)(&builder)?;
            match contain(|| Meta::read_or_create(&database)) {
                Ok(meta) => Ok((database, meta)),
                Err(fault) => {
                    let _ = contain(|| Ok(database.close()?));
                    Err(fault)
                }
            }
        });
        let (database, meta) = opened.map_err(|fault| self.explain("opening", fault))?;
        *slot = Some(database);
        Ok(meta)
    }

    /// What was committed and is not among the records yet.
    pub(crate) fn unsettled(&self, meta: Meta) -> Result<Unsettled, StoreError> {
        let patience = self.options.patience;
        match self.with(|database| contain(|| read::unsettled(database, patience, meta))) {
            Some(found) => found.map_err(|fault| self.explain("reading", fault)),
            None => Err(self.unavailable(false)),
        }
    }

    /// None: the database is closed, or it could not be opened again after an error.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Database) -> T) -> Option<T> {
        self.database.read().as_ref().map(work)
    }

    pub(crate) fn close(&self) -> Result<(), StoreError> {
        match self.database.write().take() {
            Some(database) => {
                contain(|| Ok(database.close()?)).map_err(|fault| self.explain("closing", fault))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn explain(&self, doing: &str, fault: Fault) -> StoreError {
        fault::explain(&self.path, doing, fault)
    }

    pub(crate) fn closed(&self) -> StoreError {
        StoreError::permanent(StoreErrorKind::Closed, format!("{} was closed", self.path.display()))
    }

    pub(crate) fn unavailable(&self, closed: bool) -> StoreError {
        if closed { self.closed() } else { self.explain("reading", Fault::Redb(redb::Error::PreviousIo)) }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes an empty database appear as a whole: a power cut half way through must not leave a file that looks damaged.
fn create_if_missing(dir: &Path, path: &Path, builder: &Builder) -> Result<(), DatabaseError> {
    let is_missing =
        || std::fs::metadata(path).map_or_else(|e| e.kind() == ErrorKind::NotFound, |m| m.len() == 0);
    if !is_missing() {
        return Ok(());
    }
    // Only one may make it. Where directories cannot be locked, nobody is kept out.
    let lock = std::fs::File::open(dir).ok();
    if let Some(Err(TryLockError::WouldBlock)) = lock.as_ref().map(std::fs::File::try_lock) {
        return Err(DatabaseError::DatabaseAlreadyOpen);
    }
    if !is_missing() {
        return Ok(());
    }
    let unfinished = path.with_extension("redb.new");
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    builder.create(&unfinished)?.close()?;
    std::fs::rename(&unfinished, path)?;
    sync_dir(dir);
    Ok(())
}

/// Makes the file's name as durable as its content. Some file systems cannot; they are not worse off than before.
fn sync_dir(dir: &Path) {
    for dir in [Some(dir), dir.parent()].into_iter().flatten() {
        if let Err(error) = std::fs::File::open(dir).and_then(|dir| dir.sync_all()) {
            tracing::debug!(dir = %dir.display(), %error, "cannot sync a directory");
        }
    }
}

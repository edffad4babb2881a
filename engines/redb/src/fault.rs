use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use switchboard_store::{StoreError, StoreErrorKind};

use crate::meta::FORMAT;

/// What went wrong below, before it is told which file it happened to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Redb(#[from] redb::Error),
    #[error("{0}")]
    Damaged(String),
    #[error("format {0}")]
    Newer(u32),
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Fault {
                Fault::Redb(error.into())
            }
        })*
    };
}

from_redb!(
    redb::CommitError,
    redb::DatabaseError,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError
);

impl From<switchboard_store::codec::Damaged> for Fault {
    fn from(damaged: switchboard_store::codec::Damaged) -> Fault {
        Fault::Damaged(damaged.0)
    }
}

/// Makes a panic of redb an error: it panics on some damaged files, and a damaged file must not take the
/// registry down, which can still answer from memory.
pub(crate) fn contain<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Fault::Damaged(words(panic.as_ref()))))
}

/// Says what happened to the file, and what to do next.
pub(crate) fn explain(path: &Path, doing: &str, fault: Fault) -> StoreError {
    use StoreErrorKind::{Damaged, Full, Io, Locked, Newer};
    use redb::Error;

    let path = path.display();
    let damaged = |why: String| {
        StoreError::permanent(
            Damaged,
            format!(
                "{path} is damaged: {why} (while {doing} it). Its records are left as they \
                 are: restore it from a backup, or move it away to start with an empty registry"
            ),
        )
    };
    match fault {
        Fault::Damaged(why) => damaged(why),
        Fault::Newer(format) => StoreError::permanent(
            Newer,
            format!(
                "{path} has format {format}, and this version knows formats up to {FORMAT}: a newer switchboard \
                 wrote it. Run that version, or choose another data directory"
            ),
        ),
        Fault::Redb(Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch) => StoreError::permanent(
            Locked,
            format!(
                "{path} is in use: another switchboard runs on this data directory. \
                 Stop it, or choose another data directory"
            ),
        ),
        Fault::Redb(Error::Io(error)) => match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                StoreError::temporary(
                    Full,
                    format!("no space left while {doing} {path}: {error}. Free some space"),
                )
            }
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => damaged(error.to_string()),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotFound => {
                let next = "Check the path, its owner and its permissions";
                StoreError::permanent(Io, format!("{doing} {path} failed: {error}. {next}"))
            }
            _ => StoreError::temporary(
                Io,
                format!("{doing} {path} failed: {error}. Check the disk and its log"),
            ),
        },
        Fault::Redb(Error::PreviousIo | Error::DatabaseClosed) => StoreError::temporary(
            Io,
            format!("{doing} {path} failed: the file has to be opened again after an error"),
        ),
        // What is left says that redb cannot make sense of the file.
        Fault::Redb(error) => damaged(error.to_string()),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned()
}

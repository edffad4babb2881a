use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{ReadableDatabase, ReadableTableMetadata};
use switchboard_model::Revision;
use switchboard_store::{StoreError, StoreErrorKind};

use crate::file::{File, Opener};
use crate::meta::{FORMAT, Meta, RECORDS};
use crate::{FILE_NAME, Options, fault, read};

/// What a store that nobody runs on looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub path: PathBuf,
    pub format: u32,
    pub head: Revision,
    pub floor: Revision,
    pub cluster_id: u128,
    pub records: u64,
    /// The size of the file.
    pub bytes: u64,
}

/// Looks at the store in `dir` without making one. With `verify` it reads the whole file, and everything in it
/// must make sense. Blocks on the disk.
pub fn inspect(dir: &Path, verify: bool) -> Result<Report, StoreError> {
    let path = dir.join(FILE_NAME);
    let bytes = match std::fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) => {
            let message = format!("there is no store to look at: {}: {error}", path.display());
            return Err(StoreError::permanent(StoreErrorKind::Io, message));
        }
    };
    let opener: Opener = Arc::new({
        let path = path.clone();
        move |builder| builder.open(&path)
    });
    let file = File::new(path.clone(), opener, Options { verify, ..Options::default() });
    let meta = file.open()?;
    let unsettled = file.unsettled(meta)?;
    let records = file.with(|database| {
        fault::contain(|| {
            if verify {
                read::verify_history(database)?;
            }
            if verify || !unsettled.is_empty() {
                let found = read::checkpoint(database, &unsettled)?.records.len();
                return Ok(u64::try_from(found).unwrap_or(u64::MAX));
            }
            Ok(database.begin_read()?.open_table(RECORDS)?.len()?)
        })
    });
    let records = match records {
        Some(Ok(records)) => records,
        Some(Err(fault)) => return Err(file.explain("reading", fault)),
        None => return Err(file.unavailable(false)),
    };
    file.close()?;
    let Meta { head, floor, cluster_id, .. } = meta;
    Ok(Report { path, format: FORMAT, head, floor, cluster_id, records, bytes })
}

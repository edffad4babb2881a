use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use switchboard_model::Revision;
use switchboard_store::codec::{Decoder, decode_history};
use switchboard_store::{Checkpoint, Commit};

use crate::fault::Fault;
use crate::meta::{HISTORY, Meta, RECORDS};
use crate::seal;

/// A page of history ends early at this many encoded bytes, whatever number of commits was asked for.
const PAGE_BYTES: usize = 4 << 20;

/// Reads everything there is. One damaged record fails it.
pub(crate) fn checkpoint(database: &Database) -> Result<Checkpoint, Fault> {
    let txn = database.begin_read()?;
    let Meta { head, floor, .. } = Meta::read(&txn)?;
    let table = txn.open_table(RECORDS)?;
    let promised = table.len()?;
    let mut records = Vec::new();
    let mut decoder = Decoder::default();
    for row in table.iter()? {
        let (key, sealed) = row?;
        let kept = decoder.value(seal::open(key.value(), sealed.value())?)?;
        if kept.modified() > head {
            return Err(Fault::Damaged(format!("{} is newer than the newest commit", kept.key())));
        }
        records.push(kept);
    }
    // A flipped bit in a page that points at others can hide some of them.
    if records.len() as u64 != promised {
        return Err(Fault::Damaged(format!("{} of {promised} records are readable", records.len())));
    }
    Ok(Checkpoint { revision: head, floor, records })
}

pub(crate) enum Page {
    /// Empty: there is nothing after the revision yet.
    Commits(Vec<Commit>),
    Compacted {
        floor: Revision,
    },
}

/// At most `limit` commits after `after`, up to `head`.
pub(crate) fn page(
    database: &Database,
    after: Revision,
    head: Revision,
    limit: usize,
) -> Result<Page, Fault> {
    let txn = database.begin_read()?;
    let floor = Meta::read(&txn)?.floor;
    if after < floor {
        return Ok(Page::Compacted { floor });
    }
    let mut commits = Vec::new();
    if after >= head {
        return Ok(Page::Commits(commits));
    }
    let table = txn.open_table(HISTORY)?;
    let mut decoder = Decoder::default();
    let mut next = after.next();
    let mut bytes = 0;
    'rows: for row in table.range(next.0..)? {
        let (last, sealed) = row?;
        let value = seal::open(&last.value().to_be_bytes(), sealed.value())?;
        bytes += value.len();
        for encoded in decode_history(Bytes::copy_from_slice(value))? {
            if encoded.revision < next {
                continue;
            }
            if encoded.revision > head || commits.len() == limit {
                break 'rows;
            }
            if encoded.revision != next {
                return Err(Fault::Damaged(format!("commit {next} is missing from history")));
            }
            commits.push(encoded.decode(&mut decoder)?);
            next = next.next();
        }
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    if commits.is_empty() {
        return Err(Fault::Damaged(format!("commit {next} is missing from history")));
    }
    Ok(Page::Commits(commits))
}

/// Reads all of history, page by page.
pub(crate) fn verify_history(database: &Database) -> Result<(), Fault> {
    let Meta { head, floor, .. } = Meta::read(&database.begin_read()?)?;
    let mut at = floor;
    while at < head {
        match page(database, at, head, usize::MAX)? {
            Page::Commits(commits) => at = commits.last().map_or(head, |commit| commit.revision),
            Page::Compacted { floor } => at = floor,
        }
    }
    Ok(())
}

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use switchboard_model::Revision;
use switchboard_store::codec::{Decoder, EncodedEdit, decode_history, encode_key};
use switchboard_store::{Checkpoint, Commit};

use crate::fault::Fault;
use crate::meta::{HISTORY, Meta, RECORDS};
use crate::seal;
use crate::unsettled::{Patience, Unsettled};

/// A page of history ends early at this many encoded bytes, whatever number of commits was asked for.
const PAGE_BYTES: usize = 4 << 20;

/// Reads everything there is, `unsettled` over what is among the records. One damaged record fails it.
pub(crate) fn checkpoint(database: &Database, unsettled: &Unsettled) -> Result<Checkpoint, Fault> {
    let txn = database.begin_read()?;
    let Meta { head, floor, .. } = Meta::read(&txn)?;
    let table = txn.open_table(RECORDS)?;
    let (promised, mut found) = (table.len()?, 0);
    let mut records = Vec::new();
    let mut decoder = Decoder::default();
    let mut read = |value: &[u8]| -> Result<(), Fault> {
        let kept = decoder.value(value)?;
        if kept.modified() > head {
            return Err(Fault::Damaged(format!("{} is newer than the newest commit", kept.key())));
        }
        records.push(kept);
        Ok(())
    };
    let mut newest = unsettled.iter().peekable();
    for row in table.iter()? {
        let (key, sealed) = row?;
        found += 1;
        let value = seal::open(key.value(), sealed.value())?;
        while let Some((_, value)) = newest.next_if(|(newer, _)| *newer < key.value()) {
            value.map_or(Ok(()), |value| read(value))?;
        }
        match newest.next_if(|(newer, _)| *newer == key.value()) {
            Some((_, newer)) => newer.map_or(Ok(()), |newer| read(newer))?,
            None => read(value)?,
        }
    }
    // A flipped bit in a page that points at others can hide some of them.
    if found != promised {
        return Err(Fault::Damaged(format!("{found} of {promised} records are readable")));
    }
    for (_, value) in newest {
        value.map_or(Ok(()), |value| read(value))?;
    }
    Ok(Checkpoint { revision: head, floor, records })
}

/// What history has that is not among the records.
pub(crate) fn unsettled(database: &Database, patience: Patience, meta: Meta) -> Result<Unsettled, Fault> {
    let mut unsettled = Unsettled::new(patience, meta);
    if meta.settled >= meta.head {
        return Ok(unsettled);
    }
    let txn = database.begin_read()?;
    let mut decoder = Decoder::default();
    let mut next = meta.settled.next();
    for row in txn.open_table(HISTORY)?.range(next.0..)? {
        let (last, sealed) = row?;
        let value = seal::open(&last.value().to_be_bytes(), sealed.value())?;
        unsettled.grown(value.len());
        for commit in decode_history(Bytes::copy_from_slice(value))? {
            if commit.revision < next {
                continue;
            }
            if commit.revision != next {
                break;
            }
            for EncodedEdit { before, after } in commit.edits {
                if let Some(either) = after.as_ref().or(before.as_ref()) {
                    let key = encode_key(&decoder.value(either)?.key());
                    // A value that shares its row's memory would keep all of it.
                    unsettled.insert(key, after.map(|after| Bytes::copy_from_slice(&after)));
                }
            }
            next = next.next();
        }
    }
    if next != meta.head.next() {
        return Err(Fault::Damaged(format!("commit {next} is missing from history")));
    }
    Ok(unsettled)
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

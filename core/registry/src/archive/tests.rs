use std::time::Duration;

use switchboard_model::{Annex, Entry, EntryKey, Lease, LeaseId, OnExpiry, Standing};

use super::*;
use crate::clock::Now;
use crate::plan::{Intent, ReplaceAll};

fn record(key: &str, value: &str, lease: Option<LeaseId>) -> Record {
    let key = EntryKey { keyspace: "test".into(), key: Bytes::copy_from_slice(key.as_bytes()) };
    let value = Bytes::copy_from_slice(value.as_bytes());
    Record::Entry(Entry { key, value, lease, flags: 7, annex: Annex::default() })
}

fn lease(id: u64) -> Record {
    let ttl = Duration::from_secs(9);
    let on_expiry = OnExpiry::Delete;
    Record::Lease(Lease { id: LeaseId(id), ttl, on_expiry, implicit: false, standing: Standing::Live })
}

/// A snapshot of these records.
fn snapshot(records: Vec<Record>) -> Snapshot {
    let mut at = Snapshot::default();
    let plan = ReplaceAll { records: records.into() }.plan(&at, Now::default()).unwrap().plan;
    let steps = plan.writes.into_iter().map(|write| match write {
        switchboard_store::Write::Put(record) => {
            let kept = Kept::succeed(None, record, Revision(1));
            (kept_key(&kept), Some(kept))
        }
        switchboard_store::Write::Delete(key) => (key, None),
    });
    crate::fold::fold(&mut at, Revision(1), Now::default(), steps.collect());
    at
}

fn kept_key(kept: &Kept) -> switchboard_model::RecordKey {
    parts(kept).0.key()
}

fn read(bytes: &[u8], piece: usize) -> Result<Vec<Record>, NoArchive> {
    let mut reader = ArchiveReader::new(1000);
    bytes.chunks(piece.max(1)).try_for_each(|piece| reader.push(piece))?;
    reader.finish()
}

fn archive() -> (Vec<Record>, Vec<u8>) {
    let mut records = vec![lease(5), record("held", "x", Some(LeaseId(5)))];
    records.extend((0..100).map(|n| record(&format!("k{n:03}"), &"v".repeat(n * 37), None)));
    let mut bytes = Vec::new();
    ArchiveWriter::new(snapshot(records.clone())).for_each(|piece| bytes.extend_from_slice(&piece));
    (records, bytes)
}

#[test]
fn what_was_written_is_read_whatever_the_pieces() {
    let (records, bytes) = archive();
    assert!(bytes.len() > 2 * PIECE);
    for piece in [1, 7, 4096, bytes.len()] {
        assert_eq!(read(&bytes, piece).unwrap(), records);
    }
    let nothing: Vec<u8> = ArchiveWriter::new(Snapshot::default()).flatten().collect();
    assert_eq!(read(&nothing, 3).unwrap(), []);
}

#[test]
fn what_is_no_archive_is_told_apart() {
    let (_, bytes) = archive();
    assert_eq!(read(b"", 1), Err(NoArchive::Short));
    assert_eq!(read(b"\x1f\x8b\x08 a tar", 3), Err(NoArchive::Foreign));
    assert_eq!(read(b"switchboard archive 2\n", 3), Err(NoArchive::Foreign));
    for cut in [5, HEAD.len(), HEAD.len() + 2, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(read(&bytes[..cut], 4096), Err(NoArchive::Short), "{cut}");
    }
    assert_eq!(read(&[&bytes[..], b"x"].concat(), 4096), Err(NoArchive::Long));
    let mut reader = ArchiveReader::new(101);
    assert_eq!(bytes.chunks(99).try_for_each(|piece| reader.push(piece)), Err(NoArchive::TooMany(101)));
    let huge = [HEAD, &u32::MAX.to_le_bytes()].concat();
    assert!(matches!(read(&huge, 4096), Err(NoArchive::Damaged(_))));
}

proptest::proptest! {
    #[test]
    fn no_changed_byte_goes_unnoticed(at in 0_usize..1_000_000, by in 1_u8..) {
        let (_, mut bytes) = archive();
        let at = at % bytes.len();
        bytes[at] ^= by;
        proptest::prop_assert!(read(&bytes, 4096).is_err());
    }

    #[test]
    fn hostile_bytes_are_refused(bytes in proptest::collection::vec(0_u8.., 0..200)) {
        let _ = read(&[HEAD, &bytes].concat(), 64);
    }
}

#[test]
fn replacing_writes_what_differs_and_deletes_what_is_not_there() {
    let at = snapshot(vec![lease(5), record("a", "1", None), record("b", "2", Some(LeaseId(5)))]);
    let plan = |records: Vec<Record>| ReplaceAll { records: records.into() }.plan(&at, Now::default());
    let same = vec![record("b", "2", Some(LeaseId(5))), lease(5), record("a", "1", None)];
    assert!(plan(same).unwrap().plan.is_empty());
    let planned = plan(vec![record("a", "other", None), record("c", "3", None)]).unwrap();
    assert_eq!((planned.reply.written, planned.reply.deleted), (2, 2));
    assert!(plan(vec![record("a", "1", None), record("a", "2", None)]).is_err(), "twice");
    assert!(plan(vec![record("a", "1", Some(LeaseId(9)))]).is_err(), "without its lease");
}

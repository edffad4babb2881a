//! What is said about files that are in use, newer, foreign or missing.

use std::time::Duration;

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};
use switchboard_engine_redb::{FILE_NAME, Options, Patience, Redb, inspect};
use switchboard_model::Revision;
use switchboard_store::suite::entry;
use switchboard_store::{Engine, Plan, StoreErrorKind};

fn put(key: &str) -> Vec<Plan> {
    let mut plan = Plan::default();
    plan.put(entry(key, "v"));
    vec![plan]
}

#[tokio::test]
async fn a_store_in_use_names_its_file_and_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let first = Redb::open(dir.path(), Options::default()).unwrap();
    for error in
        [Redb::open(dir.path(), Options::default()).unwrap_err(), inspect(dir.path(), false).unwrap_err()]
    {
        assert_eq!((error.kind, error.permanent), (StoreErrorKind::Locked, true));
        for words in [FILE_NAME, "another switchboard", "another data directory"] {
            assert!(error.message.contains(words), "{error}");
        }
    }
    // The refused ones have not hurt the first.
    assert_eq!(first.commit(put("a")).await, [Ok(Revision(1))]);
    first.close().await.unwrap();
    Redb::open(dir.path(), Options::default()).unwrap();
}

#[tokio::test]
async fn inspecting_tells_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let missing = inspect(&dir.path().join("none"), true).unwrap_err();
    assert!(missing.message.contains("no store"), "{missing}");
    assert!(!dir.path().join("none").exists(), "looking made one");

    let engine = Redb::open(dir.path(), Options::default()).unwrap();
    let id = engine.cluster_id();
    for key in ["a", "b", "c"] {
        engine.commit(put(key)).await[0].as_ref().unwrap();
    }
    engine.compact(Revision(1)).await.unwrap();
    engine.close().await.unwrap();
    for verify in [false, true] {
        let report = inspect(dir.path(), verify).unwrap();
        assert_eq!((report.head, report.floor, report.records), (Revision(3), Revision(1), 3));
        assert_eq!(report.cluster_id, id);
        assert!(report.bytes > 0);
        assert_eq!(report.path, dir.path().join(FILE_NAME));
    }
    assert_eq!(Redb::open(dir.path(), Options::default()).unwrap().cluster_id(), id, "the id is for good");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Redb::open(dir.path(), Options::default()).unwrap());
    let table = redb::TableDefinition::<&str, &[u8]>::new("meta");
    let newer = [0x7f, 0, 0, 0, 1, 2, 3];
    {
        let database = redb::Database::open(dir.path().join(FILE_NAME)).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(table).unwrap().insert("switchboard", newer.as_slice()).unwrap();
        txn.commit().unwrap();
    }
    let error = Redb::open(dir.path(), Options::default()).unwrap_err();
    assert_eq!((error.kind, error.permanent), (StoreErrorKind::Newer, true));
    assert!(error.message.contains("format 127") && error.message.contains(FILE_NAME), "{error}");
    assert_eq!(inspect(dir.path(), true).unwrap_err().kind, StoreErrorKind::Newer);
}

#[tokio::test]
async fn what_is_not_a_store_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let text = "this is a diary, not a database\n".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let error = Redb::open(dir.path(), Options::default()).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Damaged, "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    std::fs::remove_file(&path).unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("someone else's");
    {
        let database = redb::Database::create(&path).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(table).unwrap().insert(1, 2).unwrap();
        txn.commit().unwrap();
    }
    let error = Redb::open(dir.path(), Options::default()).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Damaged);
    assert!(error.message.contains("another program"), "{error}");
}

#[tokio::test]
async fn what_a_power_cut_left_of_making_the_store_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("switchboard.redb.new"), [0; 5000]).unwrap();
    let engine = Redb::open(dir.path(), Options::default()).unwrap();
    assert_eq!(engine.commit(put("a")).await, [Ok(Revision(1))]);
    let files: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, [FILE_NAME]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = Redb::open(&dir.path().join("file/data"), Options::default()).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Io);
    assert!(error.message.contains("file/data"), "{error}");
}

#[tokio::test]
async fn history_is_forgotten_piece_by_piece_and_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Redb::open(dir.path(), Options::default()).unwrap();
    for key in 0..200 {
        engine.commit(put(&format!("{key}"))).await[0].as_ref().unwrap();
    }
    engine.compact(Revision(190)).await.unwrap();
    assert_eq!(engine.changes(Revision(190), 100).await.unwrap().len(), 10);
    engine.close().await.unwrap();
    drop(engine);
    let database = redb::Database::open(dir.path().join(FILE_NAME)).unwrap();
    let table = redb::TableDefinition::<u64, &[u8]>::new("history");
    assert_eq!(database.begin_read().unwrap().open_table(table).unwrap().len().unwrap(), 10);
}

/// A missing record in the middle must not look like the end.
#[tokio::test]
async fn a_damaged_record_fails_the_load_and_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Redb::open(dir.path(), Options::default()).unwrap();
    for key in ["a", "b", "c"] {
        engine.commit(put(key)).await[0].as_ref().unwrap();
    }
    engine.close().await.unwrap();
    drop(engine);
    let table = redb::TableDefinition::<&[u8], &[u8]>::new("records");
    {
        let database = redb::Database::open(dir.path().join(FILE_NAME)).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(table).unwrap().insert(b"etest\0b".as_slice(), b"nonsense".as_slice()).unwrap();
        txn.commit().unwrap();
    }
    let engine = Redb::open(dir.path(), Options::default()).unwrap();
    let error = engine.load().await.unwrap_err();
    assert_eq!((error.kind, error.permanent), (StoreErrorKind::Damaged, true));
    for words in [FILE_NAME, "etest", "backup"] {
        assert!(error.message.contains(words), "{error}");
    }
}

/// Records of a table, and revisions: the head, and up to which everything is among the records.
fn raw(dir: &std::path::Path) -> (u64, u64, u64) {
    let database = redb::Database::open(dir.join(FILE_NAME)).unwrap();
    let txn = database.begin_read().unwrap();
    let records = txn.open_table(redb::TableDefinition::<&[u8], &[u8]>::new("records")).unwrap();
    let meta = txn.open_table(redb::TableDefinition::<&str, &[u8]>::new("meta")).unwrap();
    let head = meta.get("switchboard").unwrap().unwrap().value().to_vec();
    let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
    (records.len().unwrap(), word(4), word(36))
}

#[tokio::test]
async fn records_are_written_when_many_wait_and_at_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let patience = Patience { waiting: 3_000, behind: usize::MAX, neighbours: 3, idle: Duration::MAX };
    let options = Options { patience, ..Options::default() };
    let mut engine = Redb::open(dir.path(), options.clone()).unwrap();
    let mut settled = Vec::new();
    for round in 0..4_u64 {
        for key in 0..50 {
            engine.commit(put(&format!("{key}"))).await[0].as_ref().unwrap();
        }
        drop(engine);
        let found = raw(dir.path());
        assert_eq!(found.1, (round + 1) * 50);
        assert!(found.0 > 25 && (round > 0 || found.0 < 50), "{found:?}");
        settled.push(found.2);
        assert_eq!(inspect(dir.path(), false).unwrap().records, 50);
        engine = Redb::open(dir.path(), options.clone()).unwrap();
        assert_eq!(engine.load().await.unwrap().records.len(), 50);
    }
    assert!(settled.is_sorted() && settled[3] > settled[0], "sweeps end: {settled:?}");
    engine.close().await.unwrap();
    drop(engine);
    assert_eq!(raw(dir.path()), (50, 200, 200));
}

#[tokio::test]
async fn a_file_of_the_first_format_is_read_and_written_on() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Redb::open(dir.path(), Options::default()).unwrap();
    for key in ["a", "b", "c"] {
        engine.commit(put(key)).await[0].as_ref().unwrap();
    }
    engine.close().await.unwrap();
    drop(engine);
    {
        let database = redb::Database::open(dir.path().join(FILE_NAME)).unwrap();
        let txn = database.begin_write().unwrap();
        {
            let mut table = txn.open_table(redb::TableDefinition::<&str, &[u8]>::new("meta")).unwrap();
            let mut head = table.get("switchboard").unwrap().unwrap().value()[..36].to_vec();
            head[..4].copy_from_slice(&1_u32.to_le_bytes());
            let sum = crc32fast::hash(&[b"switchboard", head.as_slice()].concat());
            head.extend(sum.to_le_bytes());
            table.insert("switchboard", head.as_slice()).unwrap();
        }
        txn.commit().unwrap();
    }
    let engine = Redb::open(dir.path(), Options::default()).unwrap();
    assert_eq!(engine.load().await.unwrap().records.len(), 3);
    assert_eq!(engine.commit(put("d")).await, [Ok(Revision(4))]);
    drop(engine);
    let engine = Redb::open(dir.path(), Options::default()).unwrap();
    assert_eq!(engine.load().await.unwrap().records.len(), 4);
    assert_eq!(engine.changes(Revision(2), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn records_are_written_while_nobody_asks_for_anything() {
    let dir = tempfile::tempdir().unwrap();
    let patience = Patience { idle: Duration::from_millis(5), neighbours: 1, ..Patience::default() };
    let options = Options { patience, ..Options::default() };
    let mut revision = 0;
    loop {
        let engine = Redb::open(dir.path(), options.clone()).unwrap();
        for key in 0..50 {
            engine.commit(put(&format!("{key}"))).await[0].as_ref().unwrap();
            revision += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        // Without closing it, which would write them as well.
        drop(engine);
        if raw(dir.path()) == (50, revision, revision) {
            return;
        }
    }
}

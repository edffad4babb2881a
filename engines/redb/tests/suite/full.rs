//! No space left.

use switchboard_model::Revision;
use switchboard_store::suite::{Model, entry};
use switchboard_store::{CommitError, Engine, Plan, StoreErrorKind};

use crate::disk::Disk;

fn big(round: usize, i: usize) -> Plan {
    let mut plan = Plan::default();
    plan.put(entry(&format!("key-{round}-{i}"), vec![u8::try_from(i).unwrap(); 50_000]));
    plan
}

#[tokio::test]
async fn a_full_disk_is_named_and_writes_resume_when_there_is_room() {
    for capacity in (2..14).map(|step| step * 768 * 1024) {
        println!("capacity {capacity}");
        let disk = Disk::new(capacity as u64);
        let engine = disk.open().unwrap();
        disk.set_capacity(Some(capacity));
        let mut model = Model::new(Revision::ZERO);
        let mut failures = 0;
        for round in 0..8 {
            let batch: Vec<_> = (0..10).map(|i| big(round, i)).collect();
            let answers = engine.commit(batch.clone()).await;
            if matches!(answers[0], Err(CommitError::Store(_))) {
                failures += 1;
                for answer in answers {
                    let Err(CommitError::Store(error)) = answer else { panic!("half a batch: {answer:?}") };
                    assert_eq!((error.kind, error.permanent), (StoreErrorKind::Full, false), "{error}");
                    assert!(error.message.contains("the disk"), "{error}");
                }
                // Still full: loading works, and tells the truth.
                model.assert_matches(&engine).await;
            } else {
                let expected: Vec<_> = batch.iter().map(|plan| model.commit(plan)).collect();
                assert_eq!(answers, expected);
            }
        }
        assert!(failures > 0 || capacity > 6 << 20, "8 MB fit into {capacity} bytes");
        // A small write may still find room in a file that is full.
        disk.set_capacity(None);
        engine.load().await.unwrap();
        let batch = vec![big(99, 1)];
        assert_eq!(engine.commit(batch.clone()).await, [model.commit(&batch[0])]);
        model.assert_matches(&engine).await;
    }
}

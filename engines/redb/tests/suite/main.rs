//! The engine suite on real files and on a disk that fails, and everything else that a disk can do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests, also outside of their test functions"
)]

mod crash;
mod damage;
mod disk;
mod files;
mod full;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use switchboard_engine_redb::{Options, Redb};
use switchboard_store::Engine;
use switchboard_store::suite::{Failure, Harness};

use disk::{Disk, Fault, When};

#[derive(Default)]
struct Files {
    dir: Mutex<Option<tempfile::TempDir>>,
}

impl Files {
    fn engine(&self) -> Arc<dyn Engine> {
        let dir = self.dir.lock();
        Arc::new(Redb::open(dir.as_ref().unwrap().path(), Options::default()).unwrap())
    }
}

#[async_trait]
impl Harness for Files {
    async fn open(&self) -> Arc<dyn Engine> {
        *self.dir.lock() = Some(tempfile::tempdir().unwrap());
        self.engine()
    }

    async fn reopen(&self) -> Arc<dyn Engine> {
        self.engine()
    }
}

#[derive(Default)]
struct Disks {
    disk: Mutex<Disk>,
}

#[async_trait]
impl Harness for Disks {
    async fn open(&self) -> Arc<dyn Engine> {
        *self.disk.lock() = Disk::new(1);
        self.reopen().await
    }

    async fn reopen(&self) -> Arc<dyn Engine> {
        Arc::new(self.disk.lock().open().unwrap())
    }

    fn fail_next(&self, failure: Failure) -> bool {
        let disk = self.disk.lock();
        let counts = disk.counts();
        disk.plan_fault(
            match failure {
                Failure::Write => When::Change(counts.changes + 1),
                // The first sync makes the pages durable, the second the header that points at them.
                Failure::LostAck => When::Sync(counts.syncs + 2),
            },
            Fault::Error,
        );
        true
    }
}

mod on_files {
    switchboard_store::engine_suite!(super::Files::default());
}

mod on_a_failing_disk {
    switchboard_store::engine_suite!(super::Disks::default());
}

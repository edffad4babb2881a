//! The engine suite, and the script that only this engine has.

mod script;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use switchboard_engine_memory::{Memory, Script};
use switchboard_store::suite::{Failure, Harness};
use switchboard_store::{Engine, StoreError, StoreErrorKind};

#[derive(Default)]
struct MemoryHarness {
    script: Mutex<Arc<Script>>,
}

#[async_trait]
impl Harness for MemoryHarness {
    async fn open(&self) -> Arc<dyn Engine> {
        let memory = Memory::new();
        *self.script.lock() = memory.script();
        Arc::new(memory)
    }

    async fn reopen(&self) -> Arc<dyn Engine> {
        unreachable!("memory is not durable, so nobody may ask for it again")
    }

    fn fail_next(&self, failure: Failure) -> bool {
        let script = self.script.lock();
        match failure {
            Failure::Write => script.fail_next(StoreError::temporary(StoreErrorKind::Io, "scripted")),
            Failure::LostAck => script.lose_ack_next(),
        }
        true
    }
}

switchboard_store::engine_suite!(MemoryHarness::default());

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use switchboard_model::{Check, CheckKey};

use crate::plan::cut;

/// What a check said last. It changes with every probe and decides nothing, so it is never committed on its own.
#[derive(Clone, Debug)]
pub struct Output {
    pub text: Arc<str>,
    /// Wall-clock time, for people only.
    pub at_ms: u64,
}

/// The newest output of each check.
#[derive(Debug, Default)]
pub(crate) struct Outputs(RwLock<HashMap<CheckKey, Output>>);

impl Outputs {
    pub(crate) fn set(&self, key: &CheckKey, text: &str, at_ms: u64) {
        let text: Arc<str> = cut(text, Check::MAX_OUTPUT).into();
        let mut outputs = self.0.write();
        match outputs.get_mut(key) {
            Some(output) => *output = Output { text, at_ms },
            None => {
                outputs.insert(key.clone(), Output { text, at_ms });
            }
        }
    }

    pub(crate) fn get(&self, key: &CheckKey) -> Option<Output> {
        self.0.read().get(key).cloned()
    }

    pub(crate) fn forget(&self, key: &CheckKey) {
        self.0.write().remove(key);
    }
}

use std::sync::OnceLock;

use bytes::Bytes;
use parking_lot::RwLock;

/// Which encoding a memo holds: who encoded, and which of its forms.
pub type MemoKey = (&'static str, u64);

/// A place beside an immutable view where façades leave their encoding of it, so that it is encoded once and the
/// same bytes are served to everyone until the view changes. The view never learns what the bytes mean.
#[derive(Debug, Default)]
pub struct Memo(OnceLock<Box<Forms>>);

type Forms = RwLock<Vec<(MemoKey, Bytes)>>;

impl Memo {
    /// Forms beyond this many are encoded anew each time: rare queries must not grow a view.
    const MAX: usize = 8;

    pub fn get_or_encode(&self, key: MemoKey, encode: impl FnOnce() -> Bytes) -> Bytes {
        let slots = self.0.get_or_init(Box::default);
        if let Some((_, bytes)) = slots.read().iter().find(|(have, _)| *have == key) {
            return bytes.clone();
        }
        // Two callers may both encode; the answers are equal and one is kept.
        let bytes = encode();
        let mut slots = slots.write();
        if slots.len() < Memo::MAX && !slots.iter().any(|(have, _)| *have == key) {
            slots.push((key, bytes.clone()));
        }
        bytes
    }
}

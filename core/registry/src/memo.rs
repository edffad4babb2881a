use std::sync::OnceLock;

use bytes::Bytes;
use parking_lot::RwLock;

/// Which encoding a memo holds: who encoded, and which of its forms.
pub type MemoKey = (&'static str, u64);

/// A place beside an immutable view where façades leave their encoding of it, so that it is encoded once and the
/// same bytes are served to everyone until the view changes. The view never learns what the bytes mean.
#[derive(Debug, Default)]
pub struct Memo(OnceLock<Box<Forms>>);

type Forms = RwLock<Vec<Form>>;

#[derive(Debug)]
struct Form {
    key: MemoKey,
    /// Of what is not in the view and yet shows in the encoding.
    version: u64,
    bytes: Bytes,
}

impl Memo {
    /// Forms beyond this many are encoded anew each time: rare queries must not grow a view.
    const MAX: usize = 8;

    /// What was encoded of exactly this version. None: nobody did, or nobody kept it.
    pub fn get_at(&self, key: MemoKey, version: u64) -> Option<Bytes> {
        let forms = self.0.get()?.read();
        forms.iter().find(|form| form.key == key && form.version == version).map(|form| form.bytes.clone())
    }

    pub fn get_or_encode(&self, key: MemoKey, encode: impl FnOnce() -> Bytes) -> Bytes {
        self.get_or_encode_at(key, 0, encode)
    }

    /// For an encoding of more than the view: one of another version takes its place. A version that is read before
    /// what it stands for makes an encoding at worst newer than it says.
    pub fn get_or_encode_at(&self, key: MemoKey, version: u64, encode: impl FnOnce() -> Bytes) -> Bytes {
        let forms = self.0.get_or_init(Box::default);
        let fits = |form: &&Form| form.key == key && form.version == version;
        if let Some(form) = forms.read().iter().find(fits) {
            return form.bytes.clone();
        }
        // Two callers may both encode; the answers are equal and one is kept.
        let bytes = encode();
        let mut forms = forms.write();
        let form = Form { key, version, bytes: bytes.clone() };
        let has_room = forms.len() < Memo::MAX;
        match forms.iter_mut().find(|have| have.key == key) {
            Some(have) if have.version < version => *have = form,
            Some(_) => {}
            None if has_room => forms.push(form),
            None => {}
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_once_per_version_and_never_goes_back() {
        let memo = Memo::default();
        let ask = |version, text: &'static str| {
            memo.get_or_encode_at(("test", 0), version, || Bytes::from_static(text.as_bytes()))
        };
        assert_eq!(memo.get_at(("test", 0), 1), None);
        assert_eq!(ask(1, "first"), "first");
        assert_eq!(memo.get_at(("test", 0), 1).unwrap(), "first");
        assert_eq!(memo.get_at(("test", 0), 2), None);
        assert_eq!(ask(1, "again"), "first");
        assert_eq!(ask(3, "third"), "third");
        assert_eq!(ask(2, "late"), "late", "what is asked for is answered");
        assert_eq!(ask(3, "again"), "third", "and the newest is kept");
    }

    #[test]
    fn forms_beyond_the_bound_are_not_kept() {
        let memo = Memo::default();
        for form in 0..20 {
            memo.get_or_encode(("test", form), || Bytes::from_static(b"x"));
        }
        assert_eq!(memo.get_or_encode(("test", 19), || Bytes::from_static(b"anew")), "anew");
        assert_eq!(memo.get_or_encode(("test", 0), || Bytes::from_static(b"anew")), "x");
    }
}

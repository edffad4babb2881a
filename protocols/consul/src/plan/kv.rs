//! Keys and values: put, delete, and holding a key as a lock.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use switchboard_model::{Entry, Record, RecordKey, Rejection, Stored};
use switchboard_registry::plan::Plan;
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use super::session::is_alive;
use crate::lens::{Hold, KEYS, PairWords, Session, delay_key, hold_key, pair_key, session_key};

/// What a put is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verb {
    Set,
    /// Only if it was last written at this index; zero: only if it is not there.
    Cas(u64),
    Acquire(String),
    Release(String),
}

/// Puts a value under a key. Replies whether that was done.
#[derive(Clone, Debug)]
pub(crate) struct PutPair {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    pub(crate) flags: u64,
    pub(crate) verb: Verb,
}

impl Intent for PutPair {
    type Reply = bool;

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<bool>, Rejection> {
        let before = at.entry(&pair_key(&self.key));
        let words = before.map(|entry| PairWords::of(entry)).unwrap_or_default();
        let mut plan = Plan::default();
        let words = match &self.verb {
            Verb::Set => PairWords { lock_index: 0, ..words },
            Verb::Cas(index) => {
                if before.map_or(0, |entry| entry.modified.0) != *index {
                    return Ok(Planned { plan, reply: false });
                }
                PairWords { lock_index: 0, ..words }
            }
            Verb::Acquire(session) => match acquired(at, now, &self.key, session, words)? {
                Some(words) => {
                    hold(&mut plan, at, session, &self.key);
                    words
                }
                None => return Ok(Planned { plan, reply: false }),
            },
            Verb::Release(session) => {
                if session.is_empty() {
                    return Err(Rejection::invalid("", "missing session"));
                }
                if words.session != *session {
                    return Ok(Planned { plan, reply: false });
                }
                plan.delete(RecordKey::Entry(hold_key(session, &self.key)));
                PairWords { session: String::new(), ..words }
            }
        };
        let entry = Entry {
            key: pair_key(&self.key),
            value: self.value.clone(),
            lease: None,
            flags: self.flags,
            annex: words.annex()?,
        };
        entry.validate()?;
        let record = Record::Entry(entry);
        if !at.says(&record) {
            plan.put(record);
        }
        Ok(Planned { plan, reply: true })
    }
}

/// The words of a key that `session` holds from now on. None: it cannot have it.
fn acquired(
    at: &Snapshot,
    now: Now,
    key: &[u8],
    session: &str,
    words: PairWords,
) -> Result<Option<PairWords>, Rejection> {
    if session.is_empty() {
        return Err(Rejection::invalid("", "missing session"));
    }
    let known = at.entry(&session_key(session)).is_some_and(|entry| is_alive(at, &Session::of(entry)));
    if !known {
        return Err(Rejection::invalid("", format!("invalid session {session:?}")));
    }
    if words.session == session {
        return Ok(Some(words));
    }
    if !words.session.is_empty() || is_delayed(at, now, key) {
        return Ok(None);
    }
    Ok(Some(PairWords { session: session.to_owned(), lock_index: words.lock_index.saturating_add(1) }))
}

/// Whether a key was held by a session that ended a short while ago.
pub(crate) fn is_delayed(at: &Snapshot, now: Now, key: &[u8]) -> bool {
    let Some(entry) = at.entry(&delay_key(key)) else { return false };
    delay_left(entry, now).is_some()
}

/// Milliseconds until a key can be acquired again. None: it can. A clock that was set back holds no key for ever.
pub(super) fn delay_left(entry: &Entry, now: Now) -> Option<u64> {
    let until: u64 = std::str::from_utf8(&entry.value).ok()?.parse().ok()?;
    let longest = u64::try_from(crate::lens::LONGEST_DELAY.as_millis()).unwrap_or(u64::MAX);
    until.checked_sub(now.wall_ms).filter(|left| (1..=longest).contains(left))
}

/// Writes that `session` holds `key`, where it is found when the session ends.
fn hold(plan: &mut Plan, at: &Snapshot, session: &str, key: &[u8]) {
    let Some(entry) = at.entry(&session_key(session)) else { return };
    let value = Hold::of(&Session::of(entry)).to_value();
    let hold = Entry { key: hold_key(session, key), value, lease: None, flags: 0, annex: Default::default() };
    if !at.says(&Record::Entry(hold.clone())) {
        plan.put(Record::Entry(hold));
    }
    let delay = delay_key(key);
    if at.entry(&delay).is_some() {
        plan.delete(RecordKey::Entry(delay));
    }
}

/// Deletes a key. Replies whether it is gone.
#[derive(Clone, Debug)]
pub(crate) struct DeletePair {
    pub(crate) key: Bytes,
    pub(crate) if_index: Option<u64>,
}

impl Intent for DeletePair {
    type Reply = bool;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<bool>, Rejection> {
        let mut plan = Plan::default();
        let Some(entry) = at.entry(&pair_key(&self.key)) else { return Ok(Planned { plan, reply: true }) };
        if self.if_index.is_some_and(|index| entry.modified.0 != index) {
            return Ok(Planned { plan, reply: false });
        }
        delete(&mut plan, entry);
        Ok(Planned { plan, reply: true })
    }
}

/// Deletes all keys that begin so.
#[derive(Clone, Debug)]
pub(crate) struct DeleteTree {
    pub(crate) prefix: Bytes,
}

impl Intent for DeleteTree {
    type Reply = ();

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = Plan::default();
        for entry in pairs_under(at, &self.prefix) {
            delete(&mut plan, entry);
        }
        Ok(Planned { plan, reply: () })
    }
}

/// Whoever held it holds it no more.
fn delete(plan: &mut Plan, entry: &Stored<Entry>) {
    let session = PairWords::of(entry).session;
    if !session.is_empty() {
        plan.delete(RecordKey::Entry(hold_key(&session, &entry.key.key)));
    }
    plan.delete(RecordKey::Entry(entry.key.clone()));
}

/// The pairs whose keys begin so, in order.
pub(crate) fn pairs_under<'a>(
    at: &'a Snapshot,
    prefix: &'a [u8],
) -> impl Iterator<Item = &'a Arc<Stored<Entry>>> + use<'a> {
    entries_under(at, KEYS, prefix)
}

pub(crate) fn entries_under<'a>(
    at: &'a Snapshot,
    keyspace: &'a str,
    prefix: &'a [u8],
) -> impl Iterator<Item = &'a Arc<Stored<Entry>>> + use<'a> {
    let from = switchboard_model::EntryKey { keyspace: keyspace.into(), key: Bytes::copy_from_slice(prefix) };
    at.entries(Bound::Included(from))
        .take_while(move |entry| &*entry.key.keyspace == keyspace && entry.key.key.starts_with(prefix))
}

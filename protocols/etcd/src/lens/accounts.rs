//! Users, roles, and whether anyone is asked for them: as records, in a keyspace of their own. So they are kept, come
//! back after a restart, and are in a snapshot, like everything else.

use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prost::Message;
use switchboard_model::{Annex, Entry, EntryKey, Record, RecordKey, Revision, Stored};
use switchboard_registry::Snapshot;
use switchboard_registry::plan::Write;

use crate::wire::authpb::Permission;

/// Whoever has this role may do everything, and authentication cannot be turned on unless this user has it.
pub(crate) const ROOT: &str = "root";

/// A user, as it is kept.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct User {
    /// Sorted.
    #[prost(string, repeated, tag = "1")]
    pub(crate) roles: Vec<String>,
    /// Hashed. Empty: no password is the right one.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) password: Bytes,
    /// Signs in by certificate alone.
    #[prost(bool, tag = "3")]
    pub(crate) no_password: bool,
}

/// Without the password: what is printed is read by others.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("roles", &self.roles).finish_non_exhaustive()
    }
}

impl User {
    pub(crate) fn is_root(&self) -> bool {
        self.roles.iter().any(|role| role == ROOT)
    }
}

/// A role, as it is kept.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Role {
    /// Sorted by key.
    #[prost(message, repeated, tag = "1")]
    pub(crate) permissions: Vec<Permission>,
}

/// Whether users are asked for, and how often users and roles have changed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Guard {
    #[prost(bool, tag = "1")]
    pub(crate) enabled: bool,
    #[prost(uint64, tag = "2")]
    pub(crate) revision: u64,
}

impl Guard {
    /// As it is until somebody changes something.
    pub(crate) const FIRST: Guard = Guard { enabled: false, revision: 1 };
    /// A record that cannot be read guards everything from everyone.
    const SHUT: Guard = Guard { enabled: true, revision: u64::MAX };
}

fn key(kind: &str, name: &str) -> EntryKey {
    static KEYSPACE: OnceLock<Arc<str>> = OnceLock::new();
    let keyspace = KEYSPACE.get_or_init(|| Arc::from("etcd.auth")).clone();
    EntryKey { keyspace, key: Bytes::from([kind, name].concat()) }
}

const USER: &str = "user/";
const ROLE: &str = "role/";

fn guard_key() -> &'static EntryKey {
    static KEY: OnceLock<EntryKey> = OnceLock::new();
    KEY.get_or_init(|| key("guard", ""))
}

fn put(key: EntryKey, message: &impl Message) -> Write {
    let value = message.encode_to_vec().into();
    Write::Put(Record::Entry(Entry { key, value, lease: None, flags: 0, annex: Annex::default() }))
}

pub(crate) fn put_guard(guard: &Guard) -> Write {
    put(guard_key().clone(), guard)
}

pub(crate) fn put_user(name: &str, user: &User) -> Write {
    put(key(USER, name), user)
}

pub(crate) fn put_role(name: &str, role: &Role) -> Write {
    put(key(ROLE, name), role)
}

pub(crate) fn delete_user(name: &str) -> Write {
    Write::Delete(RecordKey::Entry(key(USER, name)))
}

pub(crate) fn delete_role(name: &str) -> Write {
    Write::Delete(RecordKey::Entry(key(ROLE, name)))
}

/// A snapshot, read for its users and roles.
#[derive(Clone, Copy)]
pub(crate) struct Accounts<'a>(pub(crate) &'a Snapshot);

impl<'a> Accounts<'a> {
    pub(crate) fn guard(self) -> Guard {
        match self.0.entry(guard_key()) {
            None => Guard::FIRST,
            Some(kept) => Guard::decode(kept.value.value.clone()).unwrap_or(Guard::SHUT),
        }
    }

    pub(crate) fn user(self, name: &str) -> Option<User> {
        self.kept_user(name).map(|(user, _)| user)
    }

    /// With the revision at which it was added: one that is deleted and added again is another user.
    pub(crate) fn kept_user(self, name: &str) -> Option<(User, Revision)> {
        let kept = self.0.entry(&key(USER, name))?;
        Some((User::decode(kept.value.value.clone()).ok()?, kept.created))
    }

    pub(crate) fn role(self, name: &str) -> Option<Role> {
        Role::decode(self.0.entry(&key(ROLE, name))?.value.value.clone()).ok()
    }

    /// In order.
    pub(crate) fn users(self) -> impl Iterator<Item = (String, User)> + use<'a> {
        let decode = |(name, kept): (String, &'a Arc<Stored<Entry>>)| {
            Some((name, User::decode(kept.value.value.clone()).ok()?))
        };
        self.named(USER).filter_map(decode)
    }

    /// In order.
    pub(crate) fn role_names(self) -> impl Iterator<Item = String> + use<'a> {
        self.named(ROLE).map(|(name, _)| name)
    }

    fn named(self, kind: &'static str) -> impl Iterator<Item = (String, &'a Arc<Stored<Entry>>)> + use<'a> {
        let first = key(kind, "");
        let keyspace = first.keyspace.clone();
        let name = move |kept: &'a Arc<Stored<Entry>>| {
            let key = &kept.value.key;
            let name = (*key.keyspace == *keyspace).then(|| key.key.strip_prefix(kind.as_bytes()))??;
            Some((String::from_utf8_lossy(name).into_owned(), kept))
        };
        self.0.entries(Bound::Included(first)).map_while(name)
    }
}

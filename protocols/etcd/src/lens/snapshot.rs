//! A snapshot of the registry as etcd keeps its data: buckets of rows, as etcd 3.6 has them.
//!
//! It is the keys as they are, each with the revisions at which it was made and changed, without what they were before: all of
//! that is said to be compacted. Instances are in it as the keys that they are here.

use prost::Message;
use switchboard_model::Revision;

use super::accounts::Accounts;
use super::alarms::alarms;
use super::keys::{Item, Keys};
use super::range::{End, KeyRange};
use super::{lease_to_wire, revision_to_wire};
use crate::bolt::{Rows, Table, Told};
use crate::wire::authpb::{Permission, UserAddOptions};

/// A lease, as etcd keeps it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Lease {
    #[prost(int64, tag = "1")]
    pub(super) id: i64,
    /// In seconds.
    #[prost(int64, tag = "2")]
    pub(super) ttl: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct User {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) name: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) password: bytes::Bytes,
    #[prost(string, repeated, tag = "3")]
    pub(super) roles: Vec<String>,
    #[prost(message, optional, tag = "4")]
    pub(super) options: Option<UserAddOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Role {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) name: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub(super) permissions: Vec<Permission>,
}

/// Who is written down, and which version of etcd it is as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) term: u64,
    pub(crate) storage_version: &'static str,
}

/// What a revision is called there, and what of it: changes of one commit are told apart by a number.
pub(crate) fn revision_key(revision: i64, part: u64) -> [u8; 17] {
    let mut key = [b'_'; 17];
    let bytes = revision.to_be_bytes().into_iter().chain([b'_']).chain(part.to_be_bytes());
    key.iter_mut().zip(bytes).for_each(|(byte, part)| *byte = part);
    key
}

/// The keys by when they were changed; a number and a pointer for each.
pub(crate) struct ByRevision<'a>(Vec<(i64, Item<'a>)>);

impl<'a> ByRevision<'a> {
    pub(crate) fn of(keys: Keys<'a>) -> ByRevision<'a> {
        let everything = KeyRange { start: bytes::Bytes::from_static(&[0]), end: End::Open };
        let mut items: Vec<_> = keys.range(&everything).map(|item| (item.modified(), item)).collect();
        items.sort_by_key(|(modified, _)| *modified);
        ByRevision(items)
    }

    pub(crate) fn tell(&self, rows: &mut Rows<'_>) -> Told {
        let mut value = Vec::new();
        let (mut last, mut part) = (0, 0);
        for (modified, item) in &self.0 {
            part = if *modified == last { part + 1 } else { 0 };
            last = *modified;
            value.clear();
            // A vector has room for everything.
            let _ = item.to_wire().encode(&mut value);
            rows(&revision_key(*modified, part), &value)?;
        }
        Ok(())
    }
}

/// In the order of their names.
pub(crate) fn buckets<'a>(keys: Keys<'a>, written: Written) -> Vec<(&'static str, Box<Table<'a>>)> {
    let by_revision = ByRevision::of(keys);
    let head = keys.at.revision();
    let accounts = Accounts(keys.at);
    vec![
        (
            "alarm",
            Box::new(move |rows| {
                in_order(alarms(keys.at).map(|it| (it.to_wire().encode_to_vec(), vec![])), rows)
            }),
        ),
        (
            "auth",
            Box::new(move |rows| {
                let guard = accounts.guard();
                rows(b"authEnabled", &[u8::from(guard.enabled)])?;
                rows(b"authRevision", &guard.revision.to_be_bytes())
            }),
        ),
        (
            "authRoles",
            Box::new(move |rows| {
                let roles = accounts.role_names().filter_map(|name| Some((accounts.role(&name)?, name)));
                in_order(
                    roles.map(|(role, name)| {
                        let name = name.into_bytes();
                        (name.clone(), Role { name, permissions: role.permissions }.encode_to_vec())
                    }),
                    rows,
                )
            }),
        ),
        (
            "authUsers",
            Box::new(move |rows| {
                in_order(
                    accounts.users().map(|(name, user)| {
                        let (name, options) =
                            (name.into_bytes(), Some(UserAddOptions { no_password: user.no_password }));
                        let user =
                            User { name: name.clone(), password: user.password, roles: user.roles, options };
                        (name, user.encode_to_vec())
                    }),
                    rows,
                )
            }),
        ),
        // Of the cluster and its members it is said what they are when this is restored.
        ("cluster", Box::new(|_| Ok(()))),
        ("key", Box::new(move |rows| by_revision.tell(rows))),
        ("lease", Box::new(move |rows| leases(keys, rows))),
        ("members", Box::new(|_| Ok(()))),
        ("members_removed", Box::new(|_| Ok(()))),
        ("meta", Box::new(move |rows| meta(head, written, rows))),
    ]
}

fn in_order(all: impl Iterator<Item = (Vec<u8>, Vec<u8>)>, rows: &mut Rows<'_>) -> Told {
    let mut all: Vec<_> = all.collect();
    all.sort();
    all.iter().try_for_each(|(key, value)| rows(key, value))
}

/// Those that are alive, by their ids as unsigned numbers.
fn leases(keys: Keys<'_>, rows: &mut Rows<'_>) -> Told {
    for view in keys.at.leases(std::ops::Bound::Unbounded) {
        let Some(view) = keys.lease(view.lease.id) else { continue };
        let ttl = view.lease.ttl;
        let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
        let lease =
            Lease { id: lease_to_wire(Some(view.lease.id)), ttl: i64::try_from(seconds).unwrap_or(i64::MAX) };
        rows(&view.lease.id.0.to_be_bytes(), &lease.encode_to_vec())?;
    }
    Ok(())
}

fn meta(head: Revision, written: Written, rows: &mut Rows<'_>) -> Told {
    let compacted = revision_key(revision_to_wire(head), 0);
    rows(b"consistent_index", &head.0.to_be_bytes())?;
    rows(b"finishedCompactRev", &compacted)?;
    rows(b"scheduledCompactRev", &compacted)?;
    rows(b"storageVersion", written.storage_version.as_bytes())?;
    rows(b"term", &written.term.to_be_bytes())
}

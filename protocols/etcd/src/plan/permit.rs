//! Who may do what. It is asked where a wish is planned: about the very state that the wish would change, and about
//! everything that it would read, write, detach or let end, in every branch of it.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use switchboard_model::LeaseId;
use switchboard_registry::Snapshot;

use super::spans::Spans;
use crate::lens::accounts::Accounts;
use crate::lens::keys::Keys;
use crate::lens::lease_from_wire;
use crate::lens::range::KeyRange;
use crate::refusal::{self, Refusal};
use crate::wire::authpb::permission::Type;
use crate::wire::etcdserverpb::request_op::Request;
use crate::wire::etcdserverpb::{PutRequest, TxnRequest};

type Permitted = Result<(), Refusal>;

/// Who asks, once what it shows was looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Who {
    /// This process, about what it began for somebody.
    Itself,
    /// Somebody who showed nothing, which is enough as long as users are not asked for.
    Nobody,
    /// A user, as of this revision of users and roles.
    User { name: Arc<str>, revision: u64 },
}

impl Who {
    /// What it may do to keys.
    pub(crate) fn rights(&self, at: &Snapshot) -> Rights {
        let accounts = Accounts(at);
        let guard = accounts.guard();
        match self {
            Who::Itself => Rights::All,
            _ if !guard.enabled => Rights::All,
            Who::Nobody => Rights::None(refusal::USER_EMPTY),
            // A signed token may say anything.
            Who::User { revision: 0, .. } => Rights::None(refusal::USER_EMPTY),
            // Users or roles changed after it was looked who this is.
            Who::User { revision, .. } if *revision < guard.revision => {
                Rights::None(refusal::AUTH_OLD_REVISION)
            }
            Who::User { name, .. } => Rights::of(accounts, name),
        }
    }

    /// That it is anybody at all, if users are asked for.
    pub(crate) fn is_known(&self, at: &Snapshot) -> Permitted {
        match self {
            Who::Nobody if Accounts(at).guard().enabled => Err(refusal::USER_EMPTY),
            Who::Itself | Who::Nobody | Who::User { .. } => Ok(()),
        }
    }

    /// That users and roles are those that its token knows, which etcd asks of reads besides: of a token that is signed, they
    /// may also be others than ever were.
    pub(crate) fn is_of_now(&self, at: &Snapshot) -> Permitted {
        match self {
            Who::User { revision, .. } if *revision != 0 && *revision != Accounts(at).guard().revision => {
                Err(refusal::AUTH_OLD_REVISION)
            }
            Who::Itself | Who::Nobody | Who::User { .. } => Ok(()),
        }
    }

    /// That it may do everything.
    pub(crate) fn is_root(&self, at: &Snapshot) -> Permitted {
        let accounts = Accounts(at);
        match self {
            Who::Itself => Ok(()),
            _ if !accounts.guard().enabled => Ok(()),
            Who::Nobody => Err(refusal::USER_EMPTY),
            Who::User { name, .. } => match accounts.user(name) {
                None => Err(refusal::USER_NOT_FOUND),
                Some(user) if user.is_root() => Ok(()),
                Some(_) => Err(refusal::PERMISSION_DENIED),
            },
        }
    }
}

/// What somebody may do to keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rights {
    All,
    Some {
        read: Spans,
        write: Spans,
    },
    /// To none, and why.
    None(Refusal),
}

impl Rights {
    fn of(accounts: Accounts<'_>, name: &str) -> Rights {
        let user = accounts.user(name).unwrap_or_default();
        if user.is_root() {
            return Rights::All;
        }
        let roles: Vec<_> = user.roles.iter().filter_map(|role| accounts.role(role)).collect();
        let spans = |kinds: [Type; 2]| {
            let granted = roles.iter().flat_map(|role| &role.permissions);
            let granted = granted.filter(|it| kinds.iter().any(|kind| it.perm_type == i32::from(*kind)));
            Spans::of(granted.map(|it| KeyRange::from_wire(&it.key, &it.range_end)))
        };
        Rights::Some {
            read: spans([Type::Read, Type::Readwrite]),
            write: spans([Type::Write, Type::Readwrite]),
        }
    }

    pub(crate) fn to_read(&self, key: &Bytes, range_end: &Bytes) -> Permitted {
        self.to_read_range(&KeyRange::from_wire(key, range_end))
    }

    pub(crate) fn to_read_range(&self, range: &KeyRange) -> Permitted {
        match self {
            Rights::None(refusal) => Err(refusal.clone()),
            Rights::Some { read, .. } if !read.cover(range) => Err(refusal::PERMISSION_DENIED),
            Rights::All | Rights::Some { .. } => Ok(()),
        }
    }

    pub(crate) fn to_write(&self, key: &Bytes, range_end: &Bytes) -> Permitted {
        match self {
            Rights::None(refusal) => Err(refusal.clone()),
            Rights::Some { write, .. } if !write.cover(&KeyRange::from_wire(key, range_end)) => {
                Err(refusal::PERMISSION_DENIED)
            }
            Rights::All | Rights::Some { .. } => Ok(()),
        }
    }

    /// Everything in a request, on both branches of every transaction in it.
    pub(crate) fn to_ask(&self, keys: Keys<'_>, request: &Request) -> Permitted {
        if *self == Rights::All {
            return Ok(());
        }
        Asking { rights: self, keys, leases: HashSet::new() }.request(request)
    }

    /// Renewing and ending a lease, and living by it, is a matter of all keys that live by it already.
    pub(crate) fn to_use_lease(&self, keys: Keys<'_>, lease: LeaseId) -> Permitted {
        self.of_lease(keys, lease, |key| self.to_write(key, &Bytes::new()))
    }

    /// Being told the keys of a lease.
    pub(crate) fn to_read_lease(&self, keys: Keys<'_>, lease: LeaseId) -> Permitted {
        self.of_lease(keys, lease, |key| self.to_read(key, &Bytes::new()))
    }

    fn of_lease(&self, keys: Keys<'_>, lease: LeaseId, one: impl Fn(&Bytes) -> Permitted) -> Permitted {
        if *self == Rights::All {
            return Ok(());
        }
        let held = keys.at.lease(lease).into_iter().flat_map(|lease| lease.holds.iter());
        held.map(|held| keys.name_of(held)).try_for_each(|key| match key {
            Some(key) => one(&key),
            // What lives by it and is no key here was granted to nobody here.
            None => Err(refusal::PERMISSION_DENIED),
        })
    }
}

struct Asking<'a> {
    rights: &'a Rights,
    keys: Keys<'a>,
    /// Those that were looked at: a lease may hold many keys, and a transaction name it many times.
    leases: HashSet<i64>,
}

impl Asking<'_> {
    fn request(&mut self, request: &Request) -> Permitted {
        match request {
            Request::RequestRange(range) => self.rights.to_read(&range.key, &range.range_end),
            Request::RequestPut(put) => self.put(put),
            Request::RequestDeleteRange(delete) => {
                self.rights.to_write(&delete.key, &delete.range_end)?;
                match delete.prev_kv {
                    true => self.rights.to_read(&delete.key, &delete.range_end),
                    false => Ok(()),
                }
            }
            Request::RequestTxn(txn) => self.txn(txn),
        }
    }

    fn txn(&mut self, txn: &TxnRequest) -> Permitted {
        // That a comparison holds tells of the key, as reading it would.
        txn.compare.iter().try_for_each(|compare| self.rights.to_read(&compare.key, &compare.range_end))?;
        let requests = txn.success.iter().chain(&txn.failure).filter_map(|op| op.request.as_ref());
        requests.into_iter().try_for_each(|request| self.request(request))
    }

    fn put(&mut self, put: &PutRequest) -> Permitted {
        let only = Bytes::new();
        self.rights.to_write(&put.key, &only)?;
        if let Some(lease) = lease_from_wire(put.lease)
            && self.leases.insert(put.lease)
        {
            self.rights.to_use_lease(self.keys, lease)?;
        }
        if put.prev_kv { self.rights.to_read(&put.key, &only) } else { Ok(()) }
    }
}

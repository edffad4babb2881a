//! What is in a file of etcd's, row by row as it comes: the keys as they were last, without what they were before.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

use super::accounts::{Guard, Role, User};
use super::snapshot as kept;
use crate::wire::mvccpb::KeyValue;

#[derive(Debug)]
pub(crate) struct Restored {
    /// The newest revision that is mentioned.
    pub(crate) revision: u64,
    pub(crate) keys: BTreeMap<Bytes, KeyValue>,
    /// By id, in seconds.
    pub(crate) leases: BTreeMap<i64, i64>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) guard: Guard,
}

impl Default for Restored {
    fn default() -> Restored {
        let (keys, leases, users, roles) = Default::default();
        Restored { revision: 0, keys, leases, users, roles, guard: Guard::FIRST }
    }
}

type Heard = Result<(), String>;

impl Restored {
    /// Buckets that mean something here.
    pub(crate) const BUCKETS: [&'static str; 5] = ["key", "lease", "auth", "authUsers", "authRoles"];

    pub(crate) fn hear(&mut self, bucket: &str, key: &[u8], value: &[u8]) -> Heard {
        let heard = match bucket {
            "key" => self.key(key, value),
            "lease" => self.lease(value),
            "auth" => self.auth(key, value),
            "authUsers" => self.user(value),
            "authRoles" => self.role(value),
            _ => Ok(()),
        };
        heard.map_err(|why| format!("in its bucket {bucket:?}: {why}"))
    }

    /// Its name is a revision, with a mark behind it if it says that a key was deleted.
    fn key(&mut self, key: &[u8], value: &[u8]) -> Heard {
        let (revision, rest) = key.split_first_chunk().ok_or("a revision is too short")?;
        self.revision = self.revision.max(u64::from_be_bytes(*revision));
        let kv = KeyValue::decode(value).map_err(|error| error.to_string())?;
        // Slices of a page, all of which would stay in memory for as long as the key does.
        let [key, value] = [&kv.key, &kv.value].map(|bytes| Bytes::copy_from_slice(bytes));
        match rest.get(9) {
            Some(b't') => drop(self.keys.remove(&key)),
            _ if key.is_empty() => {}
            _ => drop(self.keys.insert(key.clone(), KeyValue { key, value, ..kv })),
        }
        Ok(())
    }

    fn lease(&mut self, value: &[u8]) -> Heard {
        let lease = kept::Lease::decode(value).map_err(|error| error.to_string())?;
        self.leases.insert(lease.id, lease.ttl);
        Ok(())
    }

    fn auth(&mut self, key: &[u8], value: &[u8]) -> Heard {
        match key {
            b"authEnabled" => self.guard.enabled = value == [1],
            b"authRevision" => {
                let revision = value.try_into().map_err(|_| "a revision is no number")?;
                self.guard.revision = u64::from_be_bytes(revision);
            }
            _ => {}
        }
        Ok(())
    }

    fn user(&mut self, value: &[u8]) -> Heard {
        let kept::User { name, password, mut roles, options } =
            kept::User::decode(value).map_err(|error| error.to_string())?;
        roles.sort();
        let no_password = options.is_some_and(|options| options.no_password);
        let password = Bytes::copy_from_slice(&password);
        self.users.insert(text(name)?, User { roles, password, no_password });
        Ok(())
    }

    fn role(&mut self, value: &[u8]) -> Heard {
        let kept::Role { name, mut permissions } =
            kept::Role::decode(value).map_err(|error| error.to_string())?;
        permissions.sort_by(|a, b| a.key.cmp(&b.key));
        self.roles.insert(text(name)?, Role { permissions });
        Ok(())
    }
}

fn text(name: Vec<u8>) -> Result<String, String> {
    String::from_utf8(name).map_err(|_| "a name is no text".to_owned())
}

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use switchboard_model::{
    Annex, Check, CheckKey, Entry, EntryKey, InstanceKey, Noun, Owner, Record, RecordKey, Rejection,
};
use switchboard_registry::plan::{Deregister, Plan, PutCheck};
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use super::{EnsureNode, RegisterService, check_on, entries_under, on_node, once_each};

/// What each file brought, by its name.
const KEYSPACE: &str = "consul.files";

/// Brings the registry to what the files say now: what they define is there, and what they no longer define is gone.
#[derive(Clone, Debug)]
pub(crate) struct ApplyFiles {
    pub(crate) on: EnsureNode,
    pub(crate) files: Vec<FileWish>,
    /// What these brought stays as it is.
    pub(crate) broken: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct FileWish {
    pub(crate) name: String,
    pub(crate) services: Vec<RegisterService>,
    pub(crate) checks: Vec<FileChecks>,
}

/// A check of the node, or of a service by its id.
#[derive(Clone, Debug)]
pub(crate) struct FileChecks {
    pub(crate) of: Option<String>,
    pub(crate) check: Check,
}

impl FileWish {
    /// Of all its checks, with services or by themselves.
    pub(crate) fn check_ids(&self) -> impl Iterator<Item = &str> {
        let own = self.services.iter().flat_map(|service| &service.checks);
        own.chain(self.checks.iter().map(|wish| &wish.check)).map(|check| check.key.id.as_str())
    }
}

/// The ids of what a file brought.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Brought {
    services: Vec<String>,
    checks: Vec<String>,
}

fn entry_key(name: &str) -> EntryKey {
    EntryKey { keyspace: Arc::from(KEYSPACE), key: Bytes::copy_from_slice(name.as_bytes()) }
}

/// What is known of every file that ever brought anything and is not gone.
fn brought(at: &Snapshot) -> Vec<(String, Brought)> {
    let one = |entry: &Arc<switchboard_model::Stored<Entry>>| {
        let name = String::from_utf8_lossy(&entry.key.key).into_owned();
        (name, serde_json::from_slice(&entry.value.value).unwrap_or_default())
    };
    entries_under(at, KEYSPACE, b"").map(one).collect()
}

impl Intent for ApplyFiles {
    type Reply = ();

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<()>, Rejection> {
        let mut plan = self.on.plan(at, now)?.plan;
        let node = &self.on.node.key;
        let mut checks: HashSet<CheckKey> = HashSet::new();
        let mut defined: HashMap<&str, Arc<InstanceKey>> = HashMap::new();
        for service in self.files.iter().flat_map(|file| &file.services) {
            plan.writes.extend(service.plan(at, now)?.plan.writes);
            defined.insert(service.instance.key.id.as_str(), service.instance.key.clone());
            checks.extend(service.checks.iter().map(|check| check.key.clone()));
        }
        for wish in self.files.iter().flat_map(|file| &file.checks) {
            let key = self.put_check(&mut plan, at, now, wish, &defined)?;
            checks.insert(key);
        }
        for (name, before) in brought(at) {
            if self.broken.contains(&name) {
                continue;
            }
            for id in before.services.iter().filter(|id| !defined.contains_key(id.as_str())) {
                if let Some(key) = on_node(at, Some(node), id) {
                    plan.writes.extend(Deregister { key: key.clone() }.plan(at, now)?.plan.writes);
                }
            }
            for key in before.checks.iter().filter_map(|id| check_on(at, node, id)) {
                if !checks.contains(&key) {
                    plan.delete(RecordKey::Check(key));
                }
            }
            if !self.files.iter().any(|file| file.name == name) {
                plan.delete(RecordKey::Entry(entry_key(&name)));
            }
        }
        for file in &self.files {
            let brought = Brought {
                services: file.services.iter().map(|one| one.instance.key.id.as_str().to_owned()).collect(),
                checks: file.check_ids().map(str::to_owned).collect(),
            };
            let record = Record::Entry(Entry {
                key: entry_key(&file.name),
                value: serde_json::to_vec(&brought).unwrap_or_default().into(),
                lease: None,
                flags: 0,
                annex: Annex::default(),
            });
            let is_worth_it = brought != Brought::default() || at.record(&record.key()).is_some();
            if is_worth_it && !at.says(&record) {
                plan.put(record);
            }
        }
        Ok(Planned { plan: once_each(plan), reply: () })
    }
}

impl ApplyFiles {
    fn put_check(
        &self,
        plan: &mut Plan,
        at: &Snapshot,
        now: Now,
        wish: &FileChecks,
        defined: &HashMap<&str, Arc<InstanceKey>>,
    ) -> Result<CheckKey, Rejection> {
        let mut check = wish.check.clone();
        if let Some(id) = &wish.of {
            let there = defined.get(id.as_str()).cloned();
            let there = there.or_else(|| on_node(at, Some(&self.on.node.key), id).cloned());
            check.key.owner = Owner::Instance(there.ok_or_else(|| Rejection::not_found(Noun::Instance, id))?);
        }
        let key = check.key.clone();
        let has_owner = match &key.owner {
            Owner::Instance(owner) => at.instance(owner).is_some(),
            Owner::Node(node) => at.node(node).is_some(),
        };
        if has_owner {
            plan.writes.extend(PutCheck { check }.plan(at, now)?.plan.writes);
        } else {
            check.validate()?;
            plan.put(Record::Check(check));
        }
        Ok(key)
    }
}

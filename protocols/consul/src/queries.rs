//! Prepared queries as they are kept: by id, by name, and by the prefix of a template.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use switchboard_model::{Entry, EntryKey, Revision, Stored};
use switchboard_registry::Snapshot;

use crate::lens::Template;
use crate::wire::QueryBody;

/// Where they are kept, by id.
pub(crate) const KEYSPACE: &str = "consul.query";

pub(crate) fn key_of(id: &str) -> EntryKey {
    EntryKey { keyspace: Arc::from(KEYSPACE), key: Bytes::copy_from_slice(id.as_bytes()) }
}

/// A query, and what is made of it if it is a template.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) query: QueryBody,
    template: Option<Template>,
}

impl Known {
    fn read(entry: &Stored<Entry>) -> Option<Known> {
        let Ok(mut query) = serde_json::from_slice::<QueryBody>(&entry.value.value) else {
            tracing::warn!(key = %String::from_utf8_lossy(&entry.key.key), "a prepared query cannot be read");
            return None;
        };
        (query.create_index, query.modify_index) = (entry.created.0, entry.modified.0);
        let template = query.is_template().then(|| Template::compile(&query).ok()).flatten();
        Some(Known { query, template })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queries {
    /// In the order of their ids.
    all: Vec<Arc<Known>>,
    by_name: HashMap<String, Arc<Known>>,
    templates: HashMap<String, Arc<Known>>,
    /// Of a template, in bytes.
    longest_prefix: usize,
}

impl Queries {
    /// Those of another snapshot in order. What is here already is not read again, which keeps the writer from doing so.
    pub(crate) fn as_of<'a>(&'a self, at: &'a Snapshot) -> impl Iterator<Item = Arc<Known>> + use<'a> {
        let from = EntryKey { keyspace: Arc::from(KEYSPACE), key: Bytes::new() };
        let entries = at.entries(Bound::Included(from)).take_while(|entry| &*entry.key.keyspace == KEYSPACE);
        entries.filter_map(|entry| {
            let id = std::str::from_utf8(&entry.key.key).ok();
            let known = id.and_then(|id| self.known(id));
            let known = known.filter(|known| known.query.modify_index == entry.modified.0).cloned();
            known.or_else(|| Known::read(entry).map(Arc::new))
        })
    }

    fn renewed(&self, at: &Snapshot) -> Queries {
        let mut queries = Queries::default();
        for known in self.as_of(at) {
            let (name, is_template) = (known.query.name.to_lowercase(), known.query.is_template());
            if !name.is_empty() {
                queries.by_name.insert(name.clone(), known.clone());
            }
            if is_template {
                queries.longest_prefix = queries.longest_prefix.max(name.len());
                queries.templates.insert(name, known.clone());
            }
            queries.all.push(known);
        }
        queries
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &QueryBody> {
        self.all.iter().map(|known| &known.query)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&QueryBody> {
        self.known(id).map(|known| &known.query)
    }

    fn known(&self, id: &str) -> Option<&Arc<Known>> {
        let at = self.all.binary_search_by(|known| known.query.id.as_str().cmp(id)).ok()?;
        self.all.get(at)
    }

    /// What is meant by an id or a name: the query itself, or the one that a template makes of the name.
    pub(crate) fn resolve(&self, id_or_name: &str) -> Result<Option<QueryBody>, &'static str> {
        if let Some(known) = self.known(id_or_name) {
            if known.query.is_template() {
                return Err("prepared query templates can only be resolved up by name, not by ID");
            }
            return Ok(Some(known.query.clone()));
        }
        let name = id_or_name.to_lowercase();
        let found = self.by_name.get(&name).or_else(|| self.longest_template(&name));
        Ok(found.map(|known| match &known.template {
            Some(template) => template.render(id_or_name),
            None => known.query.clone(),
        }))
    }

    fn longest_template(&self, name: &str) -> Option<&Arc<Known>> {
        let most = self.longest_prefix.min(name.len());
        (0..=most).rev().filter_map(|end| name.get(..end)).find_map(|prefix| self.templates.get(prefix))
    }
}

/// The queries as of the newest snapshot that was asked about, so that nobody reads them anew for every question.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Option<(Revision, Arc<Queries>)>>);

impl Remembered {
    /// `at` has been published: what was only planned might never come to be.
    pub(crate) fn at(&self, at: &Snapshot) -> Arc<Queries> {
        let touched = at.touched().entries(KEYSPACE);
        let before = match &*self.0.lock() {
            Some((revision, queries)) if *revision == touched => return queries.clone(),
            before => before.as_ref().map(|(_, queries)| queries.clone()).unwrap_or_default(),
        };
        let queries = Arc::new(before.renewed(at));
        let mut kept = self.0.lock();
        if kept.as_ref().is_none_or(|(revision, _)| *revision < touched) {
            *kept = Some((touched, queries.clone()));
        }
        queries
    }
}

#[cfg(test)]
mod tests {
    use switchboard_engine_memory::Memory;
    use switchboard_model::{Annex, Revision};
    use switchboard_registry::plan::{DeleteEntry, PutEntry};
    use switchboard_registry::{Caller, OpenGate, Options, Registry};

    use super::*;

    /// All of them were read anew for every write, by the one writer that everyone waits for.
    #[tokio::test]
    async fn only_what_was_written_since_is_read_again() {
        let registry = Registry::open(Arc::new(Memory::new()), Options::default(), Arc::new(OpenGate));
        registry.loaded().await.unwrap();
        let caller = Caller::internal("test");
        let put = |id: &str, name: &str| {
            let value = serde_json::json!({ "ID": id, "Name": name, "Service": { "Service": "web" } });
            let entry = Entry {
                key: key_of(id),
                value: value.to_string().into(),
                lease: None,
                flags: 0,
                annex: Annex::default(),
            };
            registry.submit(&caller, PutEntry { entry, if_revision: None })
        };
        for id in ["a", "b", "c"] {
            put(id, id).await.unwrap();
        }
        let remembered = Remembered::default();
        let view = || registry.view(&caller).unwrap();
        let first = remembered.at(&view());
        put("b", "other").await.unwrap();
        registry.submit(&caller, DeleteEntry { key: key_of("c"), if_revision: None }).await.unwrap();
        let second = remembered.at(&view());
        let is_same = |id: &str| match (first.known(id), second.known(id)) {
            (Some(first), Some(second)) => Some(Arc::ptr_eq(first, second)),
            _ => None,
        };
        assert_eq!((is_same("a"), is_same("b"), is_same("c")), (Some(true), Some(false), None));
        assert!(second.resolve("other").unwrap().is_some() && second.resolve("b").unwrap().is_some());
        assert!(Arc::ptr_eq(&second, &remembered.at(&view())));
        assert!(second.known("b").unwrap().query.modify_index > Revision(3).0);
    }
}

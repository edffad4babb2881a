use std::sync::Arc;

use switchboard_model::{Annex, Entry, Record, RecordKey, Rejection};
use switchboard_registry::plan::Plan;
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use crate::answer::encode;
use crate::lens::{Template, session_key};
use crate::queries::{Queries, key_of};
use crate::wire::QueryBody;

/// Keeps a prepared query. The reply says why not, in Consul's words.
#[derive(Clone, Debug)]
pub(crate) struct PutQuery {
    /// Its id is set.
    pub(crate) query: QueryBody,
    pub(crate) is_new: bool,
    /// Those that were read before.
    pub(crate) known: Arc<Queries>,
}

impl PutQuery {
    /// There are no more than this.
    pub(crate) const MOST: usize = 2048;
}

pub(crate) type Said = Result<(), String>;

impl Intent for PutQuery {
    type Reply = Said;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<Said>, Rejection> {
        let no = |why: String| Ok(Planned { plan: Plan::default(), reply: Err(why) });
        let query = &self.query;
        if !self.is_new && at.entry(&key_of(&query.id)).is_none() {
            return no(unknown(&query.id));
        }
        let (mut count, name) = (0, query.name.to_lowercase());
        let (mut is_taken, mut is_second) = (false, false);
        for other in self.known.as_of(at) {
            count += 1;
            let other = &other.query;
            if other.id != query.id {
                is_taken |= !name.is_empty() && other.name.to_lowercase() == name;
                is_second |= other.name.is_empty() && other.is_template();
            }
        }
        if self.is_new && count >= PutQuery::MOST {
            return Err(Rejection::Limit { what: "prepared queries".into(), limit: PutQuery::MOST as u64 });
        }
        if is_taken {
            return no(format!("raft apply failed: name '{}' aliases an existing query name", query.name));
        }
        if is_second && query.is_template() && query.name.is_empty() {
            return no("raft apply failed: a query template with an empty name already exists".into());
        }
        if at.entry(&key_of(&query.name)).is_some() {
            return no(format!("raft apply failed: name '{}' aliases an existing query ID", query.name));
        }
        let mut lease = None;
        if !query.session.is_empty() {
            let Some(session) = at.entry(&session_key(&query.session)) else {
                return no(format!("raft apply failed: invalid session {:?}", query.session));
            };
            // What is kept under the lease of a session goes with it.
            lease = session.lease;
        }
        if query.is_template()
            && let Err(why) = Template::compile(query)
        {
            return no(format!("raft apply failed: failed compiling template: {why}"));
        }
        let value = encode(&QueryBody { create_index: 0, modify_index: 0, ..query.clone() }.out());
        let entry = Entry { key: key_of(&query.id), value, lease, flags: 0, annex: Annex::default() };
        entry.validate()?;
        let mut plan = Plan::default();
        let record = Record::Entry(entry);
        if !at.says(&record) {
            plan.put(record);
        }
        Ok(Planned { plan, reply: Ok(()) })
    }
}

/// The queries that go with a session.
pub(super) fn tied_to(known: &Queries, at: &Snapshot, session: &str) -> Vec<RecordKey> {
    let tied = known.as_of(at).filter(|known| known.query.session == session);
    tied.map(|known| RecordKey::Entry(key_of(&known.query.id))).collect()
}

#[derive(Clone, Debug)]
pub(crate) struct DeleteQuery {
    pub(crate) id: String,
}

impl Intent for DeleteQuery {
    type Reply = Said;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<Said>, Rejection> {
        let key = key_of(&self.id);
        let mut plan = Plan::default();
        if at.entry(&key).is_none() {
            return Ok(Planned { plan, reply: Err(unknown(&self.id)) });
        }
        plan.delete(RecordKey::Entry(key));
        Ok(Planned { plan, reply: Ok(()) })
    }
}

fn unknown(id: &str) -> String {
    format!("Cannot modify non-existent prepared query: '{id}'")
}

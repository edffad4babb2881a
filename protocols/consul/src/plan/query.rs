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
        let (query, known) = (&self.query, Queries::of(at));
        if !self.is_new && known.by_id(&query.id).is_none() {
            return no(unknown(&query.id));
        }
        if self.is_new && known.len() >= PutQuery::MOST {
            return Err(Rejection::Limit { what: "prepared queries".into(), limit: PutQuery::MOST as u64 });
        }
        let other = |found: Option<&QueryBody>| found.is_some_and(|found| found.id != query.id);
        if !query.name.is_empty() && other(known.by_name(&query.name)) {
            return no(format!("raft apply failed: name '{}' aliases an existing query name", query.name));
        }
        if query.is_template() && query.name.is_empty() && other(known.template("")) {
            return no("raft apply failed: a query template with an empty name already exists".into());
        }
        if known.by_id(&query.name).is_some() {
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
pub(super) fn tied_to(at: &Snapshot, session: &str) -> Vec<RecordKey> {
    let queries = Queries::of(at);
    let tied = queries.all().filter(|query| query.session == session);
    tied.map(|query| RecordKey::Entry(key_of(&query.id))).collect()
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

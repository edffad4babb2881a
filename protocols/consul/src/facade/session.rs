//! `session/…`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard_model::{Entry, Rejection, Stored};
use switchboard_registry::{Caller, View};

use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::block::Index;
use crate::identity::SERF;
use crate::lens::{GoDuration, SESSIONS, Session, default_only, session_key, session_to_wire};
use crate::plan::{CreateSession, EndSession, entries_under, is_alive};
use crate::refusal::Refusal;
use crate::scope::{all_of, only};
use crate::wire::SessionBody;

const SHORTEST_TTL: Duration = Duration::from_secs(10);
const LONGEST_TTL: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_DELAY: Duration = Duration::from_secs(15);

pub(crate) async fn create(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let body: SessionBody = ask.json_or_default(&state.config.limits).await?;
    default_only("Namespace", &body.namespace)?;
    default_only("Partition", &body.partition)?;
    let deletes = match body.behavior.as_str() {
        "" | "release" => false,
        "delete" => true,
        other => return Err(Refusal::failed(format!("Invalid Behavior setting '{other}'"))),
    };
    let ttl = ttl(&body.ttl)?;
    let agent = state.here.agent_of(&ask)?;
    let is_own = body.node.is_empty() || body.node.eq_ignore_ascii_case(agent.name.as_str());
    let lists_none = body.checks.as_ref().is_some_and(Vec::is_empty);
    let node_checks = match (body.node_checks, lists_none) {
        (Some(checks), _) => checks,
        (None, true) => Vec::new(),
        (None, false) => vec![SERF.to_owned()],
    };
    let session = Session {
        name: body.name,
        node: if is_own { agent.name.to_string() } else { body.node },
        lock_delay_ns: lock_delay(body.lock_delay.as_ref())?,
        deletes,
        ttl: body.ttl,
        node_checks: Some(node_checks),
        service_checks: body.service_checks,
        checks: body.checks.filter(|checks| !checks.is_empty()),
    };
    let on = if is_own { Some(state.ensure(&agent, false)?) } else { None };
    let id = uuid::Uuid::new_v4().to_string();
    let wish = CreateSession { id: id.clone(), session, ttl, on };
    let refused = |rejection| match rejection {
        Rejection::Invalid { field, why } if field.is_empty() => {
            Refusal::failed(format!("apply failed: {why}"))
        }
        rejection => rejection.into(),
    };
    state.context.registry.submit(&ask.caller, wish).await.map_err(refused)?;
    Ok(Answer::json(&json!({ "ID": id })))
}

/// None: it lives for as long as its checks are well.
fn ttl(text: &str) -> Result<Option<Duration>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let Some(ttl) = GoDuration::parse(text) else {
        return Err(Refusal::failed(format!(
            "Session TTL '{text}' invalid: time: invalid duration {text:?}"
        )));
    };
    if ttl == GoDuration::default() {
        return Ok(None);
    }
    if !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl.0) {
        return Err(Refusal::failed(format!(
            "Invalid Session TTL '{}', must be between [10s=24h0m0s]",
            ttl.0.as_nanos()
        )));
    }
    Ok(Some(ttl.0))
}

/// In nanoseconds. Small numbers are seconds, as they once were.
fn lock_delay(given: Option<&Value>) -> Result<u64, Refusal> {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    match given {
        None | Some(Value::Null) => Ok(nanos(DEFAULT_DELAY)),
        Some(Value::String(text)) => {
            let invalid = || Refusal::bad(format!("Request decode failed: time: invalid duration {text:?}"));
            GoDuration::parse(text).map(|delay| nanos(delay.0)).ok_or_else(invalid)
        }
        Some(Value::Number(number)) => {
            let number = number.as_u64().or_else(|| number.as_f64().map(|number| number.max(0.0) as u64));
            let number = number.unwrap_or_default();
            Ok(if number < 1000 { number.saturating_mul(1_000_000_000) } else { number })
        }
        Some(_) => Err(Refusal::bad("Request decode failed: LockDelay is neither a duration nor a number")),
    }
}

fn id(ask: &Ask) -> Result<&str, Refusal> {
    ask.rest("Missing session")
}

pub(crate) async fn destroy(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let id = id(&ask)?.to_owned();
    state.context.registry.submit(&ask.caller, state.end_of(id)).await?;
    Ok(Answer::bytes("true"))
}

pub(crate) async fn renew(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let id = id(&ask)?;
    let registry = &state.context.registry;
    let view = registry.view(&ask.caller)?;
    let missing = || Refusal::missing(format!("Session id '{id}' not found"));
    let entry = view.entry(&session_key(id)).ok_or_else(missing)?;
    if let Some(lease) = entry.lease {
        registry.keep_alive(&ask.caller, lease).await.map_err(|rejection| match rejection {
            Rejection::NotFound { .. } => missing(),
            rejection => rejection.into(),
        })?;
    }
    Ok(Answer::json(&[session_to_wire(entry)]))
}

pub(crate) async fn info(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let key = session_key(id(&ask)?);
    let index = |view: &View| sessions(view, view.entry(&key).into_iter());
    let (view, index) = state.settle(&ask, || only(&key), |_| true, index).await?;
    let found = view.entry(&key).filter(|entry| is_alive(&view, &Session::of(entry)));
    let found: Vec<_> = found.into_iter().map(|entry| session_to_wire(entry)).collect();
    Ok(Answer::json(&found).at_index(&ask, index))
}

pub(crate) async fn of_node(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let node = ask.rest("Missing node name")?.to_owned();
    state.sessions(&ask, |session| session.node.eq_ignore_ascii_case(&node)).await
}

pub(crate) async fn list(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    state.sessions(&ask, |_| true).await
}

/// A session that is over and not yet gone is news of its own.
fn sessions<'a>(view: &View, mut shown: impl Iterator<Item = &'a Arc<Stored<Entry>>>) -> Index {
    let over = shown.any(|entry| !is_alive(view, &Session::of(entry)));
    Index::Shared(if over { view.revision() } else { view.touched().entries(SESSIONS) })
}

impl State {
    pub(super) fn end_of(&self, id: String) -> EndSession {
        let newest = self.context.registry.view(&Caller::internal("consul"));
        let queries = newest.map(|view| self.queries.at(&view)).unwrap_or_default();
        EndSession { id, queries }
    }

    async fn sessions(&self, ask: &Ask, wanted: impl Fn(&Session) -> bool) -> Result<Answer, Refusal> {
        let index = |view: &View| sessions(view, entries_under(view, SESSIONS, b""));
        let (view, index) = self.settle(ask, || all_of(SESSIONS), |_| true, index).await?;
        let fits = |session: &Session| wanted(session) && is_alive(&view, session);
        let found = entries_under(&view, SESSIONS, b"").filter(|entry| fits(&Session::of(entry)));
        let found: Vec<_> = found.map(|entry| session_to_wire(entry)).collect();
        Ok(Answer::json(&found).at_index(ask, index))
    }
}

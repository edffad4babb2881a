//! `kv/…`.

use bytes::Bytes;
use http::StatusCode;
use switchboard_model::{Rejection, Revision, Selector};
use switchboard_registry::{Snapshot, View};

use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::{Ask, TooMuch};
use crate::block::Index;
use crate::lens::{KEYS, pair_key, pair_to_wire};
use crate::plan::{DeletePair, DeleteTree, PutPair, Verb, pairs_under};
use crate::refusal::Refusal;
use crate::scope::only;

/// The largest value, as in Consul by default.
const LARGEST: usize = 512 * 1024;

pub(crate) async fn kv(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    match ask.method.as_str() {
        "PUT" => put(state, ask).await,
        "DELETE" => delete(state, ask).await,
        _ => get(state, ask).await,
    }
}

async fn get(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let key = ask.rest.clone().into_bytes();
    let (recurse, keys) = (ask.has("recurse"), ask.has("keys"));
    if recurse || keys {
        let (view, index) = state.settle_tree(&ask, &key).await?;
        let answer = if keys { list(&view, &ask, &key) } else { tree(&view, &key) };
        return Ok(answer.unwrap_or_else(Answer::nothing).at_index(&ask, index));
    }
    if key.is_empty() {
        return Err(Refusal::bad("Missing key name"));
    }
    let key = pair_key(&key);
    let index = |view: &View| match view.entry(&key) {
        Some(entry) => Index::Exact(entry.modified),
        None => Index::Shared(view.touched().entries(KEYS)),
    };
    let (view, index) = state.settle(&ask, || only(&key), |_| true, index).await?;
    let Some(entry) = view.entry(&key) else { return Ok(Answer::nothing().at_index(&ask, index)) };
    if ask.has("raw") {
        let answer = Answer::raw(entry.value.value.clone())
            .with("x-content-type-options", "nosniff")
            .with("content-security-policy", "sandbox");
        return Ok(answer.at_index(&ask, index));
    }
    Ok(Answer::json(&[pair_to_wire(entry, true)]).at_index(&ask, index))
}

impl State {
    async fn settle_tree(&self, ask: &Ask, prefix: &[u8]) -> Result<(View, u64), Refusal> {
        let selector = || Selector::Entries {
            keyspace: KEYS.into(),
            start: Bytes::copy_from_slice(prefix),
            end: after_all(prefix),
        };
        // What went leaves no trace of where it was: anything that goes counts.
        let newest = |view: &View| {
            let found = pairs_under(view, prefix).map(|entry| entry.modified).max();
            found.max(Some(view.touched().entries_removed(KEYS))).unwrap_or(Revision::ZERO)
        };
        let index = |view: &View| match prefix {
            [] => Index::Shared(view.touched().entries(KEYS)),
            _ => Index::Shared(newest(view)),
        };
        self.settle(ask, selector, |_| true, index).await
    }
}

/// The first key that does not begin so any more. None: there is no such key.
fn after_all(prefix: &[u8]) -> Option<Bytes> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end.into());
        }
    }
    None
}

fn tree(view: &Snapshot, prefix: &[u8]) -> Option<Answer> {
    let pairs: Vec<_> = pairs_under(view, prefix).map(|entry| pair_to_wire(entry, true)).collect();
    (!pairs.is_empty()).then(|| Answer::json(&pairs))
}

fn list(view: &Snapshot, ask: &Ask, prefix: &[u8]) -> Option<Answer> {
    let separator = ask.get("separator").or_else(|| ask.get("seperator")).unwrap_or_default().as_bytes();
    let mut keys: Vec<String> = Vec::new();
    for entry in pairs_under(view, prefix) {
        let key = &entry.key.key;
        let below = key.get(prefix.len()..).unwrap_or_default();
        // Up to the first separator after the prefix, that included.
        let end = match separator {
            [] => None,
            separator => below.windows(separator.len()).position(|window| window == separator),
        };
        let shown = end.and_then(|end| key.get(..prefix.len() + end + separator.len())).unwrap_or(key);
        let shown = String::from_utf8_lossy(shown);
        if keys.last().is_none_or(|last| *last != shown) {
            keys.push(shown.into_owned());
        }
    }
    // At the root there is always a list.
    (!keys.is_empty() || prefix.is_empty()).then(|| Answer::json(&keys))
}

async fn put(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    if ask.rest.is_empty() {
        return Err(Refusal::bad("Missing key name"));
    }
    exclusive(&ask, &["acquire", "cas", "release"])?;
    let flags = number(&ask, "flags")?.unwrap_or(0);
    let verb = match (number(&ask, "cas")?, ask.first("acquire"), ask.first("release")) {
        (Some(index), ..) => Verb::Cas(index),
        (_, Some(session), _) => Verb::Acquire(session.to_owned()),
        (.., Some(session)) => Verb::Release(session.to_owned()),
        (None, None, None) => Verb::Set,
    };
    let value = ask
        .bytes(&state.config.limits, LARGEST)
        .await
        .map_err(|why| too_large(why, &ask, "kv_max_value_size"))?;
    let wish = PutPair { key: ask.rest.clone().into_bytes().into(), value, flags, verb };
    let done = state.context.registry.submit(&ask.caller, wish).await.map_err(failed)?;
    Ok(yes_or_no(done.reply))
}

async fn delete(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let recurse = ask.has("recurse");
    if ask.rest.is_empty() && !recurse {
        return Err(Refusal::bad("Missing key name"));
    }
    exclusive(&ask, &["cas", "recurse"])?;
    let key = Bytes::from(ask.rest.clone().into_bytes());
    let registry = &state.context.registry;
    if recurse {
        registry.submit(&ask.caller, DeleteTree { prefix: key }).await?;
        return Ok(yes_or_no(true));
    }
    let if_index = number(&ask, "cas")?;
    // In Consul a comparison with nothing is never true.
    if if_index == Some(0) {
        return Ok(yes_or_no(false));
    }
    let done = registry.submit(&ask.caller, DeletePair { key, if_index }).await?;
    Ok(yes_or_no(done.reply))
}

fn yes_or_no(done: bool) -> Answer {
    Answer::bytes(if done { "true" } else { "false" })
}

/// What is said of a session comes without the name of a field.
pub(super) fn failed(rejection: Rejection) -> Refusal {
    match rejection {
        Rejection::Invalid { why, field } if field.is_empty() => {
            Refusal::failed(format!("raft apply failed: {why}"))
        }
        rejection => rejection.into(),
    }
}

pub(super) fn too_large(why: TooMuch, ask: &Ask, setting: &str) -> Refusal {
    match why {
        TooMuch::Large => {
            let length =
                ask.headers.get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
            let length = length.map_or_else(|| format!("more than {LARGEST}"), str::to_owned);
            Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "Request body({length} bytes) too large, max size: {LARGEST} bytes. \
                     See https://www.consul.io/docs/agent/config/config-files#{setting}."
                ),
            )
        }
        why => why.into(),
    }
}

/// Of these parameters at most one may be given.
fn exclusive(ask: &Ask, names: &[&str]) -> Result<(), Refusal> {
    if names.iter().filter(|name| ask.has(name)).count() > 1 {
        return Err(Refusal::bad(format!("Conflicting flags: {}", ask.sorted_query())));
    }
    Ok(())
}

fn number(ask: &Ask, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = ask.first(name) else { return Ok(None) };
    if let Ok(number) = text.parse::<u64>()
        && text.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Ok(Some(number));
    }
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let why = if is_number { "value out of range" } else { "invalid syntax" };
    Err(Refusal::failed(format!("strconv.ParseUint: parsing {text:?}: {why}")))
}

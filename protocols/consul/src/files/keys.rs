//! Keys as files spell them. Agents take `enable_tag_override` for `EnableTagOverride`: without its underscores it is the
//! same word, since keys compare without case anyway. Keys that are the user's own words stay as they are.

use serde_json::{Map, Value};

/// Whose keys are words of the user.
const OWN_WORDS: [&str; 6] = ["meta", "header", "taggedaddresses", "proxy", "connect", "definition"];

pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().map(field).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        other => other,
    }
}

fn field((key, value): (String, Value)) -> (String, Value) {
    let plain_key = key.replace('_', "");
    let is_own = OWN_WORDS.iter().any(|word| plain_key.eq_ignore_ascii_case(word));
    let value = if is_own { value } else { plain(value) };
    (plain_key, value)
}

/// What stands under any of the names, and the keys of what else there is.
pub(super) fn take(fields: Map<String, Value>, names: &[&str]) -> (Vec<(String, Value)>, Vec<String>) {
    let (mut taken, mut others) = (Vec::new(), Vec::new());
    for (key, value) in fields {
        match names.iter().any(|name| key.eq_ignore_ascii_case(name)) {
            true => taken.push((key.to_ascii_lowercase(), value)),
            false => others.push(key),
        }
    }
    (taken, others)
}

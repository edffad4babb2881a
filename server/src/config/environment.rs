//! `SWITCHBOARD_<SECTION>_<KEY>=value`.

use std::ffi::OsString;

use switchboard_facade::Section;
use toml::Value;

use super::{Layers, effective, nearest};
use crate::failure::Failure;

const PREFIX: &str = "SWITCHBOARD_";

/// Variables that are not keys of the configuration: they are read elsewhere, or by the tests.
const OTHERS: [&str; 5] = [
    "SWITCHBOARD_CONFIG",
    "SWITCHBOARD_DATA_DIR",
    "SWITCHBOARD_SERVER",
    "SWITCHBOARD_CA",
    "SWITCHBOARD_REQUIRE_ALL",
];

/// One value that the environment sets.
pub(super) struct Setting {
    pub(super) path: Vec<String>,
    pub(super) value: Value,
    pub(super) variable: String,
}

/// What the environment sets, in the order of the names.
pub(super) fn read(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Setting>, Failure> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
    let ours = variables.filter_map(text).filter(|(name, _)| name.starts_with(PREFIX));
    let mut ours: Vec<_> = ours.filter(|(name, _)| !OTHERS.contains(&name.as_str())).collect();
    ours.sort();
    // Only where a key may be: the keys of the default configuration.
    let known = effective(&Layers::default())?;
    ours.into_iter().map(|(variable, value)| setting(&known, variable, value)).collect()
}

/// Reads a value as TOML would; what is not TOML is text, so that nobody has to quote within quotes.
pub(super) fn value(text: &str) -> Value {
    let table: Option<Section> = format!("value = {text}").parse().ok();
    let only = table.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    only.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn setting(known: &Section, variable: String, given: OsString) -> Result<Setting, Failure> {
    let Ok(given) = given.into_string() else {
        return Err(Failure::usage(format!("{variable}: its value is not text")));
    };
    let words = variable.strip_prefix(PREFIX).unwrap_or_default().to_lowercase();
    match path_of(known, &words) {
        Some(path) => Ok(Setting { path, value: value(&given), variable }),
        None => {
            let mut names = Vec::new();
            names_of(known, PREFIX, &mut names);
            let all = names.iter().map(String::as_str).chain(OTHERS);
            let near =
                nearest(&variable, all).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            Err(Failure::usage(format!("{variable}: unknown environment variable{near}")).next(
                "Variables are named SWITCHBOARD_<SECTION>_<KEY>; `switchboard config print` shows all keys.",
            ))
        }
    }
}

/// The key that the words mean. A key that has no default, such as `tls`, is left for its section to judge.
fn path_of(known: &Section, words: &str) -> Option<Vec<String>> {
    let section =
        |name: &&String| words.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('_'));
    let name = known.keys().filter(section).max_by_key(|name| name.len())?;
    let rest = words.strip_prefix(name.as_str())?.strip_prefix('_')?;
    let below = known.get(name)?.as_table()?;
    let path = below_of(below, rest)?;
    Some(std::iter::once(name.clone()).chain(path).collect())
}

fn below_of(table: &Section, words: &str) -> Option<Vec<String>> {
    if table.contains_key(words) || words == "tls" {
        return Some(vec![words.to_owned()]);
    }
    table.iter().find_map(|(name, value)| {
        let rest = words.strip_prefix(name.as_str())?.strip_prefix('_')?;
        let path = below_of(value.as_table()?, rest)?;
        Some(std::iter::once(name.clone()).chain(path).collect())
    })
}

/// The variables that exist.
fn names_of(table: &Section, prefix: &str, names: &mut Vec<String>) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.to_uppercase());
        match value {
            Value::Table(below) => names_of(below, &format!("{name}_"), names),
            _ => names.push(name),
        }
    }
}

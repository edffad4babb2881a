//! Files as definitions.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{blocks, keys};
use crate::wire::{AgentCheckBody, AgentServiceBody, CheckBody, ServiceBody};

/// A file holds no more than this.
const MOST_BYTES: u64 = 1024 * 1024;
/// So many files are read.
const MOST_FILES: usize = 1024;
/// So many services and checks there are in one.
const MOST_DEFINITIONS: usize = 4096;
/// How deep things may stand in each other: definitions need five.
const DEEPEST: usize = 32;

/// One file, and what it says.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) read: Result<Definitions, String>,
}

/// What a file defines, each with its place in it.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    pub(super) services: Vec<(String, ServiceBody)>,
    pub(super) checks: Vec<(String, CheckBody)>,
    text: String,
}

/// All files of a folder in the order of their names, or the one file.
pub(super) fn all(place: &Path) -> Result<Vec<Found>, String> {
    let said = |error: &io::Error| format!("{}: {error}", place.display());
    let meta = fs::metadata(place).map_err(|error| said(&error))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    if meta.is_dir() {
        for entry in fs::read_dir(place).map_err(|error| said(&error))? {
            let path = entry.map_err(|error| said(&error))?.path();
            if is_definition(&path) && path.is_file() {
                paths.push(path);
            }
        }
    } else {
        paths.push(place.to_owned());
    }
    if paths.len() > MOST_FILES {
        return Err(format!("{}: {} files, at most {MOST_FILES} are read", place.display(), paths.len()));
    }
    paths.sort();
    Ok(paths.iter().map(|path| Found { name: name_of(path), read: read(path) }).collect())
}

/// Editors leave other files beside these.
pub(super) fn is_definition(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|kind| kind == "json" || kind == "hcl")
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read(path: &Path) -> Result<Definitions, String> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MOST_BYTES {
        return Err(format!("it holds more than {MOST_BYTES} bytes"));
    }
    let is_hcl = path.extension().is_some_and(|kind| kind == "hcl");
    let (definitions, others) = parse(text, is_hcl)?;
    if !others.is_empty() {
        tracing::warn!(
            file = name_of(path),
            "only service, services, check and checks are read; not {}",
            others.join(", ")
        );
    }
    Ok(definitions)
}

/// The definitions in a text, and the keys of what is none.
fn parse(text: String, is_hcl: bool) -> Result<(Definitions, Vec<String>), String> {
    if text.trim().is_empty() {
        return Ok((Definitions::default(), Vec::new()));
    }
    if depth(&text) > DEEPEST {
        return Err(format!("things stand in each other more than {DEEPEST} deep"));
    }
    let tree = if is_hcl { blocks::parse(&text)? } else { json(&text)? };
    let Value::Object(fields) = tree else {
        return Err("it has to be an object with service, services, check or checks in it".into());
    };
    let (taken, others) = keys::take(fields, &["service", "services", "check", "checks"]);
    let mut found = Definitions { text, ..Definitions::default() };
    for (key, value) in taken {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            one => vec![one],
        };
        let many = items.len() > 1;
        for (n, item) in items.into_iter().enumerate() {
            let place = if many { format!("{key}[{n}]") } else { key.clone() };
            let place = named(&place, &item);
            if key.starts_with("service") {
                let AgentServiceBody(body) = found.body(&place, checks_by_id(item))?;
                found.services.push((place, body));
            } else {
                let AgentCheckBody(body) = found.body(&place, item)?;
                found.checks.push((place, body));
            }
        }
    }
    if found.services.len() + found.checks.len() > MOST_DEFINITIONS {
        return Err(format!("it defines more than {MOST_DEFINITIONS} services and checks"));
    }
    Ok((found, others))
}

fn named(place: &str, item: &Value) -> String {
    let name = item.get("name").or_else(|| item.get("Name")).and_then(Value::as_str);
    name.map_or_else(|| place.to_owned(), |name| format!("{place} {name:?}"))
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let why = said.rsplit_once(" at line ").map_or(said.as_str(), |(why, _)| why);
        format!("line {} column {}: {why}", error.line(), error.column())
    })
}

/// Counted without looking at what is quoted, so it may only be too high.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'(' => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' | b')' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

impl Definitions {
    fn body<T: DeserializeOwned>(&self, place: &str, item: Value) -> Result<T, String> {
        serde_json::from_value(one_list(keys::plain(item)))
            .map_err(|error| self.said(place, &error.to_string()))
    }

    /// What is wrong with the definition at this place.
    pub(super) fn said(&self, place: &str, why: &str) -> String {
        let why = why.trim_start_matches("json: ");
        match self.line_of(why) {
            Some(line) => format!("{place}, line {line}: {why}"),
            None => format!("{place}: {why}"),
        }
    }

    /// The line of the word that is quoted in what is said, if it stands in the file only once.
    fn line_of(&self, why: &str) -> Option<usize> {
        let word = why.split('"').nth(1)?.replace('_', "").to_ascii_lowercase();
        let has = |line: &str| line.replace('_', "").to_ascii_lowercase().contains(&word);
        let mut lines = (1..).zip(self.text.lines()).filter(|(_, line)| !word.is_empty() && has(line));
        let (line, _) = lines.next()?;
        lines.next().is_none().then_some(line)
    }
}

/// Files call a check's id so also where it stands in its service, and requests do not.
fn checks_by_id(mut item: Value) -> Value {
    let is_check = |key: &str| key.eq_ignore_ascii_case("check") || key.eq_ignore_ascii_case("checks");
    for (_, value) in item.as_object_mut().into_iter().flatten().filter(|(key, _)| is_check(key)) {
        let checks = match value {
            Value::Array(checks) => checks.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        for check in checks.iter_mut().filter_map(Value::as_object_mut) {
            let id = check.keys().find(|key| key.eq_ignore_ascii_case("id")).cloned();
            if let Some(id) = id.and_then(|id| check.remove(&id)) {
                check.insert("CheckID".into(), id);
            }
        }
    }
    item
}

/// Several `check` blocks are what `checks` is.
fn one_list(mut item: Value) -> Value {
    let Some(fields) = item.as_object_mut() else { return item };
    let key_of = |fields: &serde_json::Map<String, Value>, name: &str| {
        fields.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
    };
    let Some(key) = key_of(fields, "check") else { return item };
    if !fields.get(&key).is_some_and(Value::is_array) {
        return item;
    }
    let Some(Value::Array(mut all)) = fields.remove(&key) else { return item };
    if let Some(Value::Array(first)) = key_of(fields, "checks").and_then(|key| fields.remove(&key)) {
        all.splice(0..0, first);
    }
    fields.insert("checks".into(), Value::Array(all));
    item
}

#[cfg(test)]
mod tests;

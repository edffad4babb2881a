//! What the command line can do besides serving: a file per command.

mod config;
mod deregister;
mod doctor;
mod gateway;
mod health;
mod import;
mod instances;
mod register;
mod services;
mod shell;
mod table;
mod watch;

pub(crate) use config::config;
pub(crate) use deregister::deregister;
pub(crate) use doctor::doctor;
pub(crate) use gateway::gateway;
pub(crate) use health::health;
pub(crate) use import::import;
pub(crate) use instances::instances;
pub(crate) use register::register;
pub(crate) use services::services;
pub(crate) use shell::{completions, version};
pub(crate) use watch::watch;

use http::Method;
use serde_json::Value;

use crate::arguments::To;
use crate::client::{Client, with_query};
use crate::failure::Failure;

fn client(to: &To) -> Result<Client, Failure> {
    Client::new(&to.server, to.ca.as_deref())
}

/// The registry answers long lists in pages; this reads all of them into the first.
async fn all_pages(
    client: &Client,
    path: &str,
    parameters: &[(&str, Option<&str>)],
    list: &str,
) -> Result<Value, Failure> {
    let mut whole = client.ask(Method::GET, &with_query(path, parameters.iter().copied()), None).await?.body;
    while let Some(next) = whole.get_mut("next").map(Value::take) {
        let Some(next) = next.as_str() else { break };
        let page = parameters.iter().copied().chain([("after", Some(next))]);
        let mut page = client.ask(Method::GET, &with_query(path, page), None).await?.body;
        let more = page.get_mut(list).and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        if let Some(items) = whole.get_mut(list).and_then(Value::as_array_mut) {
            items.extend(more);
        }
        match page.get_mut("next").map(Value::take) {
            Some(next) => set(&mut whole, "next", next),
            None => break,
        }
    }
    if let Some(whole) = whole.as_object_mut() {
        whole.remove("next");
    }
    Ok(whole)
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// A text of an answer; empty if it has none.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A list of texts on one line.
fn joined(value: &Value, key: &str, separator: &str) -> String {
    list(value, key).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(separator)
}

/// Where an instance answers.
fn place(instance: &Value) -> String {
    let (host, port) = (text(instance, "host"), number(instance, "port"));
    match (host.contains(':'), port) {
        (_, 0) => host.to_owned(),
        (true, port) => format!("[{host}]:{port}"),
        (false, port) => format!("{host}:{port}"),
    }
}

/// Health, and lifecycle where it says more.
fn state(instance: &Value) -> String {
    match (text(instance, "health"), text(instance, "lifecycle")) {
        (health, "up" | "") => health.to_owned(),
        (health, lifecycle) if lifecycle == health => health.to_owned(),
        (health, lifecycle) => format!("{health}, {lifecycle}"),
    }
}

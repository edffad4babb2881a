use http::Method;
use serde_json::Value;

use super::{all_pages, client, joined, list, number, place, state, table::Sheet, text};
use crate::arguments::Health;
use crate::client::{Client, segment, with_query};
use crate::failure::{Exit, Failure};
use crate::out::Out;

pub(crate) async fn health(what: Health, out: &mut Out) -> Result<(), Failure> {
    let client = client(&what.to)?;
    match &what.service {
        None => registry(&client, &what, out).await,
        Some(service) => of_service(&client, service, &what, out).await,
    }
}

/// Whether the registry takes reads and writes. Made for the health check of a container, too.
async fn registry(client: &Client, what: &Health, out: &mut Out) -> Result<(), Failure> {
    let answer = client.try_ask(Method::GET, "/readyz", None).await?;
    let ready = answer.status.is_success();
    if what.to.json {
        out.line(serde_json::json!({ "server": client.url, "ready": ready, "says": answer.text.trim() }))?;
    }
    if !ready {
        let said = answer.text.lines().next().filter(|said| !said.is_empty()).unwrap_or("not ready");
        return Err(Failure::failed(format!("the registry at {} is {said}", client.url)));
    }
    if !what.to.json {
        out.line(format!("the registry at {} is ready", client.url))?;
    }
    Ok(())
}

/// Each instance with what decides about it.
async fn of_service(client: &Client, service: &str, what: &Health, out: &mut Out) -> Result<(), Failure> {
    let path = format!("/v1/services/{}", segment(service));
    let namespace = what.namespace.as_deref();
    let parameters = [("status", Some("any")), ("namespace", namespace)];
    let answer = all_pages(client, &path, &parameters, "instances").await?;
    let found = list(&answer, "instances");
    if found.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("{service} has no instances"))
            .next("`switchboard services` lists those that have."));
    }
    let mut details = Vec::new();
    for instance in found {
        details.push(detail(client, instance).await?);
    }
    let served = client.ask(Method::GET, &with_query(&path, [("namespace", namespace)]), None).await?;
    let served = list(&served.body, "instances").len();
    if what.to.json {
        out.line(serde_json::json!({ "service": service, "served": served, "instances": details }))?;
    } else {
        print(&details, out)?;
    }
    match served {
        0 => Err(Failure::failed(format!("none of the {} instances of {service} is served", found.len()))),
        _ => Ok(()),
    }
}

async fn detail(client: &Client, instance: &Value) -> Result<Value, Failure> {
    let path = format!("/v1/instances/{}", segment(text(instance, "id")));
    let of = |key| (key, Some(text(instance, key)).filter(|text| !text.is_empty()));
    let answer = client
        .try_ask(Method::GET, &with_query(&path, ["service", "namespace", "node"].map(of)), None)
        .await?;
    // It may have gone in the meantime; what was listed is then all there is to say.
    Ok(if answer.status.is_success() { answer.body } else { instance.clone() })
}

fn print(details: &[Value], out: &mut Out) -> Result<(), Failure> {
    let mut sheet = Sheet::new(&["INSTANCE", "ADDRESS", "HEALTH", "WHY"]);
    for instance in details {
        let why = joined(instance, "reasons", "; ");
        sheet.add([text(instance, "id").to_owned(), place(instance), state(instance), why]);
        for check in list(instance, "checks").iter().chain(list(instance, "node_checks")) {
            let target = text(check, "target").to_owned();
            let name = format!("  {} check {}", text(check, "type"), text(check, "id"));
            sheet.add([name, target, text(check, "status").to_owned(), first_line(text(check, "output"))]);
        }
        if let Some(lease) = instance.get("lease").filter(|lease| lease.is_object()) {
            sheet.add([
                "  heartbeats".to_owned(),
                String::new(),
                text(lease, "standing").to_owned(),
                lease_words(lease),
            ]);
        }
    }
    Ok(sheet.print(out)?)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn lease_words(lease: &Value) -> String {
    format!("expected within every {} s", number(lease, "ttl"))
}

use serde_json::Value;

use super::{all_pages, client, joined, list, place, state, table::Sheet, text};
use crate::arguments::Instances;
use crate::client::segment;
use crate::failure::Failure;
use crate::out::{Out, note};

pub(crate) async fn instances(what: Instances, out: &mut Out) -> Result<(), Failure> {
    let meta: Vec<(String, &str)> = what.meta.iter().map(|pair| meta(pair)).collect::<Result<_, _>>()?;
    let status = if what.healthy { "healthy" } else { what.status.as_deref().unwrap_or("any") };
    let mut parameters = vec![
        ("status", Some(status)),
        ("tag", what.tag.as_deref()),
        ("zone", what.zone.as_deref()),
        ("node", what.node.as_deref()),
        ("namespace", what.namespace.as_deref()),
    ];
    parameters.extend(meta.iter().map(|(key, value)| (key.as_str(), Some(*value))));
    let path = match &what.service {
        Some(service) => format!("/v1/services/{}", segment(service)),
        None => "/v1/instances".to_owned(),
    };
    let answer = all_pages(&client(&what.to)?, &path, &parameters, "instances").await?;
    if what.to.json {
        return Ok(out.line(answer)?);
    }
    let found = list(&answer, "instances");
    if found.is_empty() {
        let of = what.service.map(|service| format!(" of {service}")).unwrap_or_default();
        note(format!("No such instances{of}."));
        return Ok(());
    }
    let mut sheet =
        Sheet::new(&["ID", "SERVICE", "ADDRESS", "HEALTH", "ZONE", "NODE", "TAGS", "METADATA", "WHY"]);
    for instance in found {
        // The service is known to whoever asked for one.
        let service = if what.service.is_some() { "" } else { text(instance, "service") };
        let is_fine = text(instance, "health") == "passing";
        sheet.add([
            text(instance, "id").to_owned(),
            service.to_owned(),
            place(instance),
            state(instance),
            text(instance, "zone").to_owned(),
            text(instance, "node").to_owned(),
            joined(instance, "tags", ", "),
            metadata(instance),
            if is_fine { String::new() } else { joined(instance, "reasons", "; ") },
        ]);
    }
    Ok(sheet.print(out)?)
}

/// The parameter of the native API.
fn meta(pair: &str) -> Result<(String, &str), Failure> {
    match pair.split_once('=') {
        Some((key, value)) => Ok((format!("meta.{key}"), value)),
        None => Err(Failure::usage(format!("--meta {pair}: expected KEY=VALUE"))),
    }
}

fn metadata(instance: &Value) -> String {
    let pairs = instance.get("metadata").and_then(Value::as_object).into_iter().flatten();
    let pairs = pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    pairs.collect::<Vec<_>>().join(", ")
}

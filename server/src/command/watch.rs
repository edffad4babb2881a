use std::time::Duration;

use serde_json::Value;

use super::{client, joined, number, text};
use crate::arguments::Watch;
use crate::client::{Client, Event, with_query};
use crate::failure::{Exit, Failure};
use crate::out::{Out, Style, note};

/// How soon to come back after the connection was lost.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Follows changes until it is interrupted. A lost connection is taken up again where it was lost.
pub(crate) async fn watch(what: Watch, out: &mut Out) -> Result<(), Failure> {
    let client = client(&what.to)?;
    let mut cursor = what.since;
    let mut left = what.count.unwrap_or(u64::MAX);
    let mut was_connected = false;
    while left > 0 {
        let mut events = match client.stream(&path(&what, cursor)).await {
            Ok(events) => events,
            Err(failure) if was_connected && failure.exit == Exit::Unreachable => {
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        was_connected = true;
        while let Some(event) = events.next().await {
            if let Some(revision) = event.id.as_ref().and_then(|id| id.parse().ok()) {
                cursor = Some(revision);
            }
            if event.kind == "change" {
                tell(&what, &event, out)?;
                left -= 1;
                if left == 0 {
                    return Ok(());
                }
            } else if event.kind != "progress" {
                cursor = ended(&client, &event, cursor).await?;
                break;
            }
        }
        note("The connection ended; trying to take it up again.");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    Ok(())
}

fn path(what: &Watch, since: Option<u64>) -> String {
    let since = since.map(|revision| revision.to_string());
    let parameters = [
        ("service", what.service.as_deref()),
        ("prefix", what.prefix.as_deref()),
        ("namespace", what.namespace.as_deref()),
        ("since", since.as_deref()),
    ];
    with_query("/v1/watch", parameters)
}

/// The registry ended the watch. Returns where to go on; None: from now on, because what was in between is gone.
async fn ended(client: &Client, event: &Event, cursor: Option<u64>) -> Result<Option<u64>, Failure> {
    let said: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let message = text(&said, "message");
    match event.kind.as_str() {
        "lagged" | "compacted" => {
            note(format!("Some changes were missed ({message}); going on from now."));
            let now = client.ask(http::Method::GET, "/v1/status", None).await?;
            Ok(Some(number(&now.body, "revision")))
        }
        _ => {
            note(format!("The registry ended the watch: {message}"));
            Ok(cursor)
        }
    }
}

fn tell(what: &Watch, event: &Event, out: &mut Out) -> Result<(), Failure> {
    if what.to.json {
        return Ok(out.line(&event.data)?);
    }
    let change: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let line = line(&change, out);
    Ok(out.line(line)?)
}

/// One change: when, what, and why.
pub(crate) fn line(change: &Value, out: &Out) -> String {
    // The time of an RFC 3339 date and time, to the second.
    let at = text(change, "at");
    let at = out.paint(Style::Dim, at.split_once('T').and_then(|(_, time)| time.get(..8)).unwrap_or(at));
    let (from, to) = (text(change, "from"), text(change, "to"));
    let what = match (text(change, "kind"), from, to) {
        ("deregistered", from, _) => format!("deregistered, was {}", out.health(from)),
        ("registered", _, to) => format!("registered, {}", out.health(to)),
        (_, from, to) if from == to => format!("changed, {}", out.health(to)),
        (_, from, to) => format!("{} -> {}", out.health(from), out.health(to)),
    };
    let why = joined(change, "why", "; ");
    let why = if why.is_empty() { why } else { format!("  {why}") };
    let (service, id) = (text(change, "service"), text(change, "id"));
    // An id that was made of service, host and port says the service already.
    let service = if id.starts_with(&format!("{service}-")) { String::new() } else { format!("  {service}") };
    format!("{at}{service}  {id}  {what}{why}")
}

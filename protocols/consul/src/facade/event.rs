//! `event/…`: messages to everyone.

use std::time::Duration;

use regex::bytes::Regex;
use switchboard_registry::{NodeView, Snapshot};
use tokio::time::Instant;

use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::events::{Event, Fired, MOST_BYTES};
use crate::filter::go_regex;
use crate::refusal::Refusal;
use crate::scope;

const LONGEST_WAIT: Duration = Duration::from_secs(600);

pub(crate) async fn fire(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let name = ask.rest("Missing name")?.to_owned();
    let given = |what: &str| ask.get(what).unwrap_or_default().to_owned();
    let (node_filter, service_filter, tag_filter) = (given("node"), given("service"), given("tag"));
    if !tag_filter.is_empty() && service_filter.is_empty() {
        return Err(Refusal::failed("Cannot provide tag filter without service filter"));
    }
    let (node, service, tag) =
        (pattern("node", &node_filter)?, pattern("service", &service_filter)?, pattern("tag", &tag_filter)?);
    let payload = ask.bytes(&state.config.limits, usize::MAX).await?;
    let size: usize = [&name, &node_filter, &service_filter, &tag_filter].iter().map(|text| text.len()).sum();
    if size + payload.len() > MOST_BYTES {
        return Err(Refusal::failed(format!(
            "user event exceeds configured limit of {MOST_BYTES} bytes before encoding"
        )));
    }
    let id = uuid::Uuid::new_v4();
    let event = Event { id, name, payload, node_filter, service_filter, tag_filter, version: 1, time: 0 };
    state.events.fire(Fired { event: event.clone(), node, service, tag });
    Ok(Answer::json(&event))
}

fn pattern(what: &str, text: &str) -> Result<Option<Regex>, Refusal> {
    match text {
        "" => Ok(None),
        text => go_regex(text.as_bytes())
            .map(Some)
            .map_err(|why| Refusal::failed(format!("Invalid {what} filter: {why}"))),
    }
}

pub(crate) async fn list(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let wanted = ask.blocking()?.index;
    // Whoever waits for events waits longer than for anything else, and exactly as long as it says.
    let wait = ask.wait()?.filter(|wait| !wait.is_zero()).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
    let until = Instant::now() + wait;
    let who = Who::new(&state, &ask)?;
    let mut news = state.events.follow();
    loop {
        // What comes from here on wakes us, also if it comes before we wait.
        news.mark_unchanged();
        let view = state.context.registry.view(&ask.caller)?;
        let nodes = who.nodes(&view);
        let all = state.events.recent();
        let events: Vec<&Event> = all
            .iter()
            .filter(|fired| ask.get("name").is_none_or(|name| fired.event.name == name))
            .filter(|fired| reaches_any(fired, &view, &nodes))
            .map(|fired| &fired.event)
            .collect();
        // Never 0, or a client that watches for the first event would spin.
        let index = events.last().map_or(1, |last| last.index());
        if wanted != index || Instant::now() >= until {
            return Ok(Answer::json(&events).at_mark(index));
        }
        drop(nodes);
        drop(view);
        tokio::select! {
            _ = tokio::time::timeout_at(until, news.changed()) => {}
            () = state.context.stop.cancelled() => return Err(Refusal::is_leaderless()),
        }
    }
}

/// Whose events are asked for: those of the client's own agent, or of all agents like these.
enum Who {
    Own(switchboard_model::NodeKey),
    Like { node: Option<Regex>, service: Option<Regex>, tag: Option<Regex> },
}

impl Who {
    fn new(state: &State, ask: &Ask) -> Result<Who, Refusal> {
        let given = |what| pattern(what, ask.get(what).unwrap_or_default());
        let (node, service, tag) = (given("node")?, given("service")?, given("tag")?);
        if node.is_none() && service.is_none() && tag.is_none() {
            return Ok(Who::Own(state.here.agent_of(ask)?.key()));
        }
        if tag.is_some() && service.is_none() {
            return Err(Refusal::failed("Cannot provide tag filter without service filter"));
        }
        Ok(Who::Like { node, service, tag })
    }

    fn nodes<'a>(&self, at: &'a Snapshot) -> Vec<Reached<'a>> {
        match self {
            // A client whose node nobody has registered yet is reached, too.
            Who::Own(key) => match at.node(key) {
                Some(view) => vec![Reached { name: view.facts.key.node.as_str().into(), view: Some(view) }],
                None => vec![Reached { name: key.node.as_str().to_owned(), view: None }],
            },
            Who::Like { node, service, tag } => {
                let all = scope::nodes(at)
                    .map(|view| Reached { name: view.facts.key.node.as_str().to_owned(), view: Some(view) });
                all.filter(|reached| reached.fits(at, node.as_ref(), service.as_ref(), tag.as_ref()))
                    .collect()
            }
        }
    }
}

/// A node that events may reach.
struct Reached<'a> {
    name: String,
    view: Option<&'a NodeView>,
}

impl Reached<'_> {
    fn fits(
        &self,
        at: &Snapshot,
        node: Option<&Regex>,
        service: Option<&Regex>,
        tag: Option<&Regex>,
    ) -> bool {
        if node.is_some_and(|node| !node.is_match(self.name.as_bytes())) {
            return false;
        }
        let Some(service) = service else { return true };
        let members = self.view.into_iter().flat_map(|view| view.members.iter());
        members.filter(|member| service.is_match(member.service.as_str().as_bytes())).any(|member| {
            tag.is_none_or(|tag| {
                at.instance(member)
                    .is_some_and(|view| view.instance.tags.iter().any(|have| tag.is_match(have.as_bytes())))
            })
        })
    }
}

fn reaches_any(fired: &Fired, at: &Snapshot, nodes: &[Reached<'_>]) -> bool {
    let (node, service, tag) = (fired.node.as_ref(), fired.service.as_ref(), fired.tag.as_ref());
    nodes.iter().any(|reached| reached.fits(at, node, service, tag))
}

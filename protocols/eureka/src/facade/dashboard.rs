use askama::Template;
use http::StatusCode;
use switchboard_model::Health;
use switchboard_registry::InstanceView;

use super::State;
use super::brake::Hold;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::{all_in, app_to_wire, id_to_wire, services, status_to_wire};
use crate::peers::PeerState;
use crate::recent::Event;
use crate::refusal::Refusal;

/// Rows on the page; the API has the rest.
const MOST: usize = 1000;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Page<'a> {
    version: &'a str,
    engine: &'a str,
    namespace: &'a str,
    revision: u64,
    instances: usize,
    served: usize,
    hold: Hold,
    peers: Vec<PeerState>,
    rows: Vec<Row>,
    left_out: usize,
}

struct Row {
    app: String,
    id: String,
    address: String,
    status: &'static str,
    class: &'static str,
    origin: String,
    why: String,
}

#[derive(Template)]
#[template(path = "lastn.html")]
struct Last {
    events: Vec<Happened>,
}

struct Happened {
    ago: String,
    event: Event,
}

/// `GET /`: for people.
pub(crate) fn page(state: &State, ask: &Ask) -> Result<Answer, Refusal> {
    let view = state.view(ask)?;
    let namespace = ask.namespace.as_str();
    let all = || services(&view, namespace).flat_map(|service| all_in(service));
    let tally = view.tally();
    let rows: Vec<Row> = all().take(MOST).map(|view| row(view)).collect();
    let page = Page {
        version: state.context.about.version,
        engine: state.context.about.engine,
        namespace,
        revision: view.revision().0,
        instances: tally.instances,
        served: tally.served,
        hold: state.hold(&view),
        peers: state.peers.states(),
        left_out: all().count().saturating_sub(rows.len()),
        rows,
    };
    rendered(&page)
}

fn row(view: &InstanceView) -> Row {
    let instance = &view.instance;
    let class = match view.health {
        Health::Passing | Health::Warning => "good",
        Health::Suspect | Health::Starting | Health::Draining | Health::OutOfService => "held",
        Health::Critical | Health::Lapsed => "bad",
    };
    Row {
        app: app_to_wire(instance.key.service.as_str()),
        id: id_to_wire(view.key()),
        address: match instance.port() {
            Some(port) => format!("{}:{port}", instance.address),
            None => instance.address.to_string(),
        },
        status: status_to_wire(view).as_str(),
        class,
        origin: instance.origin.to_string(),
        why: view.reasons().join("; "),
    }
}

/// `GET /lastn`: who came and who went.
pub(crate) async fn last(state: &State, _ask: &Ask) -> Result<Answer, Refusal> {
    let events = state.recent.last(&state.context.registry).await.map_err(Refusal::not_ready)?;
    let now = state.context.registry.now().wall_ms;
    let happened = |event: Event| Happened { ago: ago(now.saturating_sub(event.at_ms)), event };
    rendered(&Last { events: events.into_iter().map(happened).collect() })
}

fn ago(ms: u64) -> String {
    match ms / 1000 {
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds @ ..7200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

fn rendered(page: &impl Template) -> Result<Answer, Refusal> {
    let html =
        page.render().map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(Answer::page(html))
}

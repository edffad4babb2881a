use std::fmt::Write;

use super::status::{InstanceStatus, RouteStatus, ServiceStatus, Status};

/// Services that are shown at once; the others are found by their names.
const SHOWN: usize = 100;
const STYLE: &str = include_str!("page.css");

/// What the page is asked to show.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// A part of the names of services.
    name: String,
}

impl Asked {
    pub(super) fn read(query: Option<&str>) -> Asked {
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let name = pairs.find(|(key, _)| key == "name").map(|(_, name)| name.trim().to_ascii_lowercase());
        Asked { name: name.unwrap_or_default() }
    }
}

pub(super) fn page(status: &Status, asked: &Asked) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width\">\n\
         <meta http-equiv=refresh content=10>\n<title>Switchboard gateway</title>\n<style>\n{STYLE}</style>\n<main>\n"
    );
    head(&mut text, status);
    routes(&mut text, &status.routes);
    services(&mut text, &status.services, asked);
    text
}

fn head(text: &mut String, status: &Status) {
    let from = match (&status.source, status.ready) {
        (Some(source), _) => format!("over {}", escape(source)),
        (None, true) => "over the registry in this process".to_owned(),
        (None, false) => "the registry is still reading its records".to_owned(),
    };
    let _ = writeln!(
        text,
        "<header><h1>Gateway</h1><p>{from}<nav><a href=/status.json>status.json</a> <a href=/metrics>metrics</a></nav></header>"
    );
    let instances = |states: &[&str]| {
        let all = status.services.iter().flat_map(|service| &service.instances);
        all.filter(|instance| states.contains(&instance.state)).count()
    };
    let nobody = status.services.iter().filter(|service| is_without(service)).count();
    let tiles = [
        ("services", status.services.len(), false),
        ("without anyone", nobody, true),
        ("instances in traffic", instances(&["in_traffic"]), false),
        ("ejected or on trial", instances(&["ejected", "probing"]), true),
        ("not in traffic", instances(&["absent"]), false),
        ("requests under way", usize::try_from(status.requests_under_way).unwrap_or_default(), false),
        ("open WebSockets", usize::try_from(status.tunnels_open).unwrap_or_default(), false),
    ];
    text.push_str("<dl class=tiles>");
    for (what, count, is_trouble) in tiles {
        let class = if is_trouble && count > 0 { " class=some" } else { "" };
        let _ = write!(text, "<div><dt>{what}<dd{class}>{count}</div>");
    }
    text.push_str("</dl>\n");
}

fn routes(text: &mut String, routes: &[RouteStatus]) {
    if routes.is_empty() {
        return;
    }
    text.push_str(
        "<h2>Routes of the configuration</h2>\n<div class=card><table><tr><th>id<th>taken when<th>leads to\n",
    );
    for route in routes.iter().take(SHOWN) {
        let (id, when, to) = (escape(&route.id), escape(&route.when), escape(&route.to));
        let _ = writeln!(text, "<tr><td>{id}<td class=mono>{when}<td>{to}");
    }
    text.push_str("</table></div>\n");
    if let Some(more) = routes.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(text, "<p class=note>and {more} more, which <code>/status.json</code> has.");
    }
}

fn services(text: &mut String, services: &[ServiceStatus], asked: &Asked) {
    text.push_str("<h2>Services</h2>\n");
    if services.is_empty() {
        text.push_str(
            "<p class=note>None is known yet. A service is here as soon as it is registered, or asked for.\n",
        );
        return;
    }
    let wanted = services.iter().filter(|service| service.name.to_ascii_lowercase().contains(&asked.name));
    let mut wanted: Vec<&ServiceStatus> = wanted.collect();
    // Whoever looks here looks for trouble.
    wanted.sort_by_key(|service| (!is_without(service), !has_trouble(service)));
    if services.len() > SHOWN || !asked.name.is_empty() {
        let _ = writeln!(
            text,
            "<form><input name=name placeholder=\"a part of a name\" value=\"{}\"><button>show</button></form>",
            escape(&asked.name)
        );
    }
    if wanted.is_empty() {
        text.push_str("<p class=note>No service is called so.\n");
    }
    wanted.iter().take(SHOWN).for_each(|of| service(text, of));
    if let Some(more) = wanted.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(text, "<p class=note>and {more} more: ask for them by name.");
    }
}

fn is_without(service: &ServiceStatus) -> bool {
    !service.instances.iter().any(|instance| instance.state != "absent")
}

fn has_trouble(service: &ServiceStatus) -> bool {
    let fails = |instance: &InstanceStatus| matches!(instance.state, "ejected" | "probing");
    !service.complaints.is_empty() || service.instances.iter().any(fails)
}

fn service(text: &mut String, service: &ServiceStatus) {
    let path = match &service.path {
        Some(path) => format!("<code>{}</code>", escape(path)),
        None => "<span class=note>by routes of the configuration only</span>".to_owned(),
    };
    let _ = write!(text, "<section class=card><div><h3>{}</h3>{path}", escape(&service.name));
    if is_without(service) {
        text.push_str("<span class=\"pill nobody\">nobody takes requests</span>");
    }
    let answers = service.answers.iter().map(|(class, count)| format!("{class}: {count}"));
    let answers = answers.collect::<Vec<_>>().join(" · ");
    let _ = writeln!(text, "<span class=answers>{answers}</span></div>");
    for complaint in &service.complaints {
        let _ = writeln!(text, "<p class=complaint>{}", escape(complaint));
    }
    text.push_str(
        "<table><tr><th>instance<th>address<th>state<th>why<th class=n>requests<th class=n>failed<th class=n>under way\
         <th class=n title=\"a failure counts as slow\">latency\n",
    );
    service.instances.iter().for_each(|of| instance(text, of));
    text.push_str("</table></section>\n");
}

fn instance(text: &mut String, instance: &InstanceStatus) {
    let node = instance.node.as_ref().map(|node| format!("{node}/")).unwrap_or_default();
    let state = instance.state;
    let _ = write!(
        text,
        "<tr><td>{}{}<td class=mono>{}<td><span class=\"pill {state}\">{}</span><td class=why>{}",
        escape(&node),
        escape(&instance.id),
        escape(&instance.address),
        state.replace('_', " "),
        escape(instance.why.as_deref().unwrap_or_default()),
    );
    if state == "absent" {
        text.push_str("<td><td><td><td>\n");
        return;
    }
    let InstanceStatus { requests, failures, under_way, latency_ms, .. } = instance;
    let latency = latency_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
    let _ = writeln!(
        text,
        "<td class=n>{requests}<td class=n>{failures}<td class=n>{under_way}<td class=n>{latency}"
    );
}

/// Whatever instances say about themselves stays text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_instances_say_stays_text() {
        assert_eq!(escape("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }

    fn named(name: &str, state: &'static str) -> ServiceStatus {
        let instance = InstanceStatus {
            id: "a".to_owned(),
            node: None,
            address: "10.0.0.1:80".to_owned(),
            state,
            why: None,
            requests: 7,
            failures: 0,
            under_way: 0,
            latency_ms: None,
            connections: 0,
        };
        ServiceStatus {
            name: name.to_owned(),
            path: None,
            complaints: Vec::new(),
            answers: [].into(),
            instances: vec![instance],
        }
    }

    #[test]
    fn trouble_is_shown_first_many_services_are_not_and_are_found_by_name() {
        let mut services: Vec<_> = (0..250).map(|i| named(&format!("quiet-{i}"), "in_traffic")).collect();
        services.push(named("failing", "ejected"));
        services.push(named("<gone>", "absent"));
        let status = Status {
            ready: true,
            source: None,
            requests_under_way: 0,
            tunnels_open: 0,
            routes: Vec::new(),
            services,
        };
        let shown = page(&status, &Asked::default());
        let place = |what: &str| shown.find(what).unwrap_or_else(|| panic!("{what} is not in {shown}"));
        assert!(place("<h3>&lt;gone&gt;</h3>") < place("<h3>failing</h3>"));
        assert!(place("<h3>failing</h3>") < place("<h3>quiet-0</h3>"));
        assert!(shown.contains("and 152 more"), "{shown}");
        let one = page(&status, &Asked::read(Some("name=Quiet-249")));
        assert!(one.contains("<h3>quiet-249</h3>") && !one.contains("failing"), "{one}");
        assert!(one.contains("value=\"quiet-249\""));
    }
}

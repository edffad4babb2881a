use std::fmt::Write;

use super::status::{InstanceStatus, ServiceStatus, Status};

const HEAD: &str = "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta http-equiv=refresh content=5>\n\
<title>Switchboard gateway</title>\n<style>\nbody{font:14px/1.4 sans-serif;margin:2em;color:#222}\n\
table{border-collapse:collapse;margin:.5em 0 1.5em}td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}\n\
.in_traffic{color:#176f2c}.ejected,.probing{color:#b04a00}.absent{color:#777}code{background:#f3f3f3;padding:0 .2em}\n</style>\n";

pub(super) fn page(status: &Status) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("<h1>Gateway</h1>\n");
    if !status.ready {
        text.push_str("<p>The registry is still reading its records.\n");
    }
    if !status.routes.is_empty() {
        text.push_str("<h2>Routes of the configuration</h2>\n<table><tr><th>id<th>when<th>to\n");
        for route in &status.routes {
            let (id, when, to) = (escape(&route.id), escape(&route.when), escape(&route.to));
            let _ = writeln!(text, "<tr><td>{id}<td>{when}<td>{to}");
        }
        text.push_str("</table>\n");
    }
    text.push_str("<h2>Services</h2>\n");
    if status.services.is_empty() {
        text.push_str("<p>None is registered.\n");
    }
    status.services.iter().for_each(|of| service(&mut text, of));
    text
}

fn service(text: &mut String, service: &ServiceStatus) {
    let path = match &service.path {
        Some(path) => format!("<code>{}</code>", escape(path)),
        None => "by routes of the configuration only".to_owned(),
    };
    let answers = service.answers.iter().map(|(class, count)| format!("{class}: {count}"));
    let answers = answers.collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "<h3>{}</h3>\n<p>{path} {answers}", escape(&service.name));
    for complaint in &service.complaints {
        let _ = writeln!(text, "<p class=ejected>{}", escape(complaint));
    }
    text.push_str("<table><tr><th>instance<th>address<th>state<th>why<th>requests<th>failures<th>under way<th>latency, failures being slow\n");
    service.instances.iter().for_each(|of| instance(text, of));
    text.push_str("</table>\n");
}

fn instance(text: &mut String, instance: &InstanceStatus) {
    let node = instance.node.as_ref().map(|node| format!("{node}/")).unwrap_or_default();
    let _ = writeln!(
        text,
        "<tr><td>{}{}<td>{}<td class={}>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
        escape(&node),
        escape(&instance.id),
        escape(&instance.address),
        instance.state,
        instance.state.replace('_', " "),
        escape(instance.why.as_deref().unwrap_or_default()),
        instance.requests,
        instance.failures,
        instance.under_way,
        instance.latency_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default(),
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
}

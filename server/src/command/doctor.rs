mod checks;
mod holders;

use serde_json::json;

use crate::arguments::Doctor;
use crate::config::{Config, Layers};
use crate::failure::Failure;
use crate::out::{Out, Style};

use super::client;

/// What one look found.
struct Finding {
    level: Level,
    what: &'static str,
    says: String,
    next: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Ok,
    Warn,
    Fail,
}

impl Finding {
    fn ok(what: &'static str, says: impl Into<String>) -> Finding {
        Finding { level: Level::Ok, what, says: says.into(), next: None }
    }

    fn warn(what: &'static str, says: impl Into<String>, next: impl Into<String>) -> Finding {
        Finding { level: Level::Warn, what, says: says.into(), next: Some(next.into()) }
    }

    fn fail(what: &'static str, says: impl Into<String>, next: Option<String>) -> Finding {
        Finding { level: Level::Fail, what, says: says.into(), next }
    }
}

/// Looks at everything, also after something was found, and fails if anything is in the way.
pub(crate) async fn doctor(what: Doctor, out: &mut Out) -> Result<(), Failure> {
    let client = client(&what.to)?;
    let server = client.try_ask(http::Method::GET, "/v1/status", None).await;
    let running = server.as_ref().ok().filter(|answer| answer.body.get("revision").is_some());
    let mut findings = Vec::new();
    match Layers::gather(&what.config, std::env::vars_os()).and_then(|layers| Config::read(&layers)) {
        Err(failure) => findings.push(Finding::fail("config", failure.to_string(), None)),
        Ok(config) => {
            findings.push(checks::configuration(&config));
            findings.push(checks::data(&config, what.verify, running.is_some()).await);
            findings.extend(checks::space(&config));
            findings.extend(checks::ports(&config, running.is_some()).await);
        }
    }
    findings.push(checks::server(&client, &server));
    findings.push(checks::clock(running));
    findings.push(checks::files());

    if what.to.json {
        let one = |it: &Finding| json!({ "level": it.level.word(), "what": it.what, "says": it.says, "next": it.next });
        out.line(json!({ "findings": findings.iter().map(one).collect::<Vec<_>>() }))?;
    } else {
        findings.iter().try_for_each(|finding| print(finding, out))?;
    }
    match findings.iter().filter(|finding| finding.level == Level::Fail).count() {
        0 => Ok(()),
        1 => Err(Failure::failed("one thing is in the way")),
        many => Err(Failure::failed(format!("{many} things are in the way"))),
    }
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }
}

const INDENT: usize = 15;

fn print(finding: &Finding, out: &mut Out) -> std::io::Result<()> {
    let style = match finding.level {
        Level::Ok => Style::Good,
        Level::Warn => Style::Warn,
        Level::Fail => Style::Bad,
    };
    let level = out.paint(style, format!("{:<4}", finding.level.word()));
    let lead = format!("{level}  {:<9}", finding.what);
    for (number, line) in finding.says.lines().enumerate() {
        let lead = if number == 0 { lead.clone() } else { " ".repeat(INDENT) };
        out.wrapped(&lead, INDENT, line.trim())?;
    }
    match &finding.next {
        Some(next) => out.wrapped(&format!("{:INDENT$}", "           ->"), INDENT, next),
        None => Ok(()),
    }
}

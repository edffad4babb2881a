//! `consul version` and `consul agent` with the configuration that Consul's own test harness writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

/// What the protocol tells its clients, too.
const VERSION: &str = "1.16.3";

/// What of a configuration changes nothing in a registry that is one server, has no ACLs and no gossip.
const WITHOUT_EFFECT: &[&str] = &[
    "acl",
    "acl_default_policy",
    "autopilot",
    "bind_addr",
    "bootstrap",
    "connect",
    "disable_update_check",
    "enable_debug",
    "experiments",
    "log_level",
    "peering",
    "performance",
    "primary_datacenter",
    "segments",
    "server",
    "skip_leave_on_interrupt",
];

/// What harnesses are from before which say the version of the server themselves.
const VERSION_BEFORE: &str = "1.14.11";

pub(super) fn run(binary: &Path, arguments: &[String]) -> anyhow::Result<()> {
    match arguments.first().map(String::as_str) {
        Some("version") => {
            let version = json!({
                "Version": VERSION, "Prerelease": "", "Revision": "", "BuildDate": "1970-01-01T00:00:01Z",
                "RPC": { "Default": 2, "Min": 2, "Max": 3 },
            });
            println!("{version}");
            Ok(())
        }
        Some("agent") => {
            let (config, services) = agent(arguments.get(1..).unwrap_or_default())?;
            Err(super::become_server(&mut serve(binary, &config, services.as_deref())?))
        }
        other => bail!("this stands in for `consul agent` and `consul version`, not for {other:?}"),
    }
}

/// The configuration of the command line, and a file of services beside it.
fn agent(arguments: &[String]) -> anyhow::Result<(Map<String, Value>, Option<PathBuf>)> {
    let (mut config, mut services) = (Map::new(), None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (argument.as_str(), rest.next().map(String::as_str)),
        };
        let value = value.with_context(|| format!("{flag} without a value"))?;
        match flag.trim_start_matches('-') {
            "config-file" => {
                let text = std::fs::read_to_string(value).with_context(|| value.to_owned())?;
                let fields = match text.trim() {
                    "" => Map::new(),
                    text => serde_json::from_str::<Map<String, Value>>(text)?,
                };
                let is_of_services = |(key, _): (&String, _)| {
                    matches!(key.as_str(), "service" | "services" | "check" | "checks")
                };
                // What is empty now is filled when the agent runs.
                if fields.iter().all(is_of_services) {
                    services = Some(PathBuf::from(value));
                } else {
                    config.extend(fields);
                }
            }
            _ => bail!("{flag} is not among the flags that this stand-in knows"),
        }
    }
    Ok((config, services))
}

/// Our own command for it.
fn serve(binary: &Path, config: &Map<String, Value>, services: Option<&Path>) -> anyhow::Result<Command> {
    let data = PathBuf::from(text(config, "data_dir").context("data_dir is missing")?);
    std::fs::create_dir_all(&data)?;
    let file = data.join("switchboard.toml");
    std::fs::write(&file, toml::to_string(&settings(config)?)?)?;
    let port = |name: &str| config.get("ports").and_then(|ports| ports.get(name)).and_then(Value::as_i64);
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg(file).arg("--data-dir").arg(data.join("records"));
    if let Some(services) = services {
        command.arg("--consul-services").arg(services);
    }
    for (protocol, name) in [("consul", "http"), ("dns", "dns")] {
        let Some(port) = port(name).filter(|port| *port > 0) else { continue };
        command.args(["--only", protocol, "--listen", &format!("{protocol}=127.0.0.1:{port}")]);
    }
    Ok(command)
}

fn text<'a>(config: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    config.get(name).and_then(Value::as_str)
}

/// The sections of our configuration.
fn settings(config: &Map<String, Value>) -> anyhow::Result<Value> {
    let (mut consul, mut dns) = (Map::new(), Map::new());
    consul.insert("version".to_owned(), VERSION_BEFORE.into());
    for (key, value) in config {
        match key.as_str() {
            "datacenter" | "node_name" => {
                consul.insert(key.clone(), value.clone());
                dns.insert(key.clone(), value.clone());
            }
            "node_id" | "node_meta" | "version" if !value.is_null() => {
                consul.insert(key.clone(), value.clone());
            }
            "data_dir" | "ports" | "node_id" | "node_meta" | "version" => {}
            "addresses" => {
                let http = value.get("http").and_then(Value::as_str).unwrap_or_default();
                if let Some(path) = http.strip_prefix("unix://") {
                    consul.insert("socket".to_owned(), path.into());
                } else if !http.is_empty() {
                    eprintln!("consul: addresses.http = {http} is not something this stand-in can pass on");
                }
            }
            known if WITHOUT_EFFECT.contains(&known) => {}
            // Said in the log of the suite: a test that fails for it is not left without a reason.
            other => eprintln!("consul: {other} = {value} is not something this stand-in can pass on"),
        }
    }
    Ok(json!({ "consul": consul, "dns": dns }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_harness_writes_becomes_our_settings() {
        let config = json!({
            "node_name": "node-1", "node_id": "6b0d9f3e-8c5f-4f4e-9d2f-0c7a4f6f2a11", "node_meta": { "a": "b" },
            "datacenter": "dc7", "bootstrap": true, "server": true, "ports": { "http": 4000, "dns": -1 },
        });
        let settings = settings(config.as_object().unwrap()).unwrap();
        assert_eq!(settings["consul"]["node_name"], "node-1");
        assert_eq!(settings["consul"]["node_meta"], json!({ "a": "b" }));
        assert_eq!(settings["dns"], json!({ "node_name": "node-1", "datacenter": "dc7" }));
    }
}

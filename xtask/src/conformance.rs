//! Clients written by others, unmodified, against the real binary.
//!
//! A driver is a small program in `conformance/`: it is given `SWITCHBOARD_URL` and the addresses of the other protocols, prints `ok - name`,
//! `not ok - name: why` or `skip - name: why` per check, and exits non-zero when a check failed. Each driver gets a
//! server of its own with an empty data folder.

mod server;
mod tools;

use std::time::Duration;

use anyhow::bail;

use crate::process;
use crate::tally::Tally;
use crate::workspace::Workspace;
use server::Server;
use tools::Tool;

struct Driver {
    /// `suite/driver`; the suite is the folder in `conformance/`.
    name: &'static str,
    tool: Tool,
    /// Relative to the suite's folder.
    program: &'static str,
}

const DRIVERS: &[Driver] = &[
    Driver { name: "native/scenario", tool: Tool::Python, program: "scenario.py" },
    Driver { name: "native/metrics", tool: Tool::Python, program: "metrics.py" },
    Driver { name: "native/go", tool: Tool::Go, program: "go/scenario.go" },
    Driver { name: "native/java", tool: Tool::Java, program: "java/Scenario.java" },
    Driver { name: "native/node", tool: Tool::Node, program: "node/scenario.mjs" },
    Driver { name: "native/openapi", tool: Tool::Python, program: "openapi.py" },
    Driver { name: "dns/scenario", tool: Tool::Python, program: "scenario.py" },
    Driver { name: "etcd/go", tool: Tool::Go, program: "go/scenario" },
    Driver { name: "etcd/oracle", tool: Tool::Go, program: "go/oracle" },
    Driver { name: "etcd/gateway", tool: Tool::Python, program: "gateway.py" },
    Driver { name: "consul/scenario", tool: Tool::Python, program: "scenario.py" },
    Driver { name: "consul/article", tool: Tool::Python, program: "article/run.py" },
    Driver { name: "consul/go", tool: Tool::Go, program: "go/article.go" },
    Driver { name: "consul/node", tool: Tool::Node, program: "node/scenario.mjs" },
    Driver { name: "consul/template", tool: Tool::Python, program: "template/run.py" },
    Driver { name: "consul/prometheus", tool: Tool::Go, program: "prometheus/discovery.go" },
    Driver { name: "consul/oracle", tool: Tool::Python, program: "oracle/run.py" },
    Driver { name: "eureka/scenario", tool: Tool::Python, program: "scenario.py" },
    Driver { name: "eureka/node", tool: Tool::Node, program: "node/scenario.mjs" },
];

/// Far above what a driver needs; a driver that hangs is a failure, not a hung run.
const LIMIT: Duration = Duration::from_secs(600);
const LIMIT_FULL: Duration = Duration::from_secs(1800);

pub(crate) fn run(workspace: &Workspace, name: &str, full: bool) -> anyhow::Result<Tally> {
    let asked = |driver: &&Driver| {
        name == "all"
            || driver.name == name
            || driver.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
    };
    let drivers: Vec<&Driver> = DRIVERS.iter().filter(asked).collect();
    if drivers.is_empty() {
        let known: Vec<&str> = DRIVERS.iter().map(|driver| driver.name).collect();
        bail!("no suite or driver {name:?}; there are {}", known.join(", "));
    }
    let binary = server::build(workspace)?;
    let mut tally = Tally::default();
    for driver in drivers {
        println!("-- {}", driver.name);
        tally.add(run_driver(workspace, &binary, driver, full)?);
    }
    Ok(tally)
}

fn run_driver(
    workspace: &Workspace,
    binary: &std::path::Path,
    driver: &Driver,
    full: bool,
) -> anyhow::Result<Tally> {
    let suite = driver.name.split('/').next().unwrap_or_default();
    let folder = workspace.root.join("conformance").join(suite);
    let scratch = workspace.target.join("conformance");
    std::fs::create_dir_all(&scratch)?;
    let mut command = match tools::command(driver.tool, &folder, driver.program, &scratch) {
        Ok(command) => command,
        Err(why) => {
            println!("not run - {why}");
            return Ok(Tally { not_run: vec![format!("{}: {why}", driver.name)], ..Tally::default() });
        }
    };
    let log = scratch.join(format!("{}.log", driver.name.replace('/', "-")));
    let server = Server::start(binary, &scratch, &log)?;
    command.envs(server.urls());
    // For drivers that need a server in a state of its own, again and again.
    command.env("SWITCHBOARD_BINARY", binary);
    command.env("SWITCHBOARD_CONFORMANCE_DIR", &scratch);
    command.env("SWITCHBOARD_CONFORMANCE_FULL", if full { "1" } else { "" });
    let mut tally = Tally::default();
    let limit = if full { LIMIT_FULL } else { LIMIT };
    let ended_well = process::lines(&mut command, limit, |line| tally.add(verdict(driver.name, line)))?;
    let said_nothing = tally.passed + tally.failed + tally.not_run.len() == 0;
    if said_nothing || (!ended_well && tally.failed == 0) {
        println!("not ok - {}: it ended without a verdict", driver.name);
        tally.failed += 1;
    }
    if tally.failed > 0 {
        server::print_tail(&log);
    }
    Ok(tally)
}

fn verdict(driver: &str, line: &str) -> Tally {
    let mut tally = Tally::default();
    if line.starts_with("ok - ") {
        tally.passed = 1;
    } else if line.starts_with("not ok - ") {
        tally.failed = 1;
    } else if let Some(what) = line.strip_prefix("skip - ") {
        tally.not_run.push(format!("{driver}: {what}"));
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_from_drivers() {
        let count = |line| {
            let tally = verdict("native/go", line);
            (tally.passed, tally.failed, tally.not_run.len())
        };
        assert_eq!(count("ok - register"), (1, 0, 0));
        assert_eq!(count("not ok - register: 500"), (0, 1, 0));
        assert_eq!(count("skip - promtool: not installed"), (0, 0, 1));
        assert_eq!(count("it is ok - or not"), (0, 0, 0));
    }
}

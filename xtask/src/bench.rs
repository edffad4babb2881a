//! `cargo xtask bench`: the load generator against the release build on this machine.
//!
//! `cargo xtask bench consul` puts a real Consul beside it: the program that `CONSUL_BIN` names, or else one that is built
//! from the modules pinned in `bench/peers`. `cargo xtask bench etcd` puts a real etcd beside it in the same way, which
//! `ETCD_BIN` names. `cargo xtask bench eureka` puts a real Eureka server beside it: the jar that
//! `EUREKA_JAR` names, or else the one of `conformance/eureka/java`. `cargo xtask bench balance` says what a pick costs
//! beside tower's.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

mod gateway;

use crate::process;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> anyhow::Result<bool> {
    if let Some(("gateway", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return gateway::run(workspace, rest);
    }
    if let Some(("balance", args)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let run = ["run", "--release", "--locked", "--package", "switchboard-bench-balance", "--"];
        return process::succeeds(process::cargo().current_dir(&workspace.root).args(run).args(args));
    }
    let build = [
        "build",
        "--release",
        "--locked",
        "--package",
        "switchboard-server",
        "--package",
        "switchboard-loadgen",
    ];
    if !process::succeeds(process::cargo().current_dir(&workspace.root).args(build))? {
        return Ok(false);
    }
    let release = workspace.target.join("release");
    let mut table = Command::new(release.join("switchboard-loadgen"));
    let args = match args.split_first() {
        Some((word, rest)) if word == "consul" => {
            table.arg("consul").arg("--consul-binary").arg(peer(workspace, "consul", "CONSUL_BIN")?);
            // It takes minutes to build, so without the variable it is there only if somebody built it before.
            let coredns = workspace.target.join("peers").join("coredns");
            if std::env::var_os("COREDNS_BIN").is_none() && coredns.exists() {
                table.arg("--coredns-binary").arg(coredns);
            }
            rest
        }
        Some((word, rest)) if word == "etcd" => {
            table.arg("etcd").arg("--etcd-binary").arg(peer(workspace, "etcd", "ETCD_BIN")?);
            rest
        }
        Some((word, rest)) if word == "eureka" => {
            table.arg("eureka").arg("--eureka-jar").arg(eureka(workspace)?);
            rest
        }
        _ => {
            table.arg("table");
            args
        }
    };
    table.arg("--server-binary").arg(release.join("switchboard")).args(args);
    process::succeeds(&mut table)
}

/// A real server: the one that the variable names, or one built once below the target folder.
fn peer(workspace: &Workspace, name: &str, variable: &str) -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return std::path::absolute(named).context("where it is");
    }
    let folder = workspace.target.join("peers");
    let built = folder.join(name);
    if !built.exists() {
        println!("building {name} from bench/peers, which takes some minutes; {variable} would name one");
        let mut build = Command::new(workspace.root.join("bench/peers/build"));
        if !process::succeeds(build.arg(name).arg(&folder))? {
            bail!("{name} does not build");
        }
    }
    Ok(built)
}

/// The real Eureka server, as the drivers of `conformance/eureka` have it.
fn eureka(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("EUREKA_JAR") {
        return std::path::absolute(named).context("where it is");
    }
    let scratch = workspace.target.join("conformance");
    std::fs::create_dir_all(&scratch)?;
    let conformance = workspace.root.join("conformance");
    let mut build = Command::new("python3");
    build.arg("-B").arg(conformance.join("maven.py")).arg(conformance.join("eureka/java"));
    if !process::succeeds(build.env("SWITCHBOARD_CONFORMANCE_DIR", &scratch))? {
        bail!("the real Eureka server does not build; EUREKA_JAR would name one");
    }
    Ok(scratch.join("maven-eureka/server/target/server.jar"))
}

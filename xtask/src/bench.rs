//! `cargo xtask bench`: the load generator against the release build on this machine; `cargo xtask bench balance`: what
//! a pick costs.

use crate::process;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> anyhow::Result<bool> {
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
    let mut table = std::process::Command::new(release.join("switchboard-loadgen"));
    table.arg("table").arg("--server-binary").arg(release.join("switchboard")).args(args);
    process::succeeds(&mut table)
}

//! `cargo xtask bench`: the load generator against the release build on this machine.

mod gateway;

use crate::process;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> anyhow::Result<bool> {
    if let Some(("gateway", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return gateway::run(workspace, rest);
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

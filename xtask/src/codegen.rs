//! Messages and services of protocols, made of their `.proto` files by the crate in `codegen/`.
//!
//! That crate is a workspace of its own: what it needs is built by whoever changes a `.proto` file, and by nobody else.

use std::path::Path;

use crate::files;
use crate::process;
use crate::workspace::Workspace;

/// Folders of protocols with a `proto/`, each with where its Rust goes.
const GENERATED: &str = "src/wire/generated";

/// Whether everything is as it should be.
pub(crate) fn run(workspace: &Workspace, check: bool) -> anyhow::Result<bool> {
    let mut good = true;
    for entry in std::fs::read_dir(workspace.root.join("protocols"))?.filter_map(Result::ok) {
        let protos = entry.path().join("proto");
        if !protos.is_dir() {
            continue;
        }
        let kept = entry.path().join(GENERATED);
        let out = if check { workspace.target.join("codegen-check") } else { kept.clone() };
        let mut command = process::cargo();
        command.args(["run", "--quiet", "--locked", "--manifest-path"]);
        command.arg(workspace.root.join("xtask/codegen/Cargo.toml"));
        command.env("CARGO_TARGET_DIR", workspace.target.join("codegen"));
        command.arg("--").arg(&protos).arg(&out);
        if !process::succeeds(&mut command)? {
            return Ok(false);
        }
        let shown = files::shown(&workspace.root, &kept);
        let same = !check || same(&kept, &out);
        println!("{} - {shown}", if same { "ok" } else { "not ok" });
        good &= same;
    }
    Ok(good)
}

fn same(kept: &Path, made: &Path) -> bool {
    let kept_files = files::below(kept, "rs");
    let made_files = files::below(made, "rs");
    kept_files.len() == made_files.len()
        && made_files.iter().all(|file| {
            let name = file.file_name().unwrap_or_default();
            files::text(file) == files::text(&kept.join(name))
        })
}

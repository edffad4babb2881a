//! What `cargo metadata` says about this workspace, reduced to what the checks need.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process;

#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) crates: Vec<Crate>,
}

#[derive(Debug)]
pub(crate) struct Crate {
    /// Relative to the root, with forward slashes: `core/model`.
    pub(crate) folder: String,
    /// Source files that start a library or a binary.
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// The folder, for a crate of this workspace.
    pub(crate) folder: Option<String>,
    pub(crate) only_for_tests: bool,
}

/// A package somewhere in the tree of dependencies.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
}

impl Workspace {
    pub(crate) fn load() -> anyhow::Result<Workspace> {
        Workspace::load_in(&std::env::current_dir()?)
    }

    /// The one that `folder` belongs to.
    pub(crate) fn load_in(folder: &Path) -> anyhow::Result<Workspace> {
        let mut cargo = process::cargo();
        cargo.current_dir(folder).args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata = metadata(&mut cargo)?;
        let root = PathBuf::from(text(&metadata, "workspace_root")?);
        let packages = list(&metadata, "packages");
        let crates = packages.iter().map(|package| read_crate(&root, package)).collect::<Result<_, _>>()?;
        Ok(Workspace { target: text(&metadata, "target_directory")?.into(), root, crates })
    }

    /// Everything that is compiled for this machine, tests included.
    pub(crate) fn packages(&self) -> anyhow::Result<Vec<Package>> {
        let mut cargo = process::cargo();
        cargo.current_dir(&self.root).args(["metadata", "--locked", "--format-version", "1"]);
        // Without it, cargo would first download the crates of every other operating system.
        cargo.args(["--filter-platform", &host()?]);
        let metadata = metadata(&mut cargo)?;
        list(&metadata, "packages")
            .iter()
            .map(|package| {
                let licence = package.get("license").and_then(Value::as_str).map(str::to_owned);
                Ok(Package { name: text(package, "name")?, version: text(package, "version")?, licence })
            })
            .collect()
    }
}

fn read_crate(root: &Path, package: &Value) -> anyhow::Result<Crate> {
    let manifest = PathBuf::from(text(package, "manifest_path")?);
    let starts = |target: &&Value| {
        list(target, "kind")
            .iter()
            .any(|kind| kind.as_str().is_some_and(|kind| kind == "bin" || kind.ends_with("lib")))
    };
    let roots =
        list(package, "targets").iter().filter(starts).map(|target| Ok(text(target, "src_path")?.into()));
    let dependencies = list(package, "dependencies").iter().map(|dependency| {
        let path = dependency.get("path").and_then(Value::as_str).map(Path::new);
        Ok(Dependency {
            name: text(dependency, "name")?,
            folder: path.and_then(|path| relative(root, path)),
            only_for_tests: dependency.get("kind").and_then(Value::as_str) == Some("dev"),
        })
    });
    Ok(Crate {
        folder: manifest
            .parent()
            .and_then(|folder| relative(root, folder))
            .context("a crate outside the workspace")?,
        roots: roots.collect::<anyhow::Result<_>>()?,
        dependencies: dependencies.collect::<anyhow::Result<_>>()?,
    })
}

fn metadata(cargo: &mut Command) -> anyhow::Result<Value> {
    let output = cargo.output().context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata did not answer JSON")
}

fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host =
        said.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    Ok(host.to_owned())
}

fn relative(root: &Path, path: &Path) -> Option<String> {
    Some(path.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/"))
}

fn text(value: &Value, key: &str) -> anyhow::Result<String> {
    let found = value.get(key).and_then(Value::as_str);
    Ok(found.with_context(|| format!("cargo metadata gives no {key}"))?.to_owned())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

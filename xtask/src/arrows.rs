//! Which crate may depend on which. The folder names the layer; arrows point down, never sideways or up.

use crate::workspace::{Crate, Dependency, Workspace};

/// What a layer may depend on. A `*` stands for every folder below.
struct Layer {
    folder: &'static str,
    may_use: &'static [&'static str],
    /// On top, for tests only.
    tests_may_use: &'static [&'static str],
}

/// From the bottom up.
const LAYERS: &[Layer] = &[
    layer("core/model", &[]),
    layer("core/store", &["core/model"]),
    layer("core/discover", &["core/model"]),
    layer("engines/*", &["core/model", "core/store"]),
    layer("core/registry", &["core/model", "core/store"]),
    layer("core/balance", &["core/model"]),
    layer("core/facade", &["core/model", "core/store", "core/registry"]),
    layer("core/health", &["core/model", "core/registry"]),
    layer(
        "protocols/*",
        // Health for the words of a check's policy; discover for the protocol's source.
        &["core/model", "core/registry", "core/facade", "core/health", "core/discover"],
    ),
    Layer {
        folder: "client",
        // Whoever depends on the client must not get a server with it; its tests talk to the real one.
        may_use: &["core/model", "core/discover", "core/balance"],
        tests_may_use: &["core/registry", "core/facade", "protocols/*"],
    },
    // The client for the sources of foreign registries, when it runs on its own.
    layer("gateway", &["core/*", "protocols/*", "client"]),
    layer("ui", &["core/*", "protocols/*"]),
    layer("server", &["core/*", "engines/*", "protocols/*", "client", "gateway", "ui"]),
];

const fn layer(folder: &'static str, may_use: &'static [&'static str]) -> Layer {
    Layer { folder, may_use, tests_may_use: &[] }
}

/// Tools that may look at everything and that nothing looks at.
const FREE: &[&str] = &["bench/*", "xtask", "conformance/*", "conformance", "simulation/*", "simulation"];

/// What tests may use on top: an engine that needs neither disk nor network.
const TEST_HELPERS: &[&str] = &["engines/memory"];

/// Crates that would bring encodings, clocks or sockets into the pure part.
const IMPURE: &[&str] =
    &["serde", "serde_json", "tokio", "jiff", "chrono", "time", "fastrand", "rand", "hyper", "axum"];

/// Violations, each as `A -> B: why`.
pub(crate) fn check(workspace: &Workspace) -> Vec<String> {
    workspace.crates.iter().flat_map(violations_of).collect()
}

fn violations_of(of: &Crate) -> Vec<String> {
    if matches_any(FREE, &of.folder) {
        return Vec::new();
    }
    let Some(layer) = LAYERS.iter().find(|layer| matches(layer.folder, &of.folder)) else {
        return vec![format!(
            "{} -> ?: the folder belongs to no layer; add it to xtask/src/arrows.rs",
            of.folder
        )];
    };
    let why = |dependency| Some((dependency, why_not(layer, of, dependency)?));
    let violations = of.dependencies.iter().filter_map(why);
    violations
        .map(|(to, why)| format!("{} -> {}: {why}", of.folder, to.folder.as_deref().unwrap_or(&to.name)))
        .collect()
}

fn why_not(layer: &Layer, from: &Crate, to: &Dependency) -> Option<String> {
    let Some(folder) = &to.folder else {
        let impure = layer.folder == "core/model" && !to.only_for_tests && IMPURE.contains(&to.name.as_str());
        return impure.then(|| "the model knows no encoding, clock or I/O".to_owned());
    };
    // A crate's tests may ask for more of its own features.
    let is_own = *folder == from.folder;
    let for_tests = is_own || matches_any(TEST_HELPERS, folder) || matches_any(layer.tests_may_use, folder);
    if matches_any(layer.may_use, folder) || (to.only_for_tests && for_tests) {
        return None;
    }
    Some(if matches_any(FREE, folder) {
        "nothing depends on a tool".to_owned()
    } else if *folder != from.folder && matches(layer.folder, folder) {
        format!("sideways, between two of {}", layer.folder)
    } else if to.only_for_tests {
        "not below it, and not a test helper".to_owned()
    } else if layer.may_use.is_empty() {
        "it is the bottom and depends on none of ours".to_owned()
    } else {
        format!("not below it; it may use {}", layer.may_use.join(", "))
    })
}

fn matches_any(patterns: &[&str], folder: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, folder))
}

fn matches(pattern: &str, folder: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => {
            folder.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
        }
        None => pattern == folder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One arrow per line, `from -> to`; `~>` is an arrow only for tests; a name in `<>` is a foreign crate.
    fn check(arrows: &str, expected: &str) {
        let found: Vec<String> = arrows.trim().lines().flat_map(|line| violations_of(&arrow(line))).collect();
        let expected: Vec<&str> =
            expected.trim().lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(found, expected);
    }

    fn arrow(line: &str) -> Crate {
        let (from, to, only_for_tests) = match line.split_once("~>") {
            Some((from, to)) => (from.trim(), to.trim(), true),
            None => {
                let (from, to) = line.split_once("->").expect("an arrow");
                (from.trim(), to.trim(), false)
            }
        };
        let foreign = to.strip_prefix('<').and_then(|name| name.strip_suffix('>'));
        let dependency = Dependency {
            name: foreign.unwrap_or(to).to_owned(),
            folder: foreign.is_none().then(|| to.to_owned()),
            only_for_tests,
        };
        Crate { folder: from.into(), roots: Vec::new(), dependencies: vec![dependency] }
    }

    #[test]
    fn downward_arrows_are_fine() {
        check(
            "core/store -> core/model
             engines/redb -> core/store
             core/registry -> core/store
             core/facade -> core/registry
             core/health -> core/registry
             protocols/native -> core/facade
             protocols/native -> core/health
             gateway -> core/balance
             server -> engines/redb
             server -> protocols/native
             bench/loadgen -> server
             core/model -> <thiserror>",
            "",
        );
    }

    #[test]
    fn upward_arrows_are_named() {
        check(
            "core/model -> core/store
             core/store -> engines/memory
             core/registry -> protocols/native
             core/health -> core/facade
             protocols/native -> server",
            "core/model -> core/store: it is the bottom and depends on none of ours
             core/store -> engines/memory: not below it; it may use core/model
             core/registry -> protocols/native: not below it; it may use core/model, core/store
             core/health -> core/facade: not below it; it may use core/model, core/registry
             protocols/native -> server: not below it; it may use core/model, core/registry, core/facade, core/health, core/discover",
        );
    }

    #[test]
    fn sideways_arrows_are_named() {
        check(
            "engines/redb -> engines/memory
             protocols/consul -> protocols/dns",
            "engines/redb -> engines/memory: sideways, between two of engines/*
             protocols/consul -> protocols/dns: sideways, between two of protocols/*",
        );
    }

    #[test]
    fn protocols_do_not_see_engines_or_the_store() {
        check(
            "protocols/native -> engines/redb
             protocols/native -> core/store",
            "protocols/native -> engines/redb: not below it; it may use core/model, core/registry, core/facade, core/health, core/discover
             protocols/native -> core/store: not below it; it may use core/model, core/registry, core/facade, core/health, core/discover",
        );
    }

    #[test]
    fn tests_may_use_helpers_and_nothing_else() {
        check(
            "core/registry ~> engines/memory
             protocols/native ~> engines/memory
             engines/redb ~> engines/memory
             client ~> protocols/native
             core/discover ~> core/discover
             client -> core/registry
             core/registry ~> engines/redb",
            "client -> core/registry: not below it; it may use core/model, core/discover, core/balance
core/registry -> engines/redb: not below it, and not a test helper",
        );
    }

    #[test]
    fn the_model_stays_pure() {
        check(
            "core/model -> <serde>
             core/model ~> <serde_json>",
            "core/model -> serde: the model knows no encoding, clock or I/O",
        );
    }

    #[test]
    fn an_unknown_folder_is_a_violation() {
        check(
            "helpers -> core/model
             server -> xtask",
            "helpers -> ?: the folder belongs to no layer; add it to xtask/src/arrows.rs
             server -> xtask: nothing depends on a tool",
        );
    }
}

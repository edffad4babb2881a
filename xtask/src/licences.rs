//! Licences and unwanted crates, by the lists in `deny.toml`, without needing cargo-deny.

use anyhow::Context;

use crate::files;
use crate::spdx;
use crate::workspace::{Package, Workspace};

/// The part of `deny.toml` that is read here; cargo-deny reads the same file.
struct Rules {
    allowed: Vec<String>,
    /// Name and reason.
    banned: Vec<(String, String)>,
}

/// Violations, each as `package version: why`.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let rules = read_rules(&files::text(&workspace.root.join("deny.toml")))?;
    let packages = workspace.packages()?;
    Ok(packages.iter().flat_map(|package| violations_of(&rules, package)).collect())
}

fn read_rules(text: &str) -> anyhow::Result<Rules> {
    let table: toml::Table = text.parse().context("deny.toml")?;
    let list = |section: &str, key: &str| {
        let list = table.get(section).and_then(|section| section.get(key)).and_then(toml::Value::as_array);
        list.with_context(|| format!("deny.toml has no list {section}.{key}"))
    };
    let text = |value: &toml::Value, key: &str| {
        let text = value.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        text.with_context(|| format!("deny.toml: an entry of bans.deny has no {key}"))
    };
    let banned =
        list("bans", "deny")?.iter().map(|entry| Ok((text(entry, "crate")?, text(entry, "reason")?)));
    Ok(Rules {
        allowed: list("licenses", "allow")?
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        banned: banned.collect::<anyhow::Result<_>>()?,
    })
}

fn violations_of(rules: &Rules, package: &Package) -> Vec<String> {
    let who = format!("{} {}", package.name, package.version);
    let ban = rules.banned.iter().find(|(name, _)| *name == package.name);
    let ban = ban.map(|(_, reason)| format!("{who}: unwanted: {reason}"));
    let licence = match &package.licence {
        None => Some(format!("{who}: names no licence")),
        Some(licence) => match spdx::satisfied(licence, &rules.allowed) {
            Some(true) => None,
            Some(false) => Some(format!("{who}: licence {licence} is not allowed by deny.toml")),
            None => Some(format!("{who}: licence {licence} cannot be read")),
        },
    };
    ban.into_iter().chain(licence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, licence: Option<&str>, expected: &[&str]) {
        let rules =
            "[licenses]\nallow = [\"MIT\"]\n[bans]\ndeny = [{ crate = \"openssl\", reason = \"one TLS\" }]";
        let rules = read_rules(rules).unwrap();
        let package =
            Package { name: name.into(), version: "1.0.0".into(), licence: licence.map(str::to_owned) };
        assert_eq!(violations_of(&rules, &package), expected);
    }

    #[test]
    fn packages() {
        check("bytes", Some("MIT"), &[]);
        check("bytes", None, &["bytes 1.0.0: names no licence"]);
        check("bytes", Some("GPL-3.0"), &["bytes 1.0.0: licence GPL-3.0 is not allowed by deny.toml"]);
        check("openssl", Some("MIT"), &["openssl 1.0.0: unwanted: one TLS"]);
    }

    #[test]
    fn a_missing_list_is_an_error() {
        assert!(read_rules("[licenses]\nallow = []").is_err());
    }
}

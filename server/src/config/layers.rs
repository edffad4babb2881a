use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use switchboard_facade::{ConfigError, Section};
use toml::Value;

use super::{ENABLED, environment, nearest, section_names};
use crate::arguments::ConfigFlags;
use crate::failure::Failure;
use crate::plugs::PROTOCOLS;

/// The file that is read without being asked to.
const DEFAULT_FILE: &str = "switchboard.toml";

/// What was given, merged, and where each value came from.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    given: Section,
    /// By the full path of the key.
    origins: BTreeMap<String, String>,
    pub(crate) file: Option<PathBuf>,
}

impl Layers {
    /// File, then environment, then flags.
    pub(crate) fn gather(
        flags: &ConfigFlags,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Layers, Failure> {
        let mut layers = Layers::default();
        let file =
            flags.config.clone().or_else(|| Some(DEFAULT_FILE.into()).filter(|file: &PathBuf| file.exists()));
        if let Some(file) = file {
            layers.add_file(&file)?;
        }
        for setting in environment::read(environment)? {
            layers.set(&setting.path, setting.value, setting.variable);
        }
        layers.add_flags(flags)?;
        Ok(layers)
    }

    /// What was given for one section.
    pub(super) fn section(&self, name: &str) -> Section {
        super::table(&self.given, name)
    }

    /// The error, and who said so.
    pub(super) fn blame(&self, mut error: ConfigError) -> Failure {
        // A key that is unknown deep within a section is named as if it were at its top.
        if let Some((section, key)) =
            error.key.split_once('.').filter(|_| !self.origins.contains_key(&error.key))
        {
            let (begin, end) = (format!("{section}."), format!(".{key}"));
            if let Some(path) =
                self.origins.keys().find(|path| path.starts_with(&begin) && path.ends_with(&end))
            {
                error.key = path.clone();
            }
        }
        let within = |path: &str| path == error.key || path.starts_with(&format!("{}.", error.key));
        let above = |path: &str| error.key.starts_with(&format!("{path}."));
        let origin = self.origins.iter().find(|(path, _)| within(path) || above(path));
        match origin {
            Some((_, origin)) => Failure::usage(format!("{origin}: {error}")),
            None => Failure::usage(error),
        }
    }

    fn add_file(&mut self, file: &Path) -> Result<(), Failure> {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("cannot read the configuration {shown}: {error}"))
                .next("Name another with --config FILE, or start from `switchboard config example`.")
        })?;
        let table: Section =
            text.parse().map_err(|error| Failure::usage(format!("{shown} is not valid TOML: {error}")))?;
        for (name, section) in table {
            let path = [name];
            if !section.is_table() {
                let [name] = path;
                return Err(unknown_section(&shown, &name));
            }
            self.merge(&path, section, &shown)?;
        }
        self.file = Some(file.to_owned());
        Ok(())
    }

    fn add_flags(&mut self, flags: &ConfigFlags) -> Result<(), Failure> {
        let text = |text: &str| Value::String(text.to_owned());
        let words = [
            (
                ["engine", "data_dir"],
                "--data-dir",
                flags.data_dir.as_ref().map(|dir| dir.display().to_string()),
            ),
            (["engine", "kind"], "--engine", flags.engine.clone()),
            (
                ["consul", "services"],
                "--consul-services",
                flags.consul_services.as_ref().map(|place| place.display().to_string()),
            ),
            (["log", "level"], "--log", flags.log.clone()),
            (["log", "format"], "--log-format", flags.log_format.clone()),
        ];
        for (path, flag, word) in words {
            if let Some(word) = word {
                self.set(&path, text(&word), flag.to_owned());
            }
        }
        for given in &flags.listen {
            let flag = format!("--listen {given}");
            let (protocol, address) = given.split_once('=').ok_or_else(|| {
                Failure::usage(format!("{flag}: expected PROTOCOL=HOST:PORT, such as native=127.0.0.1:7700"))
            })?;
            known_protocol(&flag, protocol)?;
            self.set(&[protocol, "listen"], text(address), flag.clone());
        }
        for protocol in &flags.only {
            known_protocol(&format!("--only {protocol}"), protocol)?;
        }
        if !flags.only.is_empty() {
            let flag = format!("--only {}", flags.only.join(" --only "));
            for plug in PROTOCOLS {
                let enabled = flags.only.iter().any(|name| name == plug.name);
                self.set(&[plug.name, ENABLED], enabled.into(), flag.clone());
            }
        }
        for protocol in &flags.disable {
            let flag = format!("--disable {protocol}");
            known_protocol(&flag, protocol)?;
            self.set(&[protocol.as_str(), ENABLED], false.into(), flag.clone());
        }
        for given in &flags.set {
            let flag = format!("--set {given}");
            let (key, value) = given
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("{flag}: expected SECTION.KEY=VALUE")))?;
            let path: Vec<&str> = key.trim().split('.').collect();
            if path.len() < 2 || path.contains(&"") {
                return Err(Failure::usage(format!(
                    "{flag}: expected SECTION.KEY=VALUE, such as log.level=debug"
                )));
            }
            self.merge(&path, environment::value(value), &flag)?;
        }
        Ok(())
    }

    /// Sets every value within `value`.
    fn merge(&mut self, path: &[impl AsRef<str>], value: Value, origin: &str) -> Result<(), Failure> {
        let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        if let Some(name) = path.first().filter(|name| !section_names().any(|known| known == **name)) {
            return Err(unknown_section(origin, name));
        }
        match value {
            Value::Table(table) => table.into_iter().try_for_each(|(key, value)| {
                let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                self.merge(&path, value, origin)
            }),
            value => {
                self.set(&path, value, origin.to_owned());
                Ok(())
            }
        }
    }

    fn set(&mut self, path: &[impl AsRef<str>], value: Value, origin: String) {
        let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        let Some((key, above)) = path.split_last() else { return };
        let mut table = &mut self.given;
        for name in above {
            let slot = table.entry(*name).or_insert_with(|| Value::Table(Section::new()));
            if !slot.is_table() {
                *slot = Value::Table(Section::new());
            }
            let Value::Table(inner) = slot else { return };
            table = inner;
        }
        table.insert((*key).to_owned(), value);
        self.origins.insert(path.join("."), origin);
    }
}

fn unknown_section(origin: &str, name: &str) -> Failure {
    let near =
        nearest(name, section_names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let known: Vec<_> = section_names().collect();
    Failure::usage(format!("{origin}: {name}: unknown section{near} Known sections: {}", known.join(", ")))
}

fn known_protocol(flag: &str, name: &str) -> Result<(), Failure> {
    let known = || PROTOCOLS.iter().map(|plug| plug.name);
    if known().any(|known| known == name) {
        return Ok(());
    }
    let near = nearest(name, known()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let known: Vec<_> = known().collect();
    Err(Failure::usage(format!(
        "{flag}: there is no protocol `{name}`{near} Known protocols: {}",
        known.join(", ")
    )))
}

//! What is in force: `switchboard.toml` < environment < flags, and the defaults below all of them.
//!
//! The layers are merged as plain tables first; then every section is read by whom it belongs to, which fills in the
//! defaults and refuses what it does not know. So a new protocol or engine needs no change here.

mod environment;
mod example;
mod layers;
mod lines;
mod sections;

use std::path::PathBuf;

use switchboard_facade::{ConfigError, Plug, Section, from_section};
use switchboard_registry::Options;

pub(crate) use example::example;
pub(crate) use layers::Layers;
pub(crate) use sections::{Format, Log};

use crate::engines::EnginePlug;
use crate::failure::Failure;
use crate::plugs::{ENGINES, PROTOCOLS};
use sections::{EngineSection, RegistrySection, SECTIONS};

/// The key of a protocol's section that the server keeps for itself.
pub(crate) const ENABLED: &str = "enabled";

/// The configuration in force.
pub(crate) struct Config {
    pub(crate) engine: &'static EnginePlug,
    pub(crate) data_dir: PathBuf,
    pub(crate) registry: Options,
    pub(crate) health: switchboard_health::Config,
    pub(crate) log: Log,
    /// The protocols that are not switched off, with their sections.
    pub(crate) protocols: Vec<(&'static Plug, Section)>,
    /// The file it was read from, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// All sections with every key, as `config print` shows them.
    pub(crate) effective: Section,
}

impl Config {
    pub(crate) fn read(layers: &Layers) -> Result<Config, Failure> {
        let effective = effective(layers)?;
        let of = |name: &str| table(&effective, name);
        let engine: EngineSection = from_section("engine", &of("engine"))?;
        let plug = ENGINES.iter().find(|plug| plug.name == engine.kind);
        let registry: RegistrySection = from_section("registry", &of("registry"))?;
        let protocols = PROTOCOLS.iter().map(|plug| (plug, of(plug.name)));
        let enabled = protocols.filter_map(|(plug, mut section)| match section.remove(ENABLED) {
            Some(toml::Value::Boolean(false)) => None,
            _ => Some((plug, section)),
        });
        Ok(Config {
            engine: plug.ok_or_else(|| Failure::usage("engine.kind: no such engine"))?,
            data_dir: engine.data_dir,
            registry: registry.options(),
            health: from_section("health", &of("health"))?,
            log: from_section("log", &of("log"))?,
            protocols: enabled.collect(),
            file: layers.file.clone(),
            effective,
        })
    }

    /// The section of a protocol, to change it.
    pub(crate) fn protocol_mut(&mut self, name: &str) -> Option<&mut Section> {
        self.protocols.iter_mut().find(|(plug, _)| plug.name == name).map(|(_, section)| section)
    }
}

/// The names of all sections, in the order of the example file.
fn section_names() -> impl Iterator<Item = &'static str> {
    let own = SECTIONS.iter().map(|section| section.name);
    own.chain(ENGINES.iter().map(|plug| plug.name)).chain(PROTOCOLS.iter().map(|plug| plug.name))
}

/// Every section with every key.
fn effective(layers: &Layers) -> Result<Section, Failure> {
    let mut all = Section::new();
    let mut add = |name: &str, section: Section| all.insert(name.to_owned(), section.into());
    for section in SECTIONS {
        let given = layers.section(section.name);
        add(
            section.name,
            read(section.name, section.effective, &given).map_err(|error| layers.blame(error))?,
        );
    }
    for plug in ENGINES {
        let given = layers.section(plug.name);
        add(plug.name, read(plug.name, plug.effective, &given).map_err(|error| layers.blame(error))?);
    }
    for plug in PROTOCOLS {
        let mut given = layers.section(plug.name);
        let enabled = given.remove(ENABLED).unwrap_or(true.into());
        if !enabled.is_bool() {
            let (key, why) = (format!("{}.{ENABLED}", plug.name), "expected true or false".to_owned());
            return Err(layers.blame(ConfigError { key, why }));
        }
        let mut section = read(plug.name, plug.effective, &given).map_err(|error| layers.blame(error))?;
        section.insert(ENABLED.to_owned(), enabled);
        add(plug.name, section);
    }
    Ok(all)
}

type Effective = fn(&Section) -> Result<Section, ConfigError>;

/// Where a section is wrong without saying which of its keys, the keys are tried one by one.
fn read(name: &str, effective: Effective, given: &Section) -> Result<Section, ConfigError> {
    effective(given).map_err(|error| {
        let one = |(key, value): (&String, &toml::Value)| Section::from_iter([(key.clone(), value.clone())]);
        let alone = || given.iter().map(one).find_map(|given| effective(&given).err());
        if error.key == name { alone().unwrap_or(error) } else { error }
    })
}

/// One section of several.
pub(crate) fn table(sections: &Section, name: &str) -> Section {
    sections.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default()
}

/// All sections as TOML, in the order of the example file.
pub(crate) fn print(effective: &Section) -> String {
    let one = |name: &str| Section::from_iter([(name.to_owned(), toml::Value::from(table(effective, name)))]);
    section_names().map(|name| one(name).to_string()).collect::<Vec<_>>().join("\n")
}

/// The known word that is likely meant.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;

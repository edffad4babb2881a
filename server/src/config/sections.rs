//! The sections that belong to no plug.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use switchboard_facade::{ConfigError, Section, Span, from_section, to_section};
use switchboard_registry::{Bounds, Brake, Options};

use super::nearest;
use crate::plugs::ENGINES;

/// A section of the server itself.
pub(super) struct OwnSection {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) example: &'static str,
    pub(super) effective: fn(&Section) -> Result<Section, ConfigError>,
}

pub(super) const SECTIONS: &[OwnSection] = &[
    OwnSection {
        name: "engine",
        about: "Where the records are kept.",
        example: r#"# `redb` keeps them in one file and survives power cuts; `memory` forgets them.
kind = "redb"
# The folder of the data. Made if it is missing; one registry at a time.
data_dir = "./switchboard-data"
"#,
        effective: |section| {
            let engine: EngineSection = from_section("engine", section)?;
            let known = || ENGINES.iter().map(|plug| plug.name);
            if known().any(|name| name == engine.kind) {
                return Ok(to_section(&engine));
            }
            let near = nearest(&engine.kind, known()).map(|near| format!("; did you mean `{near}`?"));
            let known: Vec<_> = known().collect();
            let (near, known) = (near.unwrap_or_default(), known.join(", "));
            Err(bad(
                "engine.kind",
                format!("there is no engine `{}`{near} Known engines: {known}", engine.kind),
            ))
        },
    },
    OwnSection {
        name: "registry",
        about: "How leases, mass loss and history are treated.",
        example: r#"# How often leases are looked at. An instance that fell silent is out within its TTL and one tick.
tick = "250ms"
# Where silence or failing probes would take out more than this share of all instances within a minute, and at
# least so many, the evidence is about the network: the excess keeps being served and is marked suspect.
brake_share = 0.15
brake_at_least = 10
# History that watches can resume from; "forever" keeps all of it.
keep_history = "1h"

# What is held in memory at most.
[registry.bounds]
# Writes waiting to be planned; one more is refused.
queue = 16384
# Writes that go to the disk together.
group = 1024
# Commits that live watchers can be behind without reading from the disk.
ring = 16384
# Commits that a resuming watch may be behind before it is told to start afresh.
catch_up = 100000
watches = 100000
# Instances whose state changes are remembered.
diary = 100000
"#,
        effective: |section| {
            let registry: RegistrySection = from_section("registry", section)?;
            registry.check()?;
            Ok(to_section(&registry))
        },
    },
    OwnSection {
        name: "log",
        about: "What is logged, to stderr.",
        example: r#"# `error`, `warn`, `info`, `debug` or `trace`; also by crate: "info,switchboard_registry=debug".
level = "info"
# `text` for people, `json` for programs.
format = "text"
"#,
        effective: |section| {
            let log: Log = from_section("log", section)?;
            match tracing_subscriber::EnvFilter::try_new(&log.level) {
                Ok(_) => Ok(to_section(&log)),
                Err(error) => Err(bad("log.level", format!("{:?} is no log level: {error}", log.level))),
            }
        },
    },
    OwnSection {
        name: "health",
        about: "How instances are probed.",
        example: switchboard_health::EXAMPLE,
        effective: |section| {
            from_section::<switchboard_health::Config>("health", section).map(|section| to_section(&section))
        },
    },
];

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EngineSection {
    pub(super) kind: String,
    pub(super) data_dir: PathBuf,
}

impl Default for EngineSection {
    fn default() -> EngineSection {
        EngineSection { kind: "redb".to_owned(), data_dir: "./switchboard-data".into() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Text,
    Json,
}

impl Default for Log {
    fn default() -> Log {
        Log { level: "info".to_owned(), format: Format::Text }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RegistrySection {
    tick: Span,
    brake_share: f64,
    brake_at_least: usize,
    keep_history: Keep,
    bounds: BoundsSection,
}

impl Default for RegistrySection {
    fn default() -> RegistrySection {
        let Options { tick, brake, keep_history, bounds } = Options::default();
        let Brake { share, at_least } = brake;
        let Bounds { queue, group, ring, catch_up, watches, diary } = bounds;
        RegistrySection {
            tick: Span(tick),
            brake_share: share,
            brake_at_least: at_least,
            keep_history: Keep(keep_history),
            bounds: BoundsSection { queue, group, ring, catch_up, watches, diary },
        }
    }
}

impl RegistrySection {
    pub(super) fn options(&self) -> Options {
        let BoundsSection { queue, group, ring, catch_up, watches, diary } = self.bounds;
        Options {
            tick: self.tick.0,
            brake: Brake { share: self.brake_share, at_least: self.brake_at_least },
            keep_history: self.keep_history.0,
            bounds: Bounds { queue, group, ring, catch_up, watches, diary },
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !(Duration::from_millis(10)..=Duration::from_secs(10)).contains(&self.tick.0) {
            return Err(bad("registry.tick", "expected a duration from 10ms to 10s"));
        }
        if !(0.0..=1.0).contains(&self.brake_share) {
            return Err(bad("registry.brake_share", "expected a share from 0.0 to 1.0"));
        }
        let BoundsSection { queue, group, ring, .. } = self.bounds;
        match [("queue", queue), ("group", group), ("ring", ring)].into_iter().find(|(_, bound)| *bound == 0)
        {
            Some((name, _)) => Err(bad(&format!("registry.bounds.{name}"), "expected at least 1")),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BoundsSection {
    queue: usize,
    group: usize,
    ring: usize,
    catch_up: usize,
    watches: usize,
    diary: usize,
}

impl Default for BoundsSection {
    fn default() -> BoundsSection {
        RegistrySection::default().bounds
    }
}

/// A duration, or `forever`.
#[derive(Clone, Copy, Debug)]
struct Keep(Option<Duration>);

const FOREVER: &str = "forever";

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(duration) => Span(duration).serialize(serializer),
            None => serializer.serialize_str(FOREVER),
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keep, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) if text == FOREVER => Ok(Keep(None)),
            value => {
                Span::deserialize(value).map(|span| Keep(Some(span.0))).map_err(serde::de::Error::custom)
            }
        }
    }
}

fn bad(key: &str, why: impl Into<String>) -> ConfigError {
    ConfigError { key: key.to_owned(), why: why.into() }
}

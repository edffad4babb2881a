//! How each engine is configured and opened. What can be said of all of them is an [`EnginePlug`].

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use switchboard_engine_memory::{HISTORY, Memory};
use switchboard_engine_redb::{Patience, Redb};
use switchboard_facade::{ConfigError, Section, from_section, to_section};
use switchboard_store::{Engine, StoreError, StoreErrorKind};

/// Says what lies in a folder that nobody runs on, and whether all of it was read to see that it makes sense; None:
/// nothing lies there. Blocks on the disk.
type Inspect = fn(&Path, verify: bool) -> Result<Option<String>, StoreError>;
type Open = fn(&Section, &Path) -> Result<Arc<dyn Engine>, StoreError>;

/// What an engine offers to the server.
pub(crate) struct EnginePlug {
    /// The word after `--engine`, and the section of the configuration.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The section with every key, its default and a comment.
    pub(crate) example: &'static str,
    /// The section with all defaults filled in, or what is wrong with it.
    pub(crate) effective: fn(&Section) -> Result<Section, ConfigError>,
    /// Opens the data in a folder. Blocks on the disk.
    pub(crate) open: Open,
    pub(crate) inspect: Inspect,
}

pub(crate) const REDB: EnginePlug = EnginePlug {
    name: "redb",
    about: "durable, in one file of the data folder",
    example: "\
# Memory for pages of the file, in bytes. Every record is in memory anyway, so this only serves writing.
cache_bytes = 4194304
# Memory for records that are durable in history and wait to be written among the others, in bytes. With more of it each
# page that is written takes more of them along, and registrations and puts cost less.
unsettled_bytes = 16777216
# Verify the whole file at start. Takes as long as reading all of it.
verify = false
",
    effective: |section| from_section::<RedbSection>("redb", section).map(|section| to_section(&section)),
    open: |section, folder| {
        let RedbSection { cache_bytes, unsettled_bytes, verify } = read(REDB.name, section)?;
        let patience = Patience { waiting: unsettled_bytes, ..Patience::default() };
        let options = switchboard_engine_redb::Options { cache_bytes, verify, patience };
        Ok(Arc::new(Redb::open(folder, options)?))
    },
    inspect: |folder, verify| {
        if !folder.join(switchboard_engine_redb::FILE_NAME).exists() {
            return Ok(None);
        }
        let found = switchboard_engine_redb::inspect(folder, verify)?;
        let (megabytes, records) = (found.bytes as f64 / 1e6, found.records);
        Ok(Some(format!(
            "format {}, {records} records at revision {}, {megabytes:.1} MB",
            found.format, found.head
        )))
    },
};

pub(crate) const MEMORY: EnginePlug = EnginePlug {
    name: "memory",
    about: "nothing survives the process",
    example: "\
# Commits that are kept as history.
history = 65536
",
    effective: |section| from_section::<MemorySection>("memory", section).map(|section| to_section(&section)),
    open: |section, _| {
        let MemorySection { history } = read(MEMORY.name, section)?;
        Ok(Arc::new(Memory::with_history(history)))
    },
    inspect: |_, _| Ok(None),
};

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RedbSection {
    cache_bytes: usize,
    unsettled_bytes: usize,
    verify: bool,
}

impl Default for RedbSection {
    fn default() -> RedbSection {
        let switchboard_engine_redb::Options { cache_bytes, verify, patience } = Default::default();
        RedbSection { cache_bytes, unsettled_bytes: patience.waiting, verify }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MemorySection {
    history: usize,
}

impl Default for MemorySection {
    fn default() -> MemorySection {
        MemorySection { history: HISTORY }
    }
}

fn read<T: serde::de::DeserializeOwned>(name: &str, section: &Section) -> Result<T, StoreError> {
    from_section(name, section)
        .map_err(|error| StoreError::permanent(StoreErrorKind::Closed, error.to_string()))
}

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use switchboard_model::Revision;
use tokio::sync::watch;

use crate::instance::Instance;
use crate::publisher::Publisher;
use crate::query::Query;
use crate::set::InstanceSet;
use crate::written::WrittenInstance;

/// No file is written more often than this.
const PAUSE: Duration = Duration::from_secs(1);

/// A folder that keeps the newest set of each query, so that a process which starts while no registry can be reached
/// knows whom to call. What comes from it is called stale until the registry is heard.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard_discover::{Freshness, LastKnownGood, Query, Shared, SharedOptions, Source};
/// # struct Asking(bool);
/// # #[async_trait::async_trait]
/// # impl switchboard_discover::Feed for Asking {
/// #     fn name(&self) -> &str { "asking" }
/// #     async fn follow(&self, _: &Query, publisher: &switchboard_discover::Publisher) -> switchboard_discover::FeedError {
/// #         if self.0 { publisher.publish([switchboard_discover::Instance::new("users", "a", "h", 1).unwrap()], 1); }
/// #         std::future::pending().await
/// #     }
/// # }
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let options = || SharedOptions {
///     last_known_good: Some(LastKnownGood::in_folder(folder)),
///     ..SharedOptions::default()
/// };
/// let query = Query::service("users")?;
/// # let (answers, hangs) = (Asking(true), Asking(false));
/// let source = Shared::with(answers, options());
/// assert!(source.watch(&query).ready().await.freshness.is_fresh());
/// # let mut updates = source.watch(&query); updates.ready().await;
/// # while folder.read_dir()?.all(|it| it.unwrap().path().extension().is_none_or(|it| it != "json")) {
/// #     tokio::time::sleep(std::time::Duration::from_millis(5)).await;
/// # }
/// // Another process, while the registry says nothing.
/// let kept = Shared::with(hangs, options()).watch(&query).ready().await;
/// assert_eq!(kept.instances.len(), 1);
/// assert!(matches!(kept.freshness, Freshness::Stale { .. }));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct LastKnownGood {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Of this form; a file of another form is not read.
    form: u32,
    query: String,
    /// Milliseconds since 1970.
    saved_at_ms: u64,
    revision: u64,
    instances: Vec<WrittenInstance>,
}

const FORM: u32 = 1;

impl LastKnownGood {
    /// Keeps them in this folder, which is made when it is needed. Several processes may share it.
    pub fn in_folder(folder: impl Into<PathBuf>) -> LastKnownGood {
        LastKnownGood { folder: folder.into() }
    }

    /// Writes the set down whenever it has changed and the registry vouches for it.
    pub(crate) async fn keep(self, query: Query, mut sets: watch::Receiver<InstanceSet>) {
        while sets.changed().await.is_ok() {
            let set = sets.borrow_and_update().clone();
            if !set.freshness.is_fresh() {
                continue;
            }
            let (keeper, query) = (self.clone(), query.clone());
            let written = tokio::task::spawn_blocking(move || keeper.write(&query, &set)).await;
            if let Ok(Err(error)) = written {
                let folder = self.folder.display();
                tracing::warn!(target: "switchboard::discover", %error, %folder, "the last known good could not be kept");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Publishes what an earlier process has kept.
    pub(crate) async fn restore(&self, query: &Query, publisher: &Publisher, source: &str) {
        let path = self.path(query);
        let wanted = said(query);
        let shown = path.display().to_string();
        let read = tokio::task::spawn_blocking(move || read(&path, &wanted)).await;
        match read {
            Ok(Ok(Some(kept))) => {
                let cause = format!("from {shown}; no answer from {source} yet");
                publisher.restore(kept.instances, kept.revision, kept.saved_at, &cause);
            }
            Ok(Ok(None)) => {}
            Ok(Err(why)) => {
                tracing::warn!(target: "switchboard::discover", file = shown, why, "the last known good cannot be read");
            }
            Err(error) => {
                tracing::warn!(target: "switchboard::discover", %error, "the last known good cannot be read")
            }
        }
    }

    fn write(&self, query: &Query, set: &InstanceSet) -> std::io::Result<()> {
        let page = Page {
            form: FORM,
            query: said(query),
            saved_at_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            revision: set.revision.0,
            instances: set.instances.iter().map(|instance| WrittenInstance::of(instance)).collect(),
        };
        std::fs::create_dir_all(&self.folder)?;
        let path = self.path(query);
        // Beside it and under a name of this process, so that the file is always whole, whoever else writes it.
        let aside = path.with_extension(format!("{}.tmp", std::process::id()));
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(&aside)?;
            file.write_all(&serde_json::to_vec(&page)?)?;
            file.sync_all()?;
            std::fs::rename(&aside, &path)
        };
        write().inspect_err(|_| drop(std::fs::remove_file(&aside)))?;
        // The name too has to be on the disk.
        std::fs::File::open(&self.folder)?.sync_all()
    }

    fn path(&self, query: &Query) -> PathBuf {
        let mut name = String::new();
        for character in query.service.service.folded().chars().take(80) {
            let plain = character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
            name.push(if plain { character } else { '_' });
        }
        // Names that are written alike, and other tags of the same service, have files of their own.
        let _ = write!(name, "-{:016x}.json", fnv(said(query).as_bytes()));
        self.folder.join(name)
    }
}

fn said(query: &Query) -> String {
    let service = &query.service;
    let tags: Vec<&str> = query.tags.iter().map(|tag| &**tag).collect();
    format!(
        "{}/{}{}{}",
        service.namespace.folded(),
        service.service.folded(),
        tags.iter().map(|tag| format!(" tag {tag:?}")).collect::<String>(),
        if query.with_unhealthy { " with unhealthy" } else { "" }
    )
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

struct Kept {
    instances: Vec<Instance>,
    revision: Revision,
    saved_at: SystemTime,
}

fn read(path: &Path, query: &str) -> Result<Option<Kept>, String> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let page: Page = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    if page.form != FORM || page.query != query {
        return Err(format!("is of form {} and about {}", page.form, page.query));
    }
    let instances = page.instances.into_iter().map(WrittenInstance::read).collect::<Result<_, _>>();
    Ok(Some(Kept {
        instances: instances.map_err(|rejection| rejection.to_string())?,
        revision: Revision(page.revision),
        saved_at: UNIX_EPOCH + Duration::from_millis(page.saved_at_ms),
    }))
}

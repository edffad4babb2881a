use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use crate::feed::{Feed, FeedError, Shared};
use crate::instance::Instance;
use crate::publisher::Publisher;
use crate::query::Query;
use crate::written::WrittenInstance;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// A source that reads a file, and reads it again when it changes. It looks every second.
///
/// ```json
/// {"instances": [
///   {"service": "user-service", "host": "10.0.0.1", "port": 8080},
///   {"service": "user-service", "host": "10.0.0.2", "port": 8080,
///    "id": "b", "weight": 5, "zone": "eu-1", "tags": ["v2"], "metadata": {"version": "2.0"}}
/// ]}
/// ```
///
/// A file that cannot be read or makes no sense changes nothing: the instances stay as they are, and are called stale.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard_discover::{File, Query, Source};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("instances.json");
/// std::fs::write(&path, r#"{"instances": [{"service": "users", "host": "10.0.0.1", "port": 80}]}"#)?;
/// let mut users = File::open(&path).watch(&Query::service("users")?);
/// assert_eq!(users.ready().await.instances[0].authority().unwrap(), "10.0.0.1:80");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    name: String,
    look_every: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    instances: Vec<WrittenInstance>,
}

impl File {
    /// A source of the services in this file.
    pub fn open(path: impl Into<PathBuf>) -> Shared<File> {
        File::looking_every(path, Duration::from_secs(1))
    }

    /// One that looks more or less often.
    pub fn looking_every(path: impl Into<PathBuf>, look_every: Duration) -> Shared<File> {
        let path = path.into();
        let name = format!("file {}", path.display());
        Shared::new(File { path, name, look_every })
    }
}

#[async_trait]
impl Feed for File {
    fn name(&self) -> &str {
        &self.name
    }

    async fn follow(&self, query: &Query, publisher: &Publisher) -> FeedError {
        let mut seen: Option<Vec<u8>> = None;
        for revision in 1.. {
            let path = self.path.clone();
            let read = tokio::task::spawn_blocking(move || read(&path)).await;
            let bytes = match read {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(error)) => return FeedError::new(format!("{}: {error}", self.name)),
                Err(error) => return FeedError::new(error),
            };
            if seen.as_ref() != Some(&bytes) {
                match parse(&bytes) {
                    Ok(instances) => publisher.publish(instances, revision),
                    Err(why) => return FeedError::new(format!("{}: {why}", self.name)),
                }
                seen = Some(bytes);
            }
            tokio::time::sleep(self.look_every).await;
        }
        FeedError::new(format!("{}: {query:?} has no end", self.name))
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_BYTES {
        return Err(std::io::Error::other(format!("is {size} bytes long; at most {MAX_BYTES} are read")));
    }
    std::fs::read(path)
}

fn parse(bytes: &[u8]) -> Result<Vec<Instance>, String> {
    let contents: Contents = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let read = |(place, written): (usize, WrittenInstance)| {
        written.read().map_err(|rejection| format!("instances[{place}]: {rejection}"))
    };
    contents.instances.into_iter().enumerate().map(read).collect()
}

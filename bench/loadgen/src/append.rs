//! The bare disk: append a group of records, wait until they are durable, again. No registry that acknowledges
//! only what is durable can be faster than this at the same group size.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Records a second, in groups of one record per connection: a group commit cannot gather more, since every
/// connection waits for its answer.
pub(crate) fn append_and_sync(dir: &Path, record: &[u8], group: usize, length: Duration) -> Result<f64> {
    let path = dir.join("bare-append");
    let mut file = File::create(&path).context("make the bare file")?;
    let mut records: u64 = 0;
    let mut bytes = Vec::with_capacity(record.len() * group);
    let begin = Instant::now();
    while begin.elapsed() < length {
        bytes.clear();
        for _ in 0..group {
            bytes.extend_from_slice(record);
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        records += group as u64;
    }
    let per_second = records as f64 / begin.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(per_second)
}

//! The facts without which the numbers mean nothing.

use std::fs::read_to_string;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    memory_mb: u64,
    file_system: String,
    load_average_before: String,
}

impl Machine {
    /// `dir` is where the registry will keep its data.
    pub(crate) fn look(dir: &Path) -> Result<Self> {
        let processor = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = read_to_string("/proc/meminfo").unwrap_or_default();
        let memory_kib = after(&memory, "MemTotal:").trim_end_matches(" kB").parse().unwrap_or(0);
        let load = read_to_string("/proc/loadavg").unwrap_or_default();
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: after(&processor, "model name").trim_start_matches([':', ' ']).to_owned(),
            kernel: read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            memory_mb: memory_kib * 1024 / 1_000_000,
            file_system: file_system(dir)?.to_owned(),
            load_average_before: load.split_whitespace().next().unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "{} cores ({}), {} MB, Linux {}, data on {}, load average before: {}",
            self.cores,
            self.processor,
            self.memory_mb,
            self.kernel,
            self.file_system,
            self.load_average_before
        )
    }

    /// On a file system in memory an fsync costs nothing and the durable rows say nothing.
    pub(crate) fn is_durable(&self) -> bool {
        self.file_system != TMPFS
    }
}

const TMPFS: &str = "tmpfs";

fn file_system(dir: &Path) -> Result<&'static str> {
    Ok(match rustix::fs::statfs(dir)?.f_type {
        0xef53 => "ext4",
        0x0102_1994 => TMPFS,
        0x5846_5342 => "xfs",
        0x794c_7630 => "overlayfs",
        0x9123_683e => "btrfs",
        _ => "another file system",
    })
}

fn after<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

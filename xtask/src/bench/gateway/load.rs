use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

/// What the load generator saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    pub(super) rate: f64,
    pub(super) requests: f64,
    /// In milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) errors: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { rate, p50, p99, p999, errors, .. } = self;
        write!(f, "{rate:.0} req/s, p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, {errors} errors")
    }
}

/// What the processes of a peer used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) rss: u64,
}

impl Usage {
    pub(super) fn since(self, before: &Usage) -> Usage {
        Usage { cpu: self.cpu.saturating_sub(before.cpu), rss: self.rss }
    }

    /// Of a process and its children.
    pub(super) fn of(pid: u32) -> anyhow::Result<Usage> {
        let mut usage = Usage::default();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(of) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            // The name before it may hold anything.
            let Some((_, rest)) = stat.rsplit_once(')') else { continue };
            let fields: Vec<u64> = rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
            let field = |n: usize| fields.get(n).copied().unwrap_or(0);
            if of == pid || field(1) == u64::from(pid) {
                // Ticks of 10 ms, pages of 4 KiB.
                usage.cpu += Duration::from_millis((field(11) + field(12)) * 10);
                usage.rss += field(21) * 4096;
            }
        }
        Ok(usage)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s of CPU, {} MB", self.cpu.as_secs_f64(), self.rss >> 20)
    }
}

const REPORT: &str = r#"
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %f %f %f %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

pub(super) fn run(
    folder: &Path,
    port: u16,
    path: &str,
    connections: u32,
    long: Duration,
) -> anyhow::Result<Measured> {
    let script = folder.join("report.lua");
    std::fs::write(&script, REPORT)?;
    let mut wrk = Command::new("wrk");
    wrk.arg("-t2").arg(format!("-c{connections}")).arg(format!("-d{}s", long.as_secs().max(1)));
    let output = wrk.arg("-s").arg(&script).arg(format!("http://127.0.0.1:{port}{path}")).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let result = text.lines().find_map(|line| line.strip_prefix("RESULT ")).with_context(|| text.clone())?;
    let numbers: Vec<f64> = result.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let &[requests, micros, p50, p99, p999, errors] = numbers.as_slice() else { anyhow::bail!("{result}") };
    Ok(Measured {
        rate: requests / micros * 1e6,
        requests,
        p50: p50 / 1e3,
        p99: p99 / 1e3,
        p999: p999 / 1e3,
        errors,
    })
}

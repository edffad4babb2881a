//! A process this program started: what it costs, and its end. Only what was started here is ever signalled.

use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal};

/// The processes to end when this program is interrupted; a pid leaves the list before it is reaped.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

pub(crate) struct Process {
    child: Child,
    pid: Pid,
    ended: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident_bytes: u64,
    pub(crate) peak_bytes: u64,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        end_children_when_interrupted();
        let child = command.spawn().with_context(|| format!("start {}", command.get_program().display()))?;
        let pid = Pid::from_child(&child);
        running(|list| list.push(pid));
        Ok(Self { child, pid, ended: false })
    }

    /// Processor time of all its threads until now. The kernel counts in ticks of 10 ms.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.proc_file("stat")?;
        // The name in parentheses may contain anything; the numbers begin after the last of them.
        let (_, numbers) = stat.rsplit_once(')').context("an unknown /proc/PID/stat")?;
        let mut numbers = numbers.split_whitespace().skip(11);
        let mut ticks = || -> Result<u64> { Ok(numbers.next().context("a short /proc/PID/stat")?.parse()?) };
        let (user, system) = (ticks()?, ticks()?);
        Ok(Duration::from_secs_f64((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = self.proc_file("status")?;
        let bytes = |field: &str| -> Result<u64> {
            let line =
                status.lines().find_map(|line| line.strip_prefix(field)).context("no memory figure")?;
            let kib: u64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
            Ok(kib * 1024)
        };
        Ok(Memory { resident_bytes: bytes("VmRSS")?, peak_bytes: bytes("VmHWM")? })
    }

    pub(crate) fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// SIGTERM, and SIGKILL for one that does not listen.
    pub(crate) fn stop(mut self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(15);
        rustix::process::kill_process(self.pid, Signal::TERM)?;
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if self.has_ended()?.is_some() {
                self.forget();
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end_now()?;
        bail!("it did not end within {PATIENCE:?} of SIGTERM");
    }

    /// SIGKILL: the process learns nothing of it.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.end_now()
    }

    fn end_now(&mut self) -> Result<()> {
        self.forget();
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn forget(&mut self) {
        self.ended = true;
        running(|list| list.retain(|pid| *pid != self.pid));
    }

    fn proc_file(&self, name: &str) -> Result<String> {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.pid)).context("the process is gone")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.end_now();
        }
    }
}

/// 10,000 streams need more descriptors than the usual soft limit. Children inherit what is set here.
pub(crate) fn raise_descriptor_limit() -> Result<u64> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// A child must not outlive an interrupted benchmark: it would hold its cores under the next one.
fn end_children_when_interrupted() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::thread::spawn(|| {
            if wait_for_interruption().is_ok() {
                running(|list| {
                    for pid in list.iter() {
                        let _ = rustix::process::kill_process(*pid, Signal::KILL);
                    }
                });
                crate::common::remove_scratch();
                std::process::exit(130);
            }
        });
    });
}

fn wait_for_interruption() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => {}
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
        Ok(())
    })
}

fn running<T>(change: impl FnOnce(&mut Vec<Pid>) -> T) -> T {
    change(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
}

use std::time::Duration;

use crate::brake::Brake;

/// How the registry behaves. Every number here has a default that suits one machine.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often leases are looked at. A lapsed instance is out within its TTL and one tick.
    pub tick: Duration,
    pub brake: Brake,
    /// History older than this is compacted; None keeps all of it.
    pub keep_history: Option<Duration>,
    pub bounds: Bounds,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tick: Duration::from_millis(250),
            brake: Brake::default(),
            keep_history: Some(Duration::from_secs(3600)),
            bounds: Bounds::default(),
        }
    }
}

/// What is held in memory at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Writes waiting to be planned; one more is refused as overloaded.
    pub queue: usize,
    /// Plans written with one fsync.
    pub group: usize,
    /// Commits that live watchers can be behind without reading from the engine.
    pub ring: usize,
    /// Commits that a resuming watch may be behind before it is told to start afresh.
    pub catch_up: usize,
    pub watches: usize,
    /// Instances whose state changes are remembered.
    pub diary: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            queue: 16_384,
            group: 1024,
            ring: 16_384,
            catch_up: 100_000,
            watches: 100_000,
            diary: 100_000,
        }
    }
}

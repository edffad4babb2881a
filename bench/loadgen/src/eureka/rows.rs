//! The rows of the HTTP API, all at 64 connections, by a server that has been warmed up with the same.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::servers::{Place, Running, Side};
use super::words::{APP_SIZE, Fetch, app_of, heartbeat, register};
use super::{Group, Setup, visible};
use crate::common::{Each, around, measured};
use crate::compared::{Compared, Turns, in_turns};
use crate::load::{Extent, Scripts};
use crate::table::thousands;

/// How far back a delta reaches.
const DELTA_WINDOW: Duration = Duration::from_secs(180);
/// Of one kind of request after the other, long enough that a busy disk answers in it.
const WARM: Duration = Duration::from_secs(2);
const ALL: &str = "/eureka/apps";
const DELTA: &str = "/eureka/apps/delta";

/// Both servers with the same instances.
pub(super) struct Warm {
    pub(super) registry: Running,
    pub(super) eureka: Running,
    instances: u64,
    /// How often all instances have been registered anew.
    version: u64,
}

impl Warm {
    pub(super) fn start(setup: &Setup) -> Result<Warm> {
        let warm = Warm {
            registry: setup.start(Side::Registry, "warm", &Place::alone()?)?,
            eureka: setup.start(Side::Eureka, "warm", &Place::alone()?)?,
            instances: setup.scaled(1000),
            version: 0,
        };
        warm.fill(setup, 0)?;
        warm.run(setup, setup.warm_up, true)?;
        Ok(warm)
    }

    /// All that is measured later, again and again.
    fn run(&self, setup: &Setup, length: Duration, with_writes: bool) -> Result<()> {
        let begin = Instant::now();
        let mut turn = 0;
        while begin.elapsed() < length {
            for scripts in self.everything(with_writes) {
                let extent = Extent::Window { warm_up: Duration::ZERO, length: WARM };
                // The registry needs none of it; a seventh is enough to fill its caches.
                if turn % 7 == 0 {
                    self.registry.load(setup, scripts.clone(), extent)?;
                }
                self.eureka.load(setup, scripts, extent)?;
            }
            turn += 1;
        }
        Ok(())
    }

    fn fill(&self, setup: &Setup, version: u64) -> Result<()> {
        for server in [&self.registry, &self.eureka] {
            server.fill(setup, self.instances, move |n| register("crowd", n, version))?;
        }
        Ok(())
    }

    fn everything(&self, with_writes: bool) -> Vec<Scripts> {
        let reads = Fetch::ALL.into_iter().flat_map(|fetch| [fetch.request(ALL), fetch.request(DELTA)]);
        let mut all = vec![around(reads.collect()), self.app(), self.heartbeats()];
        if with_writes {
            all.push(self.same_again());
        }
        all
    }

    fn heartbeats(&self) -> Scripts {
        around((0..self.instances).map(|n| heartbeat("crowd", n)).collect())
    }

    fn same_again(&self) -> Scripts {
        around((0..self.instances).map(|n| register("crowd", n, self.version)).collect())
    }

    fn app_path(&self) -> String {
        format!("{ALL}/{}", app_of("crowd", self.instances / 2).to_ascii_uppercase())
    }

    fn app(&self) -> Scripts {
        around(vec![Fetch::PLAIN.request(&self.app_path())])
    }

    pub(super) fn rows(mut self, setup: &Setup) -> Vec<Compared> {
        let mut rows = Vec::new();
        if setup.wants(Group::Visible) {
            rows.push(visible::row(setup, &self));
        }
        self.version = 1;
        if let Err(error) = self.refill(setup) {
            return vec![Compared::failed("to change every instance", &error)];
        }
        if setup.wants(Group::Delta) {
            rows.extend(Fetch::ALL.map(|fetch| self.fetch(setup, DELTA, "delta", fetch)));
        }
        if setup.wants(Group::Full) {
            rows.extend(Fetch::ALL.map(|fetch| self.fetch(setup, ALL, "full fetch", fetch)));
        }
        if setup.wants(Group::App) {
            let name = format!("one application of {APP_SIZE}, JSON");
            rows.push(measured(&name, || {
                for server in [&self.registry, &self.eureka] {
                    ensure!(
                        server.count(&self.app_path(), Fetch::PLAIN)? == APP_SIZE as usize,
                        "not all are there"
                    );
                }
                Ok(Compared::rate(&name, self.turns(setup, &self.app())?))
            }));
        }
        if setup.wants(Group::Heartbeat) {
            let name = format!("heartbeat, {} instances", thousands(self.instances as f64));
            rows.push(measured(&name, || Ok(Compared::rate(&name, self.turns(setup, &self.heartbeats())?))));
        }
        if setup.wants(Group::Register) {
            rows.push(self.register_same(setup));
            rows.push(self.register_distinct(setup));
        }
        rows
    }

    /// Until every instance has changed within the window of a delta, and nothing else has.
    fn refill(&self, setup: &Setup) -> Result<()> {
        if !setup.quick && setup.wants(Group::Delta) {
            self.run(setup, DELTA_WINDOW + Duration::from_secs(35), false)?;
        }
        self.fill(setup, self.version)?;
        for server in [&self.registry, &self.eureka] {
            server.wait_for(DELTA, Fetch::PLAIN, |shown| shown as u64 >= self.instances)?;
        }
        Ok(())
    }

    fn fetch(&self, setup: &Setup, path: &str, what: &str, fetch: Fetch) -> Compared {
        let name = format!("{what} of {} instances, {fetch}", thousands(self.instances as f64));
        measured(&name, || {
            let mut bytes = Vec::new();
            for server in [&self.registry, &self.eureka] {
                // It is kept for half a minute in each dialect, and what is packed is the same.
                server.wait_for(path, Fetch { is_packed: false, ..fetch }, |shown| {
                    shown as u64 >= self.instances
                })?;
                let reply = server.send(&fetch.request(path))?;
                bytes.push(thousands(reply.body.len() as f64));
            }
            let turns = self.turns(setup, &around(vec![fetch.request(path)]))?;
            Ok(Compared::rate(&name, turns).note(format!("bodies of {} bytes", bytes.join(" and "))))
        })
    }

    fn register_same(&self, setup: &Setup) -> Compared {
        const NAME: &str = "register, identical";
        measured(NAME, || Ok(Compared::rate(NAME, self.turns(setup, &self.same_again())?)))
    }

    fn register_distinct(&self, setup: &Setup) -> Compared {
        const NAME: &str = "register, distinct";
        measured(NAME, || {
            // Shared by all rounds on both servers: none of them sees an instance twice.
            let counter = Arc::new(AtomicU64::new(0));
            let scripts: Scripts = Arc::new(move |_| {
                let counter = Arc::clone(&counter);
                Box::new(Each { counter, limit: u64::MAX, request: |n| register("new", n, 0) })
            });
            let turns = self.turns(setup, &scripts)?;
            let note = "the registry answers when it is durable, Eureka when it is in memory";
            Ok(Compared::rate(NAME, turns).note(note.to_owned()))
        })
    }

    fn turns(&self, setup: &Setup, scripts: &Scripts) -> Result<Turns> {
        let length = setup.window();
        let extent = Extent::Window { warm_up: Duration::from_millis(500), length };
        in_turns(
            setup.rounds(),
            || self.registry.load(setup, scripts.clone(), extent),
            || self.eureka.load(setup, scripts.clone(), extent),
        )
        .context("in turns")
    }
}

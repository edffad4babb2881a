//! The rows of the HTTP API, all at 64 connections.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Result;

use super::Setup;
use super::pair::Pair;
use super::servers::Running;
use super::words::{self, SERVICE_SIZE, agent_register, catalog_register, id_of, service_of};
use crate::common::{Each, around, measured};
use crate::compared::Compared;
use crate::load::Scripts;
use crate::requests;
use crate::table::thousands;

const CONNECTIONS: usize = 64;
/// 36 bytes, as in the benchmark that Consul published itself.
const VALUE: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

fn nothing(_: &Running) -> Result<()> {
    Ok(())
}

pub(super) fn health(setup: &Setup) -> Vec<Compared> {
    const NAME: &str = "health/service?passing, 10 instances";
    let path = format!("/v1/health/service/{}?passing", service_of("crowd", 500));
    vec![measured(NAME, || {
        let pair = Pair::start(setup, "health", |running| {
            running.fill(setup, 1000, |n| catalog_register("crowd", n))?;
            running.expect(&path, SERVICE_SIZE as usize).map(drop)
        })?;
        let bytes = (pair.registry.get(&path)?.body.len(), pair.consul.get(&path)?.body.len());
        let turns = pair.load(setup, CONNECTIONS, &around(vec![requests::get(&path)]))?;
        pair.stop()?;
        Ok(Compared::rate(NAME, turns).note(format!("bodies of {} and {} bytes", bytes.0, bytes.1)))
    })]
}

pub(super) fn services(setup: &Setup) -> Vec<Compared> {
    const PATH: &str = "/v1/catalog/services";
    let services = setup.scaled(1000);
    let name = format!("catalog/services, {} services", thousands(services as f64));
    vec![measured(&name, || {
        let pair = Pair::start(setup, "services", |running| {
            running.fill(setup, services * SERVICE_SIZE, |n| catalog_register("crowd", n))?;
            running.expect(PATH, services as usize + 1).map(drop)
        })?;
        let turns = pair.load(setup, CONNECTIONS, &around(vec![requests::get(PATH)]))?;
        pair.stop()?;
        Ok(Compared::rate(&name, turns))
    })]
}

pub(super) fn register(setup: &Setup) -> Vec<Compared> {
    const DISTINCT: &str = "agent register, distinct";
    const IDENTICAL: &str = "agent register, identical";
    vec![
        measured(DISTINCT, || {
            let pair = Pair::start(setup, "distinct", nothing)?;
            // Shared by all rounds on both servers: none of them sees an instance twice.
            let counter = Arc::new(AtomicU64::new(0));
            let scripts: Scripts = Arc::new(move |_| {
                let counter = Arc::clone(&counter);
                Box::new(Each { counter, limit: u64::MAX, request: |n| agent_register("new", n, 0) })
            });
            let turns = pair.load(setup, CONNECTIONS, &scripts)?;
            pair.stop()?;
            Ok(Compared::rate(DISTINCT, turns).note("each acknowledged when it is durable".to_owned()))
        }),
        measured(IDENTICAL, || {
            let pair = Pair::start(setup, "identical", |running| {
                running.fill(setup, 64, |n| agent_register("same", n, 0)).map(drop)
            })?;
            let requests = (0..64).map(|n| agent_register("same", n, 0)).collect();
            let turns = pair.load(setup, CONNECTIONS, &around(requests))?;
            pair.stop()?;
            Ok(Compared::rate(IDENTICAL, turns).note("64 instances, registered again as they are".to_owned()))
        }),
    ]
}

pub(super) fn kv(setup: &Setup) -> Vec<Compared> {
    fn put(n: u64) -> Vec<u8> {
        words::put(&format!("/v1/kv/bench/{}", n % 1000), VALUE)
    }
    const PUT: &str = "KV put, 36 bytes, 1,000 keys";
    const GET: &str = "KV get, 36 bytes, 1,000 keys";
    vec![
        measured(PUT, || {
            let pair = Pair::start(setup, "kv-put", nothing)?;
            // What is there already is not written again, so every put says something new.
            let counter = Arc::new(AtomicU64::new(0));
            let scripts: Scripts = Arc::new(move |_| {
                let counter = Arc::clone(&counter);
                let request = |n| words::put(&format!("/v1/kv/bench/{}", n % 1000), &format!("{n:036}"));
                Box::new(Each { counter, limit: u64::MAX, request })
            });
            let turns = pair.load(setup, CONNECTIONS, &scripts)?;
            pair.stop()?;
            Ok(Compared::rate(PUT, turns).note("each acknowledged when it is durable".to_owned()))
        }),
        measured(GET, || {
            let pair = Pair::start(setup, "kv-get", |running| running.fill(setup, 1000, put).map(drop))?;
            let requests = (0..1000).map(|n| requests::get(&format!("/v1/kv/bench/{n}"))).collect();
            let turns = pair.load(setup, CONNECTIONS, &around(requests))?;
            pair.stop()?;
            Ok(Compared::rate(GET, turns))
        }),
    ]
}

pub(super) fn ttl(setup: &Setup) -> Vec<Compared> {
    const NAME: &str = "TTL check pass, 100 checks";
    vec![measured(NAME, || {
        let pair = Pair::start(setup, "ttl", |running| {
            running.fill(setup, 100, |n| agent_register("beating", n, 0)).map(drop)
        })?;
        let pass = |n| words::put(&format!("/v1/agent/check/pass/service:{}", id_of("beating", n)), "");
        let turns = pair.load(setup, CONNECTIONS, &around((0..100).map(pass).collect()))?;
        pair.stop()?;
        Ok(Compared::rate(NAME, turns))
    })]
}

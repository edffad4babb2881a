//! How long after a registration the first request arrives.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::peers::Peer;
use super::site::{Site, ask};

const REGISTRATIONS: usize = 200;

pub(super) fn run(ours: &Peer, site: &Site) -> anyhow::Result<()> {
    let registry = ours.registry.context("nobody registers there")?;
    let [to, ..] = site.ports;
    let (mut whole, mut after, mut early) = (Vec::new(), Vec::new(), 0);
    for i in 0..REGISTRATIONS {
        let body = format!(r#"{{"service":"fresh{i}","host":"127.0.0.1","port":{to}}}"#);
        let began = Instant::now();
        let status = ask(registry, "POST", "/v1/register", &body)?;
        ensure!(status == 200, "registering was answered with {status}");
        let registered = Instant::now();
        while ask(ours.port, "GET", &format!("/fresh{i}/"), "")? != 200 {
            early += 1;
        }
        whole.push(began.elapsed());
        after.push(registered.elapsed());
    }
    println!(
        "\n{REGISTRATIONS} registrations, each followed by requests on new connections until one arrives:"
    );
    println!(
        "  from sending the registration to the answer of the first request that arrives: {}",
        spread(&mut whole)
    );
    println!(
        "  from the answer to the registration:                                          {}",
        spread(&mut after)
    );
    println!("  requests that came too early: {early}");
    Ok(())
}

fn spread(all: &mut [Duration]) -> String {
    all.sort();
    let at = |share: f64| {
        all.get(((all.len() as f64 - 1.0) * share) as usize).map_or(0.0, |d| d.as_secs_f64() * 1e3)
    };
    format!("p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms", at(0.5), at(0.99), at(1.0))
}

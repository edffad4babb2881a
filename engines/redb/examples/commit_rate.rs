//! Registrations per second through the engine alone, with one fsynced commit per batch, on top of records that are
//! there already. A registration writes an instance and the lease it lives by, and expects both to be new.
//!
//! ```text
//! cargo run --release -p switchboard-engine-redb --example commit_rate -- [records, 100000] [directory]
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a data path")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard_engine_redb::{Options, Redb};
use switchboard_model::{
    Annex, Id, Instance, InstanceKey, Lease, LeaseId, Lifecycle, Metadata, Name, OnExpiry, Port, Record,
    Standing, Tags,
};
use switchboard_store::{Engine, Expectation, Plan};

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TIME: Duration = Duration::from_secs(3);

/// Instances are always scattered over their services. Leases that are numbered in order share pages.
#[derive(Clone, Copy, Debug)]
enum Leases {
    InOrder,
    Scattered,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let records: u64 = args.next().map_or(100_000, |text| text.parse().unwrap());
    let dir = args.next().map_or_else(|| std::env::temp_dir().join("switchboard-commit-rate"), PathBuf::from);
    for leases in [Leases::InOrder, Leases::Scattered] {
        println!("leases {leases:?}");
        let _ = std::fs::remove_dir_all(&dir);
        measure(&dir, records, leases).await;
    }
    let _ = std::fs::remove_dir_all(&dir);
}

async fn measure(dir: &Path, records: u64, leases: Leases) {
    let engine = Redb::open(dir, Options::default()).unwrap();
    let mut next = 0;
    let began = Instant::now();
    while next < records / 2 {
        commit(&engine, &mut next, 1000, leases).await;
    }
    println!("  {records} records there already, written in {:.1?}", began.elapsed());

    for batch in [500, 64, 1] {
        let first = next;
        let mut busy = Duration::ZERO;
        let mut slowest = Duration::ZERO;
        let mut commits = 0_u32;
        while busy < TIME {
            let took = commit(&engine, &mut next, batch, leases).await;
            busy += took;
            slowest = slowest.max(took);
            commits += 1;
        }
        let rate = (next - first) as f64 / busy.as_secs_f64();
        let each = busy / commits;
        println!(
            "  batch {batch:>4}: {rate:>8.0} registrations/s, {each:.2?} per commit, slowest {slowest:.2?}"
        );
    }

    let began = Instant::now();
    let head = engine.barrier().await.unwrap();
    engine.compact(head).await.unwrap();
    println!("  history of {head} commits compacted in {:.2?}", began.elapsed());
    engine.close().await.unwrap();
    drop(engine);
    let began = Instant::now();
    let engine = Redb::open(dir, Options::default()).unwrap();
    let opened = began.elapsed();
    let began = Instant::now();
    let loaded = engine.load().await.unwrap().records.len();
    println!("  opened again in {opened:.2?}, {loaded} records loaded in {:.2?}", began.elapsed());
    println!("  the file has {} MiB", std::fs::metadata(engine.path()).unwrap().len() >> 20);
}

/// How long the engine took, without making the plans.
async fn commit(engine: &Redb, next: &mut u64, batch: u64, leases: Leases) -> Duration {
    let plans = (*next..*next + batch).map(|number| registration(number, leases)).collect();
    *next += batch;
    let began = Instant::now();
    for answer in engine.commit(plans).await {
        answer.unwrap();
    }
    began.elapsed()
}

fn registration(number: u64, leases: Leases) -> Plan {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let lease = LeaseId(match leases {
        Leases::InOrder => number + 1,
        Leases::Scattered => mixed | 1,
    });
    let instance = Instance {
        key: Arc::new(InstanceKey {
            namespace: Name::default_namespace(),
            service: Name::parse("service", &format!("service-{:03}", mixed >> 40 & 0xff)).unwrap(),
            node: Some(Name::parse("node", &format!("node-{:04}", mixed >> 20 & 0x3ff)).unwrap()),
            id: Id::parse("id", &format!("i-{mixed:016x}")).unwrap(),
        }),
        address: format!("10.{}.{}.{}", number >> 16 & 0xff, number >> 8 & 0xff, number & 0xff).into(),
        ports: [Port { name: "".into(), number: 8080 }].into(),
        tags: Tags::new(["blue".into(), "api".into()]).unwrap(),
        metadata: Metadata::new([("version".into(), "1.4.2".into()), ("team".into(), "payments".into())])
            .unwrap(),
        weight: 1,
        warning_weight: None,
        zone: Some("eu-central-1a".into()),
        lifecycle: Lifecycle::Up,
        lease: Some(lease),
        origin: "consul".into(),
        annex: Annex::default(),
    };
    let lease = Lease {
        id: lease,
        ttl: Duration::from_secs(30),
        on_expiry: OnExpiry::Lapse { linger: Duration::from_secs(60) },
        implicit: true,
        standing: Standing::Live,
    };
    let mut plan = Plan { at_ms: number, ..Plan::default() };
    for record in [Record::Instance(instance), Record::Lease(lease)] {
        plan.expects.push(Expectation { key: record.key(), modified: None });
        plan.put(record);
    }
    plan
}

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use switchboard_health::Config;
use switchboard_model::{Probe, Target};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_checks_are_spread_over_their_interval() {
    const CHECKS: usize = 2000;
    const INTERVAL: Duration = Duration::from_secs(2);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let probes: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = probes.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            seen.lock().push(Instant::now());
        }
    });
    let (registry, _) = start(&Config::default());
    registry.loaded().await.unwrap();
    let mut asks = JoinSet::new();
    for i in 0..CHECKS {
        let (registry, probe) = (registry.clone(), Probe::Tcp { target: Target::default() });
        let ask = register(&format!("i{i}"), address, check(probe, INTERVAL));
        asks.spawn(async move { registry.submit(&TEST, ask).await.unwrap() });
    }
    asks.join_all().await;
    let registered = Instant::now();
    // The first round has ended by then.
    let from = registered + INTERVAL + INTERVAL / 10;
    tokio::time::sleep_until(from + INTERVAL * 2).await;

    let probes = probes.lock().clone();
    let mut tenths = [0usize; 20];
    for at in probes.iter().filter(|at| **at >= from) {
        let tenth = (*at - from).as_millis() / (INTERVAL / 10).as_millis();
        if let Some(count) = tenths.get_mut(tenth as usize) {
            *count += 1;
        }
    }
    let total: usize = tenths.iter().sum();
    println!("probes per tenth of the interval: {tenths:?}");
    assert!((CHECKS * 19 / 10..=CHECKS * 21 / 10).contains(&total), "{total} probes in two intervals");
    assert!(tenths.iter().all(|count| *count < CHECKS / 6), "a burst: {tenths:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_allowed_run_at_once_and_everyone_gets_a_turn() {
    const CHECKS: usize = 60;
    let (registry, _) = start(&Config { concurrent: 8, ..Config::default() });
    registry.loaded().await.unwrap();
    // 60 checks every 200 ms that take 50 ms each need 15 places, and there are 8.
    let server = Server::start(200, Duration::from_millis(50)).await;
    for i in 0..CHECKS {
        let ask = register(&format!("i{i}"), server.address, check(http("/"), Duration::from_millis(200)));
        registry.submit(&TEST, ask).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.most.load(Ordering::SeqCst), 8);
    let view = registry.view(&TEST).unwrap();
    for i in 0..CHECKS {
        let check = view.instance(&key(&format!("i{i}"))).unwrap().checks[0].key.clone();
        let output = registry.output(&check).unwrap_or_else(|| panic!("{i} never had a turn"));
        let age = registry.now().wall_ms.saturating_sub(output.at_ms);
        assert!(age < 1200, "{i} had no turn for {age} ms");
    }
}

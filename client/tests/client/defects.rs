//! The defects of go-kit's `sd` that are not tests elsewhere. K1, K3 and K21 (etcd) are in `peers`, K8 in `dns.rs`, K16 in
//! `core/balance`, K15 and K20 in `core/discover`, K7, K9, K13, K17 and K22 in the suite of every source, K18 and K23 in
//! `calls`, K24 in `registrars`. K2, K4, K5 and K6 are about ZooKeeper and wait for its source; what they are about in
//! general is in the suite.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use switchboard::{Consul, Fixed, Instance, Native, Pool, PoolOptions, Query, Source};
use switchboard_discover::suite;
use tokio::net::TcpListener;

use crate::support::{Cable, Server, until};

fn users() -> Query {
    Query::service("users").unwrap()
}

/// A Consul that answers at once with this index, whatever it is asked.
async fn consul_with_index(
    index: impl Fn(usize) -> u64 + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (counter, index) = (asked.clone(), Arc::new(index));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (counter, index) = (counter.clone(), index.clone());
            tokio::spawn(async move {
                let service = service_fn(|_: Request<Incoming>| {
                    let asked = counter.fetch_add(1, Ordering::SeqCst);
                    let entry = format!(
                        r#"[{{"Node":{{"Node":"n","Address":"10.0.0.9"}},"Service":{{"ID":"i{asked}","Service":"users","Port":80}},"Checks":null}}]"#
                    );
                    let response = Response::builder()
                        .header("x-consul-index", index(asked).to_string())
                        .body(Full::new(Bytes::from(entry)))
                        .unwrap();
                    async { Ok::<_, std::convert::Infallible>(response) }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (url, asked)
}

/// An index of 0 does not block, and one that goes back is of another history: in both cases go-kit throws the answer away
/// (K11), and has asked in a tight loop (K10).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k10_and_k11_answers_with_a_bad_index_are_used_and_do_not_make_a_loop() {
    let zero: fn(usize) -> u64 = |_| 0;
    let falling: fn(usize) -> u64 = |asked| 1000 - (asked as u64).min(999);
    for (index, most) in [(zero, 4), (falling, 40)] {
        let (url, asked) = consul_with_index(index).await;
        let source = Consul::at(&url).unwrap().source();
        let mut updates = source.watch(&users());
        let set = suite::until(&mut updates, "the answer is used", |set| set.instances.len() == 1).await;
        // The node's address, as the service has none of its own.
        assert_eq!(set.instances[0].authority().unwrap(), "10.0.0.9:80");
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_secs(2)).await;
        // On a slow machine it was asked less often, and had more time.
        let seconds = begun.elapsed().as_secs_f64();
        let asked = asked.load(Ordering::SeqCst);
        assert!(
            (asked as f64) < f64::from(most) * (seconds / 2.0).max(1.0),
            "asked {asked} times in {seconds} s"
        );
    }
}

/// A registry that takes connections and says nothing: go-kit's constructor never returns, and stopping does not end the
/// query (K12).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k12_a_hanging_registry_delays_nobody_and_is_let_go_at_once() {
    let server = Server::start().await;
    for native in [true, false] {
        let cable = Cable::to(if native { server.native } else { server.consul }).await;
        cable.hang();
        let source: Arc<dyn Source> = if native {
            Arc::new(Native::at(&cable.url()).unwrap().source())
        } else {
            Arc::new(Consul::at(&cable.url()).unwrap().source())
        };
        let mut updates = source.watch(&users());
        assert!(updates.current().freshness.is_never());
        until("it has connected", || async { cable.open() == 1 }).await;
        drop(updates);
        until("the connection is closed", || async { cable.open() == 0 }).await;
        // The same in the middle of a wait of minutes.
        cable.mend(if native { server.native } else { server.consul });
        let mut updates = source.watch(&users());
        updates.ready().await;
        drop(updates);
        until("the wait is over", || async { cable.open() == 0 }).await;
        assert!(cable.opened() < 20, "{} connections", cable.opened());
    }
}

/// go-kit dials under the lock that picking needs (K14).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k14_a_factory_that_blocks_does_not_delay_a_pick() {
    let instance = |id: &str| Instance::new("users", id, id, 80).unwrap();
    let source = Fixed::new([instance("a")]);
    let (block, blocked) = std::sync::mpsc::channel::<()>();
    let pool = Pool::new(&source, &users(), PoolOptions::default(), move |instance: &Instance| {
        if &*instance.host == "blocking" {
            // Until the test ends.
            let _ = blocked.recv();
        }
        instance.host.to_string()
    })
    .unwrap();
    pool.ready().await;
    source.set([instance("a"), instance("blocking")]);
    for _ in 0..1000 {
        let picked = pool.pick(&switchboard_balance::Request::default()).unwrap();
        assert_eq!(picked.service().unwrap(), "a");
    }
    drop(block);
}

/// During an outage every pick of go-kit's takes an exclusive lock (K19). Here nothing is different for a pick.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k19_picks_during_an_outage_are_picks() {
    let server = Server::start().await;
    let cable = Cable::to(server.native).await;
    let api = crate::support::Api::at(server.native);
    api.call(
        http::Method::POST,
        "/v1/register",
        Some(crate::sources::native_body(&Instance::new("users", "a", "h", 1).unwrap())),
    )
    .await;
    let source = Native::at(&cable.url()).unwrap().source();
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let pool = Pool::new(&source, &users(), PoolOptions::default(), move |_: &Instance| {
        count.fetch_add(1, Ordering::SeqCst);
    })
    .unwrap();
    pool.ready().await;
    cable.cut();
    until("the pool knows", || async { !pool.status().freshness.is_fresh() }).await;
    for _ in 0..1000 {
        pool.pick(&switchboard_balance::Request::default()).unwrap().finish(switchboard::Outcome::Success);
    }
    cable.mend(server.native);
    until("the pool knows", || async { pool.status().freshness.is_fresh() }).await;
    // Whoever stays where it is keeps its connections, over the outage too.
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

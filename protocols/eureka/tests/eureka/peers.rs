//! Two of our servers as each other's peers, each over a registry of its own.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use switchboard_model::Health;

use crate::support::{World, but, eventually, java, world_at, world_with};

/// Free a moment ago.
fn free() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Servers of which each has all the others for peers.
async fn cluster<const SIZE: usize>() -> [World; SIZE] {
    let places = [(); SIZE].map(|()| free());
    let mut worlds = Vec::new();
    for place in places {
        let others = places.iter().filter(|other| **other != place);
        let others: Vec<_> = others.map(|other| format!("http://{other}/eureka")).collect();
        worlds.push(world_at(&place.to_string(), &format!("peers = {}", json!(others))).await);
    }
    for world in &worlds {
        eventually("it has asked its peers", || async {
            world.get("/eureka/apps").await.status == StatusCode::OK
        })
        .await;
    }
    worlds.try_into().unwrap_or_else(|_| panic!("as many as there are places"))
}

async fn pair() -> (World, World) {
    let [a, b] = cluster().await;
    (a, b)
}

/// What it told its peers and they took.
fn told(world: &World) -> u64 {
    world.counted("switchboard_eureka_peers_items_sent_total")
}

async fn shows(world: &World, app: &str, id: &str, status: &str) -> bool {
    let answer = world.get(&format!("/eureka/apps/{app}/{id}")).await;
    answer.status == StatusCode::OK && answer.json()["instance"]["status"] == status
}

async fn hash(world: &World) -> Value {
    world.get("/eureka/apps").await.json()["applications"]["apps__hashcode"].take()
}

#[tokio::test]
async fn what_happens_at_one_happens_at_the_other_and_comes_to_rest() {
    let (a, b) = pair().await;
    a.register(&java("WEB", "w")).await;
    b.register(&java("WEB", "v")).await;
    for (world, id) in [(&a, "v"), (&b, "w")] {
        eventually("both are everywhere", || shows(world, "WEB", id, "UP")).await;
    }
    assert_eq!(a.put("/eureka/apps/WEB/w/status?value=OUT_OF_SERVICE").await, StatusCode::OK);
    eventually("w is out", || shows(&b, "WEB", "w", "OUT_OF_SERVICE")).await;
    assert_eq!(b.instance("WEB", "w").await["overriddenStatus"], "OUT_OF_SERVICE");
    assert_eq!(b.delete("/eureka/apps/WEB/w/status?value=UP").await, StatusCode::OK);
    eventually("w is back", || shows(&a, "WEB", "w", "UP")).await;
    assert_eq!(a.put("/eureka/apps/WEB/v/metadata?k=v").await, StatusCode::OK);
    eventually("v has it", || async { b.instance("WEB", "v").await["metadata"]["k"] == "v" }).await;
    assert_eq!(b.delete("/eureka/apps/WEB/w").await, StatusCode::OK);
    eventually("w is gone", || async { a.get("/eureka/apps/WEB/w").await.status == StatusCode::NOT_FOUND })
        .await;
    assert_eq!((hash(&a).await, hash(&b).await), ("UP_1_".into(), "UP_1_".into()));
    // Nothing goes to and fro for ever: a heartbeat is all that travels now.
    let heads = (a.head(), b.head());
    assert_eq!(a.put("/eureka/apps/WEB/v?status=UP&lastDirtyTimestamp=1700000000000").await, StatusCode::OK);
    eventually("the queues are empty", || async {
        let waiting = "<td>reachable</td><td>0</td>";
        a.get("/").await.text().contains(waiting) && b.get("/").await.text().contains(waiting)
    })
    .await;
    assert_eq!((a.head(), b.head()), heads);
}

#[tokio::test]
async fn instances_of_other_protocols_are_lent_and_taken_back() {
    let (a, b) = pair().await;
    a.register_elsewhere("u1", |_| {}).await;
    eventually("it is lent", || shows(&b, "USER-SERVICE", "u1", "UP")).await;
    assert_eq!(b.health("user-service", "u1"), Health::Passing);
    // The peer registers it with us, as it does when it starts: it stays what it is.
    let copy = b.instance("USER-SERVICE", "u1").await;
    let before = a.head();
    let batch = json!({ "replicationList": [
        { "action": "Register", "appName": "USER-SERVICE", "id": "u1", "instanceInfo": but(copy, json!({ "status": "DOWN" })) },
        { "action": "Cancel", "appName": "USER-SERVICE", "id": "u1" },
    ] });
    let kind = [("content-type", "application/json")];
    let answer = a.ask(Method::POST, "/eureka/peerreplication/batch/", &kind, batch.to_string()).await;
    assert_eq!((answer.status, a.head()), (StatusCode::OK, before));
    a.deregister_elsewhere("user-service", "u1").await;
    eventually("it is gone", || async {
        b.get("/eureka/apps/USER-SERVICE/u1").await.status == StatusCode::NOT_FOUND
    })
    .await;
}

#[tokio::test]
async fn a_new_server_copies_what_the_others_know() {
    let old = world_with("").await;
    for id in ["a", "b", "c"] {
        old.register(&java("WEB", id)).await;
    }
    old.put("/eureka/apps/WEB/b/status?value=OUT_OF_SERVICE").await;
    let new = world_with(&format!("peers = ['http://{}/eureka/']", old.address)).await;
    eventually("it has all of it", || async {
        let answer = new.get("/eureka/apps").await;
        // Until then it does not claim to be empty.
        assert!(matches!(answer.status, StatusCode::OK | StatusCode::FORBIDDEN));
        answer.status == StatusCode::OK && hash(&new).await == hash(&old).await
    })
    .await;
    assert_eq!(new.instance("WEB", "b").await["overriddenStatus"], "OUT_OF_SERVICE");
    // What it heard from a peer it does not tell that peer.
    let before = old.head();
    new.register(&java("WEB", "d")).await;
    eventually("the news are there", || shows(&old, "WEB", "d", "UP")).await;
    assert_eq!(old.head(), before + 1);
}

#[tokio::test]
async fn a_peer_that_knows_an_instance_better_is_believed() {
    let (a, b) = pair().await;
    a.register(&java("WEB", "w")).await;
    eventually("both know it", || shows(&b, "WEB", "w", "UP")).await;
    let newer = but(java("WEB", "w"), json!({ "lastDirtyTimestamp": "1800000000000", "ipAddr": "10.0.0.9" }));
    let peer = [("x-netflix-discovery-replication", "true")];
    let body = json!({ "instance": newer }).to_string();
    assert_eq!(b.ask(Method::POST, "/eureka/apps/WEB", &peer, body).await.status, StatusCode::NO_CONTENT);
    assert_eq!(a.instance("WEB", "w").await["ipAddr"], "10.0.0.1");
    assert_eq!(a.put("/eureka/apps/WEB/w?status=UP&lastDirtyTimestamp=1700000000000").await, StatusCode::OK);
    eventually("a believes b", || async { a.instance("WEB", "w").await["ipAddr"] == "10.0.0.9" }).await;
}

#[tokio::test]
async fn servers_of_a_cluster_find_each_other_by_name() {
    let world = world_with("cluster_name = 'eureka-server'").await;
    eventually("it is there", || async {
        world.get("/eureka/apps/EUREKA-SERVER").await.status == StatusCode::OK
    })
    .await;
    let found = world.get("/eureka/apps/EUREKA-SERVER").await.json();
    assert_eq!(found["application"]["instance"][0]["port"]["$"], world.address.port());
}

#[tokio::test]
async fn a_peer_that_cannot_be_spoken_to_is_refused_at_the_start() {
    for (peer, why) in [("https://x/eureka", "https"), ("x:8761", "http://")] {
        let section = toml::from_str(&format!("listen = '127.0.0.1:0'\npeers = ['{peer}']")).unwrap();
        let Err(error) = (switchboard_protocol_eureka::PLUG.open)(&section).await else {
            panic!("{peer} was taken")
        };
        assert!(error.to_string().contains(why) && error.to_string().contains("eureka.peers"), "{error}");
    }
}

/// What a server is told by a peer it tells nobody: in a ring of three each thing would go round for ever.
#[tokio::test]
async fn among_three_nothing_is_passed_on() {
    let [a, b, c] = cluster().await;
    a.register(&java("WEB", "w")).await;
    for world in [&b, &c] {
        eventually("it is everywhere", || shows(world, "WEB", "w", "UP")).await;
    }
    assert_eq!(b.put("/eureka/apps/WEB/w/status?value=OUT_OF_SERVICE").await, StatusCode::OK);
    for world in [&a, &c] {
        eventually("it is out everywhere", || shows(world, "WEB", "w", "OUT_OF_SERVICE")).await;
    }
    assert_eq!(c.put("/eureka/apps/WEB/w?status=UP&lastDirtyTimestamp=1700000000000").await, StatusCode::OK);
    eventually("c has told both that it beats", || async { told(&c) == 2 }).await;
    assert_eq!(a.delete("/eureka/apps/WEB/w").await, StatusCode::OK);
    for world in [&b, &c] {
        eventually("it is gone everywhere", || async {
            world.get("/eureka/apps/WEB/w").await.status == StatusCode::NOT_FOUND
        })
        .await;
    }
    // What anybody had passed on would have gone before this does.
    for (world, others) in [(&a, [&b, &c]), (&b, [&a, &c]), (&c, [&a, &b])] {
        let id = format!("last-of-{}", world.address.port());
        world.register(&java("WEB", &id)).await;
        for other in others {
            eventually("the last is everywhere", || shows(other, "WEB", &id, "UP")).await;
        }
    }
    for world in [&a, &b, &c] {
        eventually("nothing is on its way", || async { is_quiet(world).await }).await;
    }
    // A status that was laid over is told as that, and with all else that the instance then is.
    assert_eq!([told(&a), told(&b), told(&c)], [6, 6, 4]);
    assert_eq!(a.head(), b.head());
    assert_eq!(b.head(), c.head());
}

async fn is_quiet(world: &World) -> bool {
    let page = world.get("/").await;
    page.text().matches("<td>reachable</td><td>0</td>").count() == 2
}

/// It takes connections and bodies and never says a word.
fn silent() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept() {
            kept.push(connection);
        }
    });
    address
}

#[tokio::test]
async fn a_peer_that_never_answers_costs_neither_memory_nor_the_others() {
    let other = world_with("").await;
    let peers = format!("['http://{}/eureka', 'http://{}/eureka']", silent(), other.address);
    let world = world_with(&format!("peers = {peers}\npeer_timeout = '200ms'")).await;
    for id in 0..40 {
        world.register(&java("WEB", &format!("w{id}"))).await;
    }
    eventually("the other knows all", || async { hash(&other).await == "UP_40_" }).await;
    eventually("it was given up on once", || async {
        world.counted("switchboard_eureka_peers_batches_failed_total") > 0
    })
    .await;
    // Again and again the same: it waits in its newest form, once.
    for id in 0..40 {
        assert_eq!(world.put(&format!("/eureka/apps/WEB/w{id}?status=UP")).await, StatusCode::OK);
        assert_eq!(world.put(&format!("/eureka/apps/WEB/w{id}?status=UP")).await, StatusCode::OK);
    }
    let page = world.get("/").await;
    let waiting = page.text().split("<td>not reached</td><td>").nth(1).unwrap();
    let waiting: usize = waiting.split('<').next().unwrap().parse().unwrap();
    assert!(waiting <= 80, "{waiting} are waiting");
    assert_eq!(world.delete("/eureka/apps/WEB/w0").await, StatusCode::OK);
    eventually("the other is told at once", || async { hash(&other).await == "UP_39_" }).await;
}

//! Two of our servers as each other's peers, each over a registry of its own.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use switchboard_model::Health;

use crate::support::{World, but, eventually, java, world_at, world_with};

/// Free a moment ago.
fn free() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn pair() -> (World, World) {
    let (a, b) = (free(), free());
    let towards = |peer: std::net::SocketAddr| format!("peers = ['http://{peer}/eureka']");
    let (a, b) = (world_at(&a.to_string(), &towards(b)).await, world_at(&b.to_string(), &towards(a)).await);
    for world in [&a, &b] {
        eventually("it has asked its peer", || async {
            world.get("/eureka/apps").await.status == StatusCode::OK
        })
        .await;
    }
    (a, b)
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

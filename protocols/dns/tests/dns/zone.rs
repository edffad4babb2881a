//! The domain itself: SOA, NS, transfers.

use crate::dns::support::{some, world, world_with};

#[tokio::test]
async fn soa_and_ns_for_any_name_in_the_domain() {
    let world = world().await;
    for name in ["consul", "web.service.consul", "any.thing.at.all.consul"] {
        world
            .check(
                &format!("{name} SOA"),
                "NoError aa
                = consul. 0 SOA ns.consul. hostmaster.consul. 3600 600 86400 0
                ~ consul. 0 NS own.node.dc1.consul.
                + own.node.dc1.consul. 0 A 127.0.0.1",
            )
            .await;
        world
            .check(
                &format!("{name} NS"),
                "NoError aa
                = consul. 0 NS own.node.dc1.consul.
                + own.node.dc1.consul. 0 A 127.0.0.1",
            )
            .await;
    }
    world
        .check(
            "switchboard NS",
            "NoError aa
            = switchboard. 0 NS own.node.switchboard.
            + own.node.switchboard. 0 A 127.0.0.1",
        )
        .await;
}

#[tokio::test]
async fn registered_servers_are_the_name_servers() {
    let world = world_with("address = '10.1.1.1'").await;
    world
        .check(
            "consul NS",
            "NoError aa\n= consul. 0 NS own.node.dc1.consul.\n+ own.node.dc1.consul. 0 A 10.1.1.1",
        )
        .await;
    for (node, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3"), ("d", "10.0.0.4")] {
        world.node(node, address, &[]).await;
        let mut server = some("consul", address);
        server.node = Some(node);
        world.register(server).await;
    }
    let answer = world.ask("consul NS").await;
    assert_eq!((answer.answers.len(), answer.additionals.len()), (3, 3));
    let name = answer.answers[0].data.to_string();
    assert!(answer.additionals.iter().any(|glue| glue.name.to_string() == name), "{answer:?}");
}

#[tokio::test]
async fn times_of_the_zone() {
    let world = world_with("[soa]\nrefresh = '1m'\nretry = 2\nexpire = '1h'\nmin_ttl = '5s'").await;
    world
        .check(
            "nobody.service.consul A",
            "NXDomain aa\n~ consul. 5 SOA ns.consul. hostmaster.consul. 60 2 3600 5",
        )
        .await;
}

#[tokio::test]
async fn zones_are_not_handed_over() {
    let world = world().await;
    world.check("consul AXFR", "NotImp aa").await;
    world.check("consul IXFR", "NotImp aa").await;
}

use crate::dns::support::{some, world};

#[tokio::test]
async fn a_service_over_udp_and_tcp() {
    let world = world().await;
    world.register(some("user-service", "192.168.1.100")).await;
    world
        .check(
            "user-service.service.consul A",
            "NoError aa
            = user-service.service.consul. 0 A 192.168.1.100",
        )
        .await;
    world
        .check(
            "user-service.service.consul SRV",
            "NoError aa
            = user-service.service.consul. 0 SRV 1 1 80 c0a80164.addr.dc1.consul.
            + c0a80164.addr.dc1.consul. 0 A 192.168.1.100",
        )
        .await;
}

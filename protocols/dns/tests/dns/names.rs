//! What each form of name gives.

use crate::dns::support::{some, world, world_with};

#[tokio::test]
async fn a_service() {
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
    world
        .check(
            "user-service.service.dc1.consul ANY",
            "NoError aa
            = user-service.service.dc1.consul. 0 A 192.168.1.100",
        )
        .await;
}

#[tokio::test]
async fn the_case_of_the_question_is_echoed_and_means_nothing() {
    let world = world().await;
    world.register(some("Web", "10.0.0.1")).await;
    let answer = world.ask("wEb.SERVICE.Dc1.cOnSul A").await;
    assert_eq!(answer.answers[0].name.to_string(), "wEb.SERVICE.Dc1.cOnSul.");
    assert_eq!(answer.queries[0].name().to_string(), "wEb.SERVICE.Dc1.cOnSul.");
}

#[tokio::test]
async fn tags_choose() {
    let world = world().await;
    let mut primary = some("db", "10.0.0.1");
    primary.tags = vec!["primary", "v1.2", "Mixed"];
    world.register(primary).await;
    world.register(some("db", "10.0.0.2")).await;
    for name in [
        "primary.db.service.consul",
        "v1.2.db.service.consul",
        "mixed.db.service.dc1.consul",
        "_db._primary.service.consul",
    ] {
        world.check(&format!("{name} A"), &format!("NoError aa\n= {name}. 0 A 10.0.0.1")).await;
    }
    for name in ["_db._tcp.service.consul", "db.service.consul"] {
        let expected = format!("NoError aa\n= {name}. 0 A 10.0.0.1\n= {name}. 0 A 10.0.0.2");
        world.check(&format!("{name} A"), &expected).await;
    }
    for name in ["_db._primary.consul", "_db._primary.dc1.consul"] {
        let expected = format!(
            "NoError aa
            = {name}. 0 SRV 1 1 80 0a000001.addr.dc1.consul.
            + 0a000001.addr.dc1.consul. 0 A 10.0.0.1"
        );
        world.check(&format!("{name} SRV"), &expected).await;
    }
    world.check("secondary.db.service.consul A", NONE).await;
}

/// What is said about a name that does not exist.
pub(crate) const NONE: &str = "NXDomain aa
    ~ consul. 0 SOA ns.consul. hostmaster.consul. 3600 600 86400 0";

/// What is said about a name that exists without such records.
pub(crate) const EMPTY: &str = "NoError aa
    ~ consul. 0 SOA ns.consul. hostmaster.consul. 3600 600 86400 0";

#[tokio::test]
async fn what_is_not_there() {
    let world = world().await;
    world.register(some("web", "10.0.0.1")).await;
    world.node("n1", "10.0.0.9", &[]).await;
    for name in [
        "nobody.service.consul A",
        "nobody.service.consul SRV",
        "web.service.dc2.consul A",
        "web.service.dc1.peer.consul A",
        "web.service.a.b.consul A",
        "nobody.node.consul A",
        "nobody.query.consul A",
        "c0a8016x.addr.dc1.consul A",
        "web.connect.consul A",
        "web.virtual.consul A",
        "web.ingress.consul A",
        "anything.consul A",
        "dc2.consul A",
    ] {
        world.check(name, NONE).await;
    }
    for name in
        ["web.service.consul AAAA", "web.service.consul TXT", "web.service.consul MX", "n1.node.consul AAAA"]
    {
        world.check(name, EMPTY).await;
    }
    // Whoever walks down a name label by label must not be told at one of them that there is nothing below.
    for name in
        ["consul A", "service.consul A", "service.dc1.consul A", "dc1.consul A", "_tcp.service.consul A"]
    {
        world.check(name, EMPTY).await;
    }
}

#[tokio::test]
async fn an_instance_at_its_nodes_address_leads_to_the_node() {
    let world = world().await;
    world.node("n1.example", "10.0.0.1", &[]).await;
    let mut at_home = some("web", "10.0.0.1");
    at_home.node = Some("n1.example");
    at_home.weight = 7;
    world.register(at_home).await;
    world
        .check(
            "web.service.consul SRV",
            "NoError aa
            = web.service.consul. 0 SRV 1 7 80 n1.example.node.dc1.consul.
            + n1.example.node.dc1.consul. 0 A 10.0.0.1",
        )
        .await;
    let mut away = some("db", "10.0.0.2");
    away.node = Some("n1.example");
    world.register(away).await;
    world
        .check(
            "db.service.consul SRV",
            "NoError aa
            = db.service.consul. 0 SRV 1 1 80 0a000002.addr.dc1.consul.
            + 0a000002.addr.dc1.consul. 0 A 10.0.0.2",
        )
        .await;
    // Nobody registered the node, so where it is is not known.
    let mut homeless = some("queue", "10.0.0.3");
    homeless.node = Some("n2");
    world.register(homeless).await;
    world
        .check(
            "queue.service.consul SRV",
            "NoError aa
            = queue.service.consul. 0 SRV 1 1 80 0a000003.addr.dc1.consul.
            + 0a000003.addr.dc1.consul. 0 A 10.0.0.3",
        )
        .await;
    world.check("n2.node.consul A", EMPTY).await;
}

#[tokio::test]
async fn the_same_place_is_told_once() {
    let world = world().await;
    for (id, port) in [("a", 80), ("b", 80), ("c", 81)] {
        let mut instance = some("web", "10.0.0.1");
        instance.id = id.to_owned();
        instance.ports = vec![("", port)];
        world.register(instance).await;
    }
    world.check("web.service.consul A", "NoError aa\n= web.service.consul. 0 A 10.0.0.1").await;
    world
        .check(
            "web.service.consul SRV",
            "NoError aa
            = web.service.consul. 0 SRV 1 1 80 0a000001.addr.dc1.consul.
            = web.service.consul. 0 SRV 1 1 81 0a000001.addr.dc1.consul.
            + 0a000001.addr.dc1.consul. 0 A 10.0.0.1",
        )
        .await;
}

#[tokio::test]
async fn both_families() {
    let world = world().await;
    world.register(some("web", "10.0.0.1")).await;
    world.register(some("web", "2001:db8::1")).await;
    world.check("web.service.consul A", "NoError aa\n= web.service.consul. 0 A 10.0.0.1").await;
    world.check("web.service.consul AAAA", "NoError aa\n= web.service.consul. 0 AAAA 2001:db8::1").await;
    world
        .check(
            "web.service.consul ANY",
            "NoError aa
            = web.service.consul. 0 A 10.0.0.1
            = web.service.consul. 0 AAAA 2001:db8::1",
        )
        .await;
    world
        .check(
            "web.service.consul SRV",
            "NoError aa
            = web.service.consul. 0 SRV 1 1 80 0a000001.addr.dc1.consul.
            = web.service.consul. 0 SRV 1 1 80 20010db8000000000000000000000001.addr.dc1.consul.
            + 0a000001.addr.dc1.consul. 0 A 10.0.0.1
            + 20010db8000000000000000000000001.addr.dc1.consul. 0 AAAA 2001:db8::1",
        )
        .await;
}

#[tokio::test]
async fn nodes() {
    let world = world_with("node_ttl = '7s'").await;
    world.node("n1", "10.0.0.1", &[("rack", "a=1"), ("rfc1035-note", "as it is")]).await;
    world
        .check(
            "n1.node.consul A",
            "NoError aa
            = n1.node.consul. 7 A 10.0.0.1
            + n1.node.consul. 7 TXT as it is
            + n1.node.consul. 7 TXT rack=a=1",
        )
        .await;
    world
        .check(
            "N1.node.dc1.consul TXT",
            "NoError aa
            = N1.node.dc1.consul. 7 TXT as it is
            = N1.node.dc1.consul. 7 TXT rack=a=1",
        )
        .await;
    world
        .check(
            "n1.node.consul ANY",
            "NoError aa
            = n1.node.consul. 7 A 10.0.0.1
            = n1.node.consul. 7 TXT as it is
            = n1.node.consul. 7 TXT rack=a=1",
        )
        .await;
    // Nodes have no such records, and there is nothing more to be said.
    world.check("n1.node.consul SRV", "NoError aa").await;
    // The server itself, and the node of whatever has none.
    for name in ["own.node.consul", "switchboard.node.consul", "ns.consul"] {
        world.check(&format!("{name} A"), &format!("NoError aa\n= {name}. 7 A 127.0.0.1")).await;
    }
    // As soon as it is registered, it is where it says.
    world.node("own", "10.0.0.8", &[]).await;
    world.check("own.node.consul A", "NoError aa\n= own.node.consul. 7 A 10.0.0.8").await;
}

#[tokio::test]
async fn metadata_of_nodes_goes_along_unless_turned_off() {
    let settings = ["node_meta_txt = true", "node_meta_txt = false"];
    for (settings, text) in settings.into_iter().zip(["\n+ n1.node.dc1.consul. 0 TXT rack=a", ""]) {
        let world = world_with(settings).await;
        world.node("n1", "10.0.0.1", &[("rack", "a")]).await;
        let mut instance = some("web", "10.0.0.1");
        instance.node = Some("n1");
        world.register(instance).await;
        let expected = format!(
            "NoError aa
            = web.service.consul. 0 SRV 1 1 80 n1.node.dc1.consul.
            + n1.node.dc1.consul. 0 A 10.0.0.1{text}"
        );
        world.check("web.service.consul SRV", &expected).await;
        world.check("n1.node.consul TXT", "NoError aa\n= n1.node.consul. 0 TXT rack=a").await;
    }
}

#[tokio::test]
async fn addresses_spelled_out() {
    let world = world().await;
    let name = "c0a80164.addr.dc1.consul";
    world.check(&format!("{name} A"), &format!("NoError aa\n= {name}. 0 A 192.168.1.100")).await;
    world.check(&format!("{name} ANY"), &format!("NoError aa\n= {name}. 0 A 192.168.1.100")).await;
    for other in ["AAAA", "SRV", "TXT"] {
        world.check(&format!("{name} {other}"), &format!("NoError aa\n+ {name}. 0 A 192.168.1.100")).await;
    }
    let name = "20010db8000000000000000000000001.addr.consul";
    world.check(&format!("{name} AAAA"), &format!("NoError aa\n= {name}. 0 AAAA 2001:db8::1")).await;
}

#[tokio::test]
async fn reverse_names() {
    let world = world().await;
    world.node("n1", "10.0.0.1", &[]).await;
    for service in ["web", "api"] {
        world.register(some(service, "10.0.0.1")).await;
    }
    world.register(some("six", "2001:db8::1")).await;
    world
        .check(
            "1.0.0.10.in-addr.arpa PTR",
            "NoError aa
            = 1.0.0.10.in-addr.arpa. 0 PTR api.service.dc1.consul.
            = 1.0.0.10.in-addr.arpa. 0 PTR n1.node.dc1.consul.
            = 1.0.0.10.in-addr.arpa. 0 PTR web.service.dc1.consul.",
        )
        .await;
    let answer = world.ask("1.0.0.10.in-addr.arpa PTR").await;
    assert_eq!(answer.answers[0].data.to_string(), "n1.node.dc1.consul.", "the node comes first");
    let name = format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23));
    world
        .check(&format!("{name} PTR"), &format!("NoError aa\n= {name}. 0 PTR six.service.dc1.consul."))
        .await;
    // What has changed is seen at once.
    world.register(some("late", "10.0.0.2")).await;
    world
        .check(
            "2.0.0.10.in-addr.arpa PTR",
            "NoError aa
            = 2.0.0.10.in-addr.arpa. 0 PTR late.service.dc1.consul.",
        )
        .await;
    world.check("3.0.0.10.in-addr.arpa PTR", "Refused").await;
    world.check("0.0.10.in-addr.arpa PTR", "Refused").await;
    world.check("1.0.0.10.in-addr.arpa A", "Refused").await;
}

#[tokio::test]
async fn names_of_our_own() {
    let world = world().await;
    let mut api = some("api", "10.0.0.1");
    api.namespace = "shop";
    api.ports = vec![("http", 80), ("metrics", 9100)];
    world.register(api).await;
    world.register(some("api", "10.0.0.2")).await;
    world.node_in("shop", "n1", "10.0.0.7", &[]).await;
    for (question, expected) in [
        ("api.svc.switchboard A", "= api.svc.switchboard. 0 A 10.0.0.2"),
        ("api.default.svc.switchboard A", "= api.default.svc.switchboard. 0 A 10.0.0.2"),
        ("api.shop.svc.switchboard A", "= api.shop.svc.switchboard. 0 A 10.0.0.1"),
        (
            "api.shop.svc.switchboard SRV",
            "= api.shop.svc.switchboard. 0 SRV 1 1 80 0a000001.addr.switchboard.
            + 0a000001.addr.switchboard. 0 A 10.0.0.1",
        ),
        (
            "_metrics._tcp.api.shop.svc.switchboard SRV",
            "= _metrics._tcp.api.shop.svc.switchboard. 0 SRV 1 1 9100 0a000001.addr.switchboard.
            + 0a000001.addr.switchboard. 0 A 10.0.0.1",
        ),
        ("n1.shop.node.switchboard A", "= n1.shop.node.switchboard. 0 A 10.0.0.7"),
        ("0a000001.addr.switchboard A", "= 0a000001.addr.switchboard. 0 A 10.0.0.1"),
    ] {
        world.check(question, &format!("NoError aa\n{expected}")).await;
    }
    let none = NONE.replace("consul.", "switchboard.");
    for name in ["_grpc._tcp.api.shop.svc", "api.other.svc", "n1.node", "web"] {
        world
            .check(
                &format!("{name}.switchboard SRV"),
                &if name == "n1.node" { "NoError aa".to_owned() } else { none.clone() },
            )
            .await;
    }
    world.check("svc.switchboard A", &EMPTY.replace("consul.", "switchboard.")).await;
    // Consul's names are about the default namespace only.
    world.check("api.service.consul A", "NoError aa\n= api.service.consul. 0 A 10.0.0.2").await;
}

#[tokio::test]
async fn another_domain_for_the_same_names() {
    let world = world_with(
        "domain = 'sd.example'\nalt_domain = 'Alt.Internal.'\nnative_domain = 'own.sd.example'\ndatacenter = 'ams'",
    )
    .await;
    world.register(some("web", "10.0.0.1")).await;
    for (name, target) in [
        ("web.service.sd.example", "0a000001.addr.ams.sd.example."),
        ("web.service.ams.alt.internal", "0a000001.addr.ams.Alt.Internal."),
        ("web.svc.own.sd.example", "0a000001.addr.own.sd.example."),
    ] {
        world
            .check(
                &format!("{name} SRV"),
                &format!("NoError aa\n= {name}. 0 SRV 1 1 80 {target}\n+ {target} 0 A 10.0.0.1"),
            )
            .await;
    }
    world.check("web.service.consul A", "Refused").await;
    world
        .check(
            "web.service.dc1.alt.internal A",
            "NXDomain aa\n~ alt.internal. 0 SOA ns.Alt.Internal. hostmaster.Alt.Internal. 3600 600 86400 0",
        )
        .await;
}

#[tokio::test]
async fn outside_of_the_domain_nothing_is_known() {
    let world = world().await;
    for name in ["example.com A", "consul.example.com A", "notconsul A", "example.com AXFR"] {
        world.check(name, "Refused").await;
    }
}

//! Headers, flags, EDNS.

use hickory_proto::op::MessageType;

use crate::dns::support::{query, some, world, world_with};

#[tokio::test]
async fn the_header_is_that_of_an_answer_to_this_query() {
    let world = world().await;
    world.register(some("web", "10.0.0.1")).await;
    for (desired, name) in [(true, "web.service.consul A"), (false, "nobody.service.consul A")] {
        let mut asked = query(name, None);
        asked.metadata.recursion_desired = desired;
        asked.metadata.checking_disabled = desired;
        let said = world.udp(&asked.to_vec().unwrap()).await;
        let metadata = &said.metadata;
        assert_eq!(metadata.id, asked.metadata.id);
        assert_eq!(metadata.message_type, MessageType::Response);
        assert_eq!(metadata.recursion_desired, desired);
        assert_eq!(metadata.checking_disabled, desired);
        assert!(metadata.authoritative && !metadata.recursion_available && !metadata.authentic_data);
        assert_eq!(said.queries, asked.queries);
        assert!(said.edns.is_none());
    }
}

#[tokio::test]
async fn a_later_version_of_edns_is_not_spoken() {
    let world = world().await;
    world.register(some("web", "10.0.0.1")).await;
    let mut asked = query("web.service.consul A", Some(1232));
    asked.edns.as_mut().unwrap().set_version(1);
    let said = world.udp(&asked.to_vec().unwrap()).await;
    // The decoder calls 16 by the other name that it has.
    assert_eq!(u16::from(said.metadata.response_code), 16);
    assert_eq!(said.edns.unwrap().version(), 0);
    assert!(said.answers.is_empty());
}

#[tokio::test]
async fn queries_are_counted() {
    let world = world_with("").await;
    world.register(some("web", "10.0.0.1")).await;
    world.ask("web.service.consul A").await;
    world.ask_tcp("web.service.consul A").await;
    world.ask("nobody.service.consul A").await;
    world.ask("example.com A").await;
    let text = world.metrics.render(switchboard_facade::MetricsFormat::Classic);
    for line in [
        "switchboard_dns_answers_found_total 2",
        "switchboard_dns_answers_no_such_name_total 1",
        "switchboard_dns_answers_refused_total{rcode=\"REFUSED\"} 1",
        "switchboard_dns_datagrams_received_total 3",
        "switchboard_dns_connections_accepted_total 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

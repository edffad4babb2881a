//! How much is said, and to whom.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::op::Message;

use crate::dns::support::{World, answers, exchange, query, some, told, world, world_with};

async fn many(world: &World, count: u32) {
    for number in 0..count {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string();
        world.register(some("web", &address)).await;
    }
}

impl World {
    /// With this many bytes said to be taken, or without a word about it.
    async fn sized(&self, question: &str, edns: Option<u16>) -> (Vec<u8>, Message) {
        let raw = self.udp_raw(&query(question, edns).to_vec().unwrap()).await;
        let message = Message::from_vec(&raw).unwrap();
        (raw, message)
    }
}

#[tokio::test]
async fn without_edns_a_few_in_512_bytes() {
    let world = world().await;
    many(&world, 40).await;
    for question in ["web.service.consul A", "web.service.consul SRV"] {
        for edns in [None, Some(512), Some(0)] {
            let (raw, message) = world.sized(question, edns).await;
            assert_eq!(message.answers.len(), 3, "{question}");
            assert!(raw.len() <= 512);
            assert!(!message.metadata.truncation);
            assert_eq!(message.edns.is_some(), edns.is_some());
            if question.ends_with("SRV") {
                assert_eq!(message.additionals.len(), 3);
            }
        }
    }
}

#[tokio::test]
async fn the_limit_of_small_answers_is_a_setting_with_an_end() {
    for (setting, count) in [(1, 1), (5, 5), (8, 8)] {
        let world = world_with(&format!("udp_answer_limit = {setting}")).await;
        many(&world, 20).await;
        assert_eq!(world.sized("web.service.consul A", None).await.1.answers.len(), count);
    }
}

#[tokio::test]
async fn as_much_as_the_client_takes_and_no_more_than_is_sent() {
    let world = world_with("udp_bytes = 4096").await;
    many(&world, 400).await;
    let mut before = 0;
    for (size, echoed) in [(600, 600), (1232, 1232), (4096, 4096), (65_535, 4096)] {
        for question in ["web.service.consul A", "web.service.consul SRV"] {
            let (raw, message) = world.sized(question, Some(size)).await;
            assert!(raw.len() <= usize::from(echoed), "{} bytes for {size}", raw.len());
            assert!(
                raw.len() + 80 > usize::from(echoed),
                "{} bytes for {size}: more would have fit",
                raw.len()
            );
            let edns = message.edns.as_ref().unwrap();
            assert_eq!((edns.max_payload(), edns.version()), (echoed, 0));
            if question.ends_with("SRV") {
                assert_eq!(message.additionals.len(), message.answers.len(), "each has its address");
            } else {
                assert!(message.answers.len() >= before);
                before = message.answers.len();
            }
        }
    }
}

#[tokio::test]
async fn what_was_left_out_is_said_only_if_that_is_wanted() {
    for (setting, said) in [("enable_truncate = false", false), ("enable_truncate = true", true)] {
        let world = world_with(setting).await;
        many(&world, 3).await;
        assert!(!world.sized("web.service.consul A", None).await.1.metadata.truncation, "all were told");
        many(&world, 300).await;
        for edns in [None, Some(1232)] {
            let truncated = world.sized("web.service.consul A", edns).await.1.metadata.truncation;
            assert_eq!(truncated, said, "{setting}, {edns:?}");
        }
        // Whoever asks again over TCP has it all.
        let whole = world.ask_tcp("web.service.consul A").await;
        assert_eq!((whole.answers.len(), whole.metadata.truncation), (300, false));
    }
}

#[tokio::test]
async fn large_answers_over_tcp() {
    let world = world().await;
    many(&world, 5000).await;
    let addresses = world.ask_tcp("web.service.consul A").await;
    assert_eq!(addresses.answers.len(), 4092, "as many as fit into 65,523 bytes");
    let services = world.ask_tcp("web.service.consul SRV").await;
    assert_eq!(services.answers.len(), services.additionals.len());
    assert!(services.answers.len() > 850, "{}", services.answers.len());
    // Each address is that of a target, also where names are too far away to be pointed at.
    let targets: BTreeSet<String> = services
        .answers
        .iter()
        .map(|record| record.data.to_string().rsplit(' ').next().unwrap().to_owned())
        .collect();
    let owners: BTreeSet<String> =
        services.additionals.iter().map(|record| record.name.to_string()).collect();
    assert_eq!(targets, owners);
    assert_eq!(addresses.answers.iter().map(|it| it.data.to_string()).collect::<BTreeSet<_>>().len(), 4092);
}

#[tokio::test]
async fn a_limit_on_addresses_is_not_one_on_services() {
    let world = world_with("a_record_limit = 2").await;
    many(&world, 10).await;
    for message in [world.ask("web.service.consul A").await, world.ask_tcp("web.service.consul A").await] {
        assert_eq!(message.answers.len(), 2);
        assert!(!message.metadata.truncation);
    }
    assert_eq!(world.ask("web.service.consul SRV").await.answers.len(), 10);
}

#[tokio::test]
async fn every_instance_has_its_turn() {
    let world = world().await;
    many(&world, 5).await;
    let mut first: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..500 {
        let message = world.sized("web.service.consul A", None).await.1;
        assert_eq!(answers(&message).into_iter().collect::<BTreeSet<_>>().len(), 3, "each once");
        *first.entry(message.answers[0].data.to_string()).or_default() += 1;
    }
    assert_eq!(first.len(), 5);
    // Far beyond what chance does: 500 draws of one in five.
    assert!(first.values().all(|times| (40..=180).contains(times)), "{first:?}");
}

#[tokio::test]
async fn texts_give_way_to_addresses() {
    let world = world().await;
    let text = "x".repeat(300);
    for number in 1..=3 {
        let (node, address) = (["n1", "n2", "n3"][number - 1], format!("10.0.0.{number}"));
        world.node(node, &address, &[("a", &text)]).await;
        let mut instance = some("web", &address);
        instance.node = Some(node);
        world.register(instance).await;
    }
    let (raw, message) = world.sized("web.service.consul SRV", None).await;
    assert!(raw.len() <= 512);
    assert_eq!(message.answers.len(), 3);
    let addresses = message.additionals.iter().filter(|record| record.record_type().to_string() == "A");
    assert_eq!(addresses.count(), 3);
    let told = told(&world.ask_tcp("n1.node.consul TXT").await);
    assert!(told.contains(&format!("a={}|{}", "x".repeat(253), "x".repeat(47))), "{told}");
}

#[tokio::test]
async fn queries_one_after_the_other_on_one_connection() {
    let world = world().await;
    many(&world, 2).await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    for _ in 0..50 {
        let asked = query("web.service.consul SRV", Some(1232));
        let said = Message::from_vec(&exchange(&mut stream, &asked.to_vec().unwrap()).await).unwrap();
        assert_eq!((said.metadata.id, said.answers.len()), (asked.metadata.id, 2));
    }
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    use tokio::io::AsyncReadExt;
    let world = world_with("limits.connections = 1").await;
    let mut first = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let asked = query("web.service.consul A", None).to_vec().unwrap();
    exchange(&mut first, &asked).await;
    let mut second = tokio::net::TcpStream::connect(world.address).await.unwrap();
    assert_eq!(second.read(&mut [0]).await.unwrap(), 0);
    exchange(&mut first, &asked).await;
}

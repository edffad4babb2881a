//! What is somewhere else: aliases, and names of other domains.

use std::net::SocketAddr;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::dns::support::{answers, query, some, told, world, world_with};

/// A server that knows `*.example.com`, and of those `a` only as another name of `b`; it fails for all other names. Of `size` it gives the
/// size that it was told it may send, and of `big` it tells more than that.
fn said(asked: &[u8]) -> Vec<u8> {
    let asked = Message::from_vec(asked).unwrap();
    let question = asked.queries[0].clone();
    let mut said = Message::new(asked.metadata.id, MessageType::Response, asked.metadata.op_code);
    said.metadata.recursion_available = true;
    let name = question.name().to_ascii().to_ascii_lowercase();
    let b = Name::from_ascii("b.example.com.").unwrap();
    if name == "a.example.com." {
        said.add_answer(Record::from_rdata(question.name().clone(), 60, RData::CNAME(CNAME(b.clone()))));
    }
    if !name.ends_with("example.com.") {
        said.metadata.response_code = ResponseCode::ServFail;
    } else if question.query_type() == RecordType::A {
        let owner = if name == "a.example.com." { b } else { question.name().clone() };
        let [high, low] = asked.edns.as_ref().map_or(0, |edns| edns.max_payload()).to_be_bytes();
        match name.as_str() {
            "size.example.com." => {
                said.add_answer(Record::from_rdata(owner, 30, RData::A(A::new(192, 0, high, low))))
            }
            "big.example.com." => said.add_answers(
                (0..200).map(|n| Record::from_rdata(owner.clone(), 30, RData::A(A::new(192, 0, 3, n)))),
            ),
            _ => said.add_answer(Record::from_rdata(owner, 30, RData::A(A::new(192, 0, 2, 7)))),
        };
    }
    said.add_query(question);
    said.to_vec().unwrap()
}

async fn recursor() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2000];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let answer = said(&buffer[..length]);
            // Somebody else's answer comes first, and one to another question.
            let mut wrong = answer.clone();
            wrong[0] ^= 1;
            socket.send_to(&wrong, peer).await.unwrap();
            socket.send_to(b"noise", peer).await.unwrap();
            socket.send_to(&answer, peer).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut asked = vec![0; usize::from(length)];
            stream.read_exact(&mut asked).await.unwrap();
            let answer = said(&asked);
            stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    address
}

/// One that never says anything.
async fn silent() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn names_of_other_domains_are_asked_of_others() {
    let ((_silent, silent), recursor) = (silent().await, recursor().await);
    let world =
        world_with(&format!("recursors = ['{silent}', '{recursor}']\nrecursor_timeout = '200ms'")).await;
    world.register(some("web", "10.0.0.1")).await;
    let expected = "NoError ra\n= x.example.com. 30 A 192.0.2.7";
    for _ in 0..2 {
        world.check("x.example.com A", expected).await;
    }
    let asked = query("X.example.com A", None);
    let answer = world.udp(&asked.to_vec().unwrap()).await;
    assert_eq!(answer.metadata.id, asked.metadata.id);
    world.check("x.example.org A", "ServFail ra").await;
    // An address that nobody has here.
    world.check("7.2.0.192.in-addr.arpa PTR", "ServFail ra").await;
    world
        .check(
            "1.0.0.10.in-addr.arpa PTR",
            "NoError aa ra\n= 1.0.0.10.in-addr.arpa. 0 PTR web.service.dc1.consul.",
        )
        .await;
    // Own names are not asked of anyone.
    world.check("web.service.consul A", "NoError aa ra\n= web.service.consul. 0 A 10.0.0.1").await;
}

/// What a client said that it takes was passed on, whatever `udp_bytes` allows, and longer answers arrived with their ends cut off.
#[tokio::test]
async fn answers_of_others_are_no_longer_than_our_own() {
    let recursor = recursor().await;
    let world = world_with(&format!("recursors = ['{recursor}']\nudp_bytes = 1000")).await;
    for (says, told) in
        [(None, 0), (Some(600), 600), (Some(1000), 1000), (Some(4096), 1000), (Some(u16::MAX), 1000)]
    {
        let answer = world.udp(&query("size.example.com A", says).to_vec().unwrap()).await;
        let [high, low] = u16::to_be_bytes(told);
        assert_eq!(answers(&answer), [format!("192.0.{high}.{low}")], "{says:?}");
        let raw = world.udp_raw(&query("big.example.com A", says).to_vec().unwrap()).await;
        let answer = Message::from_vec(&raw).unwrap();
        assert!(raw.len() <= 1000);
        assert_eq!((answer.metadata.truncation, answer.answers.len()), (true, 0), "{says:?}");
        assert_eq!(answer.queries[0].name().to_string(), "big.example.com.");
    }
    let whole = world.ask_tcp("big.example.com A").await;
    assert_eq!((whole.metadata.truncation, whole.answers.len()), (false, 200));
}

#[tokio::test]
async fn an_instance_with_a_host_name_is_an_alias() {
    let world = world().await;
    world.register(some("web", "a.example.com")).await;
    for qtype in ["A", "AAAA", "ANY"] {
        world
            .check(
                &format!("web.service.consul {qtype}"),
                "NoError aa\n= web.service.consul. 0 CNAME a.example.com.",
            )
            .await;
    }
    world
        .check("web.service.consul SRV", "NoError aa\n= web.service.consul. 0 SRV 1 1 80 a.example.com.")
        .await;
    // Addresses are better than aliases, which must stand alone.
    world.register(some("web", "10.0.0.1")).await;
    world.check("web.service.consul A", "NoError aa\n= web.service.consul. 0 A 10.0.0.1").await;
}

#[tokio::test]
async fn an_alias_is_followed_to_where_it_leads() {
    let recursor = recursor().await;
    let world = world_with(&format!("recursors = ['{recursor}']")).await;
    world.register(some("web", "a.example.com")).await;
    world
        .check(
            "web.service.consul A",
            "NoError aa ra
            = a.example.com. 60 CNAME b.example.com.
            = b.example.com. 30 A 192.0.2.7
            = web.service.consul. 0 CNAME a.example.com.",
        )
        .await;
}

#[tokio::test]
async fn an_alias_within_the_domain_is_followed_without_asking_anyone() {
    let world = world().await;
    world.node("n1", "10.0.0.1", &[]).await;
    world.register(some("web", "n1.node.consul")).await;
    world.register(some("front", "web.service.consul")).await;
    world
        .check(
            "front.service.consul A",
            "NoError aa
            = front.service.consul. 0 CNAME web.service.consul.
            = n1.node.consul. 0 A 10.0.0.1
            = web.service.consul. 0 CNAME n1.node.consul.",
        )
        .await;
    // One that leads to itself comes to an end.
    world.register(some("loop", "loop.service.consul")).await;
    let answer = world.ask("loop.service.consul A").await;
    assert!(answer.answers.len() <= 5, "{}", told(&answer));
}

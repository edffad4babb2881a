//! Messages of every malformed kind: the right word or none, and afterwards the next one is answered.

use std::time::Duration;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::dns::support::{World, answers, exchange, query, some, world, world_with};

const HEADER: [u8; 12] = [0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const WEB: &[u8] = b"\x03web\x07service\x06consul\0";
const A_IN: [u8; 4] = [0, 1, 0, 1];
const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

/// A header with these bytes in place of its own, and what follows.
fn message(changes: &[(usize, u8)], rest: &[&[u8]]) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    changes.iter().for_each(|(at, byte)| bytes[*at] = *byte);
    rest.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// A datagram, and the code that it is answered with; None: silence.
fn corpus() -> Vec<(&'static str, Vec<u8>, Option<u8>)> {
    const FORMERR: Option<u8> = Some(1);
    const NOTIMP: Option<u8> = Some(4);
    const REFUSED: Option<u8> = Some(5);
    let long_label = [&[64u8][..], &[b'x'; 64], &[0]].concat();
    let long_name = [[&[63u8][..], &[b'x'; 63]].concat().repeat(4), vec![0]].concat();
    let many_labels = [[1, b'x'].repeat(128), vec![0]].concat();
    vec![
        ("nothing", vec![], None),
        ("one byte", vec![1], None),
        ("a header cut short", HEADER[..11].to_vec(), None),
        ("an answer", message(&[(2, 0x81)], &[WEB, &A_IN]), None),
        ("an answer without anything", message(&[(2, 0x80), (5, 0)], &[]), None),
        ("a header alone", message(&[], &[]), FORMERR),
        ("no question", message(&[(5, 0)], &[]), FORMERR),
        ("two questions", message(&[(5, 2)], &[WEB, &A_IN, WEB, &A_IN]), FORMERR),
        ("65,535 questions", message(&[(4, 255), (5, 255)], &[WEB, &A_IN]), FORMERR),
        ("a question cut short in its name", message(&[], &[&WEB[..9]]), FORMERR),
        ("a question cut short in its type", message(&[], &[WEB, &A_IN[..3]]), FORMERR),
        ("a name without its end", message(&[], &[&WEB[..WEB.len() - 1]]), FORMERR),
        ("a name that points at itself", message(&[], &[&[0xc0, 12], &A_IN]), FORMERR),
        ("a name that points at the header", message(&[], &[&[0xc0, 0], &A_IN]), FORMERR),
        ("names that point at each other", message(&[], &[&[1, b'x', 0xc0, 12], &A_IN]), FORMERR),
        ("a name that points beyond the end", message(&[], &[&[0xff, 0xff], &A_IN]), FORMERR),
        ("half a pointer", message(&[], &[&[0xc0]]), FORMERR),
        ("a label of 64 bytes", message(&[], &[&long_label, &A_IN]), FORMERR),
        ("a label of a kind that was given up", message(&[], &[&[0x41, 1, 0], &A_IN]), FORMERR),
        ("a label of a kind that never was", message(&[], &[&[0x80, 1, 0], &A_IN]), FORMERR),
        ("a name of 257 bytes", message(&[], &[&long_name, &A_IN]), FORMERR),
        ("a name of 129 labels", message(&[], &[&many_labels, &A_IN]), FORMERR),
        ("two answers in a query", message(&[(7, 2)], &[WEB, &A_IN]), FORMERR),
        ("an answer that is not there", message(&[(7, 1)], &[WEB, &A_IN]), FORMERR),
        ("an authority that is not there", message(&[(9, 1)], &[WEB, &A_IN]), FORMERR),
        ("something additional that is not there", message(&[(11, 1)], &[WEB, &A_IN]), FORMERR),
        ("three additional ones", message(&[(11, 3)], &[WEB, &A_IN, &OPT, &OPT, &OPT]), FORMERR),
        ("two OPT", message(&[(11, 2)], &[WEB, &A_IN, &OPT, &OPT]), FORMERR),
        ("an OPT cut short", message(&[(11, 1)], &[WEB, &A_IN, &OPT[..10]]), FORMERR),
        ("an OPT of a name", message(&[(11, 1)], &[WEB, &A_IN, b"\x01x", &OPT]), FORMERR),
        (
            "an OPT with an option cut short",
            message(&[(11, 1)], &[WEB, &A_IN, &OPT[..9], &[0, 4, 0, 8, 0, 9]]),
            FORMERR,
        ),
        (
            "a network of 200 bits",
            message(&[(11, 1)], &[WEB, &A_IN, &OPT[..9], &[0, 8, 0, 8, 0, 4, 0, 1, 200, 0]]),
            FORMERR,
        ),
        (
            "a network of no family",
            message(&[(11, 1)], &[WEB, &A_IN, &OPT[..9], &[0, 8, 0, 8, 0, 4, 0, 9, 0, 0]]),
            FORMERR,
        ),
        ("an inverse query", message(&[(2, 0x08)], &[WEB, &A_IN]), NOTIMP),
        ("a status query", message(&[(2, 0x10)], &[WEB, &A_IN]), NOTIMP),
        ("a notification", message(&[(2, 0x20)], &[WEB, &A_IN]), NOTIMP),
        ("an update", message(&[(2, 0x28)], &[WEB, &A_IN]), NOTIMP),
        ("an operation that nobody knows", message(&[(2, 0x78)], &[WEB, &A_IN]), NOTIMP),
        ("the class of Chaos", message(&[], &[WEB, &[0, 1, 0, 3]]), REFUSED),
        ("a class that nobody knows", message(&[], &[WEB, &[0, 1, 0x12, 0x34]]), REFUSED),
        ("a type that nobody knows", message(&[], &[WEB, &[0x12, 0x34, 0, 1]]), Some(0)),
        ("the root", message(&[], &[&[0], &A_IN]), REFUSED),
        ("bytes that are no text", message(&[], &[b"\x02\xff\xfe\x07service\x06consul\0", &A_IN]), Some(3)),
        ("more after the end", message(&[], &[WEB, &A_IN, b"and more"]), Some(0)),
        ("any class", message(&[], &[WEB, &[0, 1, 0, 255]]), Some(0)),
    ]
}

async fn is_well(world: &World) {
    assert_eq!(answers(&world.ask("web.service.consul A").await), ["10.0.0.1"]);
    assert_eq!(answers(&world.ask_tcp("web.service.consul A").await), ["10.0.0.1"]);
}

#[tokio::test]
async fn datagrams() {
    let world = world().await;
    world.register(some("web", "10.0.0.1")).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(world.address).await.unwrap();
    let good = message(&[(0, 0x12), (1, 0x34)], &[WEB, &A_IN]);
    for (what, bytes, expected) in corpus() {
        socket.send(&bytes).await.unwrap();
        // Answers to one client come in the order of its queries: if this one's comes first, there was silence.
        socket.send(&good).await.unwrap();
        let mut buffer = [0; 2000];
        let mut said = Vec::new();
        loop {
            let length = socket.recv(&mut buffer).await.unwrap();
            if buffer[..2] == good[..2] {
                break;
            }
            assert_eq!(buffer[..2], HEADER[..2], "{what}");
            assert_eq!(buffer[2] & 0x80, 0x80, "{what}");
            assert_eq!(buffer[2] & 0x78, bytes[2] & 0x78, "{what}: the operation is echoed");
            Message::from_vec(&buffer[..length]).unwrap_or_else(|error| panic!("{what}: {error}"));
            said.push(buffer[3] & 0x0f);
        }
        assert_eq!(said, expected.into_iter().collect::<Vec<u8>>(), "{what}");
    }
    is_well(&world).await;
}

#[tokio::test]
async fn the_same_over_tcp() {
    let world = world().await;
    world.register(some("web", "10.0.0.1")).await;
    for (what, bytes, expected) in corpus() {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        match expected {
            Some(code) => assert_eq!(exchange(&mut stream, &bytes).await[3] & 0x0f, code, "{what}"),
            // Whoever does not ask is hung up on.
            None => {
                stream.write_all(&u16::try_from(bytes.len()).unwrap().to_be_bytes()).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
                assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "{what}");
            }
        }
    }
    is_well(&world).await;
}

#[tokio::test]
async fn frames_that_do_not_come_to_an_end() {
    let world = world_with("patience = '100ms'").await;
    world.register(some("web", "10.0.0.1")).await;
    let good = query("web.service.consul A", None).to_vec().unwrap();
    let frame = [u16::try_from(good.len()).unwrap().to_be_bytes().as_slice(), &good].concat();
    // Nothing, half a length, half a message, one byte less than promised; and then silence or the end.
    for length in [0, 1, 10, frame.len() - 1] {
        for hang_up in [true, false] {
            let mut stream = TcpStream::connect(world.address).await.unwrap();
            stream.write_all(&frame[..length]).await.unwrap();
            if hang_up {
                stream.shutdown().await.unwrap();
            }
            assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "after {length} bytes");
        }
    }
    is_well(&world).await;
}

#[tokio::test]
async fn a_query_byte_by_byte_is_a_query() {
    let world = world().await;
    world.register(some("web", "10.0.0.1")).await;
    let good = query("web.service.consul A", None).to_vec().unwrap();
    let frame = [u16::try_from(good.len()).unwrap().to_be_bytes().as_slice(), &good].concat();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in &frame {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    // Two more in one go, behind it.
    stream.write_all(&[frame.as_slice(), &frame].concat()).await.unwrap();
    for _ in 0..3 {
        let length = stream.read_u16().await.unwrap();
        let mut said = vec![0; usize::from(length)];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(answers(&Message::from_vec(&said).unwrap()), ["10.0.0.1"]);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let world = world_with("patience = '100ms'").await;
    for number in 0..3000u32 {
        world.register(some("web", &std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string())).await;
    }
    let good = query("web.service.consul A", None).to_vec().unwrap();
    let frame = [u16::try_from(good.len()).unwrap().to_be_bytes().as_slice(), &good].concat();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    // More than any buffer between here and there holds.
    let asking = async {
        loop {
            if stream.write_all(&frame).await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap();
}

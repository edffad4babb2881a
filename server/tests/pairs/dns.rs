use std::net::UdpSocket;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::process::{PATIENCE, Server};
use crate::{Found, Speaker};

/// Nobody registers through DNS.
pub(crate) struct Dns;

impl Speaker for Dns {
    fn protocol(&self) -> &'static str {
        "dns"
    }

    /// By SRV records, with the addresses that come along.
    fn served(&self, server: &Server, service: &str) -> Found {
        let answer = ask(server.address_of("dns"), &format!("{service}.service.consul."));
        let address = |target: &Name| {
            let record = answer.additionals.iter().find(|record| record.name == *target);
            match record.map(|record| &record.data) {
                Some(RData::A(address)) => address.to_string(),
                other => panic!("no address of {target}: {other:?}"),
            }
        };
        let found = answer.answers.iter().map(|record| match &record.data {
            RData::SRV(srv) => (address(&srv.target), srv.port),
            other => panic!("no SRV record: {other:?}"),
        });
        found.collect()
    }
}

fn ask(server: &str, name: &str) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(name.parse().unwrap(), RecordType::SRV));
    message.set_edns(Edns::new());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

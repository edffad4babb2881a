//! One law over all pairs of protocols: what is written through one is there through every other, at the same revision,
//! and writing back what was read makes no commit. A protocol is one file here, and one line in `SPEAKERS`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests assert by unwrapping")]

mod consul;
mod dns;
mod etcd;
mod eureka;
mod native;

#[path = "../faults/http.rs"]
#[allow(dead_code, reason = "shared with the tests of faults")]
mod http;
#[path = "../faults/process.rs"]
#[allow(dead_code, reason = "shared with the tests of faults")]
mod process;

use process::{Place, Server};

/// What a test registers.
struct Wanted {
    service: String,
    id: String,
    host: &'static str,
    port: u16,
    tag: &'static str,
}

/// Where a served instance is: what every protocol can say.
type Found = Vec<(String, u16)>;

/// A protocol as its clients use it.
trait Speaker: Sync {
    /// As it is plugged in; several may speak it in different ways.
    fn protocol(&self) -> &'static str;

    fn name(&self) -> &'static str {
        self.protocol()
    }

    /// What clients of this service are given.
    fn served(&self, server: &Server, service: &str) -> Found;

    /// The revision that the answer above is as of, in this protocol's words. None: it has no word for that.
    fn revision(&self, _: &Server, _service: &str) -> Option<u64> {
        None
    }

    /// How it writes. None: it only reads.
    fn writer(&self) -> Option<&dyn Writer> {
        None
    }
}

trait Writer {
    fn register(&self, server: &Server, wanted: &Wanted);
    fn deregister(&self, server: &Server, wanted: &Wanted);
    /// Reads everything that it can say of an instance, and registers exactly that.
    fn write_back(&self, server: &Server, wanted: &Wanted);
    /// Takes it out of service and back. False: it has no word for that.
    fn set_out(&self, server: &Server, wanted: &Wanted, out: bool) -> bool;
}

const SPEAKERS: &[&dyn Speaker] =
    &[&native::Native, &consul::Agent, &consul::Catalog, &dns::Dns, &etcd::Etcd, &eureka::Eureka];

fn serve(place: &Place) -> Server {
    let mut protocols: Vec<(&str, &str)> = Vec::new();
    for speaker in SPEAKERS {
        if !protocols.iter().any(|(name, _)| *name == speaker.protocol()) {
            protocols.push((speaker.protocol(), "127.0.0.1:0"));
        }
    }
    let server = place.start_on(&protocols);
    consul::wait_for_own_node(&server);
    server
}

fn head(server: &Server) -> u64 {
    server.client().get("/v1/status").json()["revision"].as_u64().unwrap()
}

fn writers() -> impl Iterator<Item = (&'static dyn Speaker, &'static dyn Writer)> {
    SPEAKERS.iter().filter_map(|speaker| Some((*speaker, speaker.writer()?)))
}

/// For each pair, what one writes is what the other gives, and goes when it goes.
#[test]
fn what_one_writes_every_other_reads() {
    let place = Place::new();
    let server = serve(&place);
    for (number, (from, writer)) in writers().enumerate() {
        let service = format!("crossing-{number}");
        let wanted = Wanted { id: format!("{service}-1"), service, host: "10.3.0.7", port: 8081, tag: "v1" };
        let there = vec![(wanted.host.to_owned(), wanted.port)];
        let all_see = |what: &str, expected: &Found| {
            for reader in SPEAKERS {
                let found = reader.served(&server, &wanted.service);
                assert_eq!(&found, expected, "{} {what}, as {} sees it", from.name(), reader.name());
            }
        };
        writer.register(&server, &wanted);
        all_see("registers", &there);
        let revisions: Vec<(&str, u64)> = SPEAKERS
            .iter()
            .filter_map(|reader| Some((reader.name(), reader.revision(&server, &wanted.service)?)))
            .collect();
        assert!(revisions.windows(2).all(|pair| pair[0].1 == pair[1].1), "{}: {revisions:?}", from.name());
        for (other, hand) in writers() {
            if !hand.set_out(&server, &wanted, true) {
                continue;
            }
            all_see(&format!("registered, {} takes it out", other.name()), &Found::new());
            hand.set_out(&server, &wanted, false);
            all_see(&format!("registered, {} puts it back", other.name()), &there);
        }
        writer.deregister(&server, &wanted);
        all_see("deregisters", &Found::new());
    }
    server.stop();
}

#[test]
fn whoever_reads_and_writes_it_back_makes_no_commit() {
    let place = Place::new();
    let server = serve(&place);
    for (number, (from, writer)) in writers().enumerate() {
        let service = format!("back-{number}");
        let wanted = Wanted { id: format!("{service}-1"), service, host: "10.3.0.8", port: 8082, tag: "v2" };
        writer.register(&server, &wanted);
        let before = head(&server);
        for (other, hand) in writers() {
            hand.write_back(&server, &wanted);
            let after = head(&server);
            assert_eq!(after, before, "{} registered, {} wrote it back", from.name(), other.name());
        }
    }
    server.stop();
}

/// Whoever may deregister what another registered does so for everyone.
#[test]
fn what_one_registers_another_can_deregister() {
    let place = Place::new();
    let server = serve(&place);
    for (a, (from, writer)) in writers().enumerate() {
        for (b, (other, hand)) in writers().enumerate() {
            let service = format!("gone-{a}-{b}");
            let wanted =
                Wanted { id: format!("{service}-1"), service, host: "10.3.0.9", port: 8083, tag: "v3" };
            writer.register(&server, &wanted);
            hand.deregister(&server, &wanted);
            for reader in SPEAKERS {
                let found = reader.served(&server, &wanted.service);
                let who = format!("{} registers, {} deregisters", from.name(), other.name());
                assert_eq!(found, Found::new(), "{who}, {} reads", reader.name());
            }
        }
    }
    server.stop();
}

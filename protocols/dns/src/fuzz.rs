//! Any bytes whatsoever, to everything that reads them. `CONTRIBUTING.md` says how to let these run for a night; what was
//! found is kept in `__fuzz__` and tried again in every run of the tests.

use bolero::check;
use domain::base::Message;
use domain::base::iana::{OptRcode, Rtype};

use crate::names;
use crate::wire::{DomainName, Query, Reply, Unreadable, relay};

/// A query is read or refused, and whatever is said of it is a message that others can read.
#[test]
fn query() {
    check!().for_each(|bytes: &[u8]| {
        let mut said = Vec::new();
        match Query::read(bytes) {
            Ok(query) => {
                let _ = names::reverse(&query.labels);
                // As it is passed on to others.
                let mut told = bytes.to_vec();
                relay::with_most(1232, &mut told);
                let again = Query::read(&told).unwrap();
                assert_eq!((&again.labels, again.qtype), (&query.labels, query.qtype));
                assert_eq!(again.edns.map(|edns| edns.size), query.edns.map(|edns| edns.size.min(1232)));
                Reply::to(&query, &mut said).rcode(OptRcode::NXDOMAIN).finish();
            }
            Err(Unreadable::Refused { header, question, edns, rcode }) => {
                Reply::with(header, question, edns, rcode, &mut said).finish();
            }
            Err(Unreadable::Silent) => return,
        }
        let message = Message::from_slice(&said).unwrap();
        assert!(message.header().qr());
        assert_eq!(message.header().id().to_be_bytes(), bytes[..2]);
        assert!(message.additional().unwrap().all(|record| record.is_ok()));
    });
}

/// What another server answers.
#[test]
fn answer_of_a_recursor() {
    let name = DomainName::parse("web.example.com").unwrap();
    let asked = relay::ask(7, &name, Rtype::A);
    check!().for_each(|bytes: &[u8]| {
        let _ = relay::answers(bytes, 7, &asked);
        let _ = relay::settles(bytes);
        assert!(relay::trail(bytes, &name, Rtype::A, 10).len() <= 10);
    });
}

#[test]
fn name() {
    check!().for_each(|bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Some(name) = DomainName::parse(text) {
            assert!(name.as_bytes().len() <= 255);
            assert!(DomainName::from_bytes(name.as_bytes()).is_some_and(|same| same.is(&name)));
        }
    });
}

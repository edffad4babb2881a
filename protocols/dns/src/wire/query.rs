use std::net::IpAddr;

use domain::base::iana::{Class, Opcode, OptRcode, Rtype};
use domain::base::name::ToLabelIter;
use domain::base::opt::{ClientSubnet, Opt};
use domain::base::wire::ParseError;
use domain::base::{Header, Message};

use super::name;

/// A question that can be answered.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    pub(crate) header: Header,
    /// Name, type and class as they were sent, to be sent back as they are.
    pub(crate) question: &'a [u8],
    pub(crate) labels: Vec<&'a [u8]>,
    pub(crate) qtype: Rtype,
    pub(crate) edns: Option<Edns>,
}

/// What the asker says about itself beside the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    /// The longest datagram that it takes.
    pub(crate) size: u16,
    pub(crate) subnet: Option<Subnet>,
}

/// The network that the asker asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
    /// For which networks the answer is the same; 0: for all.
    pub(crate) scope: u8,
}

/// Why a message has no answer of its own.
#[derive(Debug)]
pub(crate) enum Unreadable<'a> {
    /// Too short to be answered, or an answer itself: nothing is said, or two servers could talk for ever.
    Silent,
    Refused {
        header: Header,
        /// If it can be read.
        question: &'a [u8],
        edns: Option<Edns>,
        rcode: OptRcode,
    },
}

const HEADER: usize = 12;
const TYPE_AND_CLASS: usize = 4;

impl<'a> Query<'a> {
    /// Reads a message. Total: whatever the bytes, the answer is a query or the reason why not.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Query<'a>, Unreadable<'a>> {
        let Ok(message) = Message::from_slice(bytes) else { return Err(Unreadable::Silent) };
        let header = message.header();
        if header.qr() {
            return Err(Unreadable::Silent);
        }
        let refused = |question, edns, rcode| Err(Unreadable::Refused { header, question, edns, rcode });
        if header.opcode() != Opcode::QUERY {
            return refused(&[], None, OptRcode::NOTIMP);
        }
        let Some((question, labels, qtype, qclass)) = sole_question(message, bytes) else {
            return refused(&[], None, OptRcode::FORMERR);
        };
        let edns = match edns(message) {
            Ok(edns) => edns,
            Err(_) => return refused(question, None, OptRcode::FORMERR),
        };
        let (edns, version) = edns.unzip();
        if version.is_some_and(|version| version != 0) {
            return refused(question, edns, OptRcode::BADVERS);
        }
        if qclass != Class::IN && qclass != Class::ANY {
            return refused(question, edns, OptRcode::REFUSED);
        }
        Ok(Query { header, question, labels, qtype, edns })
    }
}

type Question<'a> = (&'a [u8], Vec<&'a [u8]>, Rtype, Class);

fn sole_question<'a>(message: &Message<[u8]>, bytes: &'a [u8]) -> Option<Question<'a>> {
    let counts = message.header_counts();
    // A query has no answers; beside the question there is at most what speaks of the message itself.
    if counts.ancount() > 1 || counts.nscount() > 1 || counts.arcount() > 2 {
        return None;
    }
    let question = message.sole_question().ok()?;
    // The first name of a message has nothing to point at.
    if question.qname().is_compressed() {
        return None;
    }
    let length = usize::from(question.qname().compose_len()) + TYPE_AND_CLASS;
    let as_sent = bytes.get(HEADER..HEADER + length)?;
    Some((as_sent, name::split(as_sent)?, question.qtype(), question.qclass()))
}

/// What the asker says about itself, and the version in which it does.
fn edns(message: &Message<[u8]>) -> Result<Option<(Edns, u8)>, ParseError> {
    let mut found = None;
    for record in message.additional()? {
        let record = record?;
        if record.rtype() != Rtype::OPT {
            continue;
        }
        let said_once = found.is_none() && record.owner().is_root();
        let opt = record.to_record::<Opt<_>>()?.filter(|_| said_once);
        let Some(opt) = opt else { return Err(ParseError::form_error("not one OPT of the root")) };
        let mut subnet = None;
        for option in opt.data().iter::<ClientSubnet>() {
            let option = option?;
            subnet = Some(Subnet { address: option.addr(), prefix: option.source_prefix_len(), scope: 0 });
        }
        let version = (record.ttl().as_secs() >> 16).to_le_bytes();
        let [version, ..] = version;
        found = Some((Edns { size: record.class().to_int(), subnet }, version));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::num::u8::ANY;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{DomainName, Reply};

    /// Whatever is read is answered with a message that can be read, and that no query is answered with twice.
    fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
        let mut answer = Vec::new();
        match Query::read(bytes) {
            Ok(query) => {
                let name: usize = query.labels.iter().map(|label| label.len() + 1).sum::<usize>() + 1;
                prop_assert_eq!(name + TYPE_AND_CLASS, query.question.len());
                prop_assert!(name <= 255);
                Reply::to(&query, &mut answer).finish();
            }
            Err(Unreadable::Silent) => return Ok(()),
            Err(Unreadable::Refused { header, question, edns, rcode }) => {
                Reply::with(header, question, edns, rcode, &mut answer).finish();
            }
        }
        prop_assert!(matches!(Query::read(&answer), Err(Unreadable::Silent)), "an answer is not a query");
        prop_assert!(hickory_proto::op::Message::from_vec(&answer).is_ok());
        prop_assert_eq!(bytes.get(..2), answer.get(..2), "the id is given back");
        Ok(())
    }

    /// A query for `web.service.consul`, with an option.
    fn query() -> Vec<u8> {
        let name = DomainName::parse("web.service.consul").unwrap();
        let header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];
        [&header, name.as_bytes(), &[0, 1, 0, 1], &opt].concat()
    }

    #[test]
    fn a_query() {
        let bytes = query();
        let read = Query::read(&bytes).unwrap();
        assert_eq!(read.labels, [b"web".as_slice(), b"service", b"consul"]);
        let subnet = Subnet { address: "192.0.2.0".parse().unwrap(), prefix: 24, scope: 0 };
        assert_eq!(read.edns, Some(Edns { size: 1232, subnet: Some(subnet) }));
    }

    proptest! {
        #[test]
        fn whatever_the_bytes(bytes in vec(ANY, 0..600)) {
            check(&bytes)?;
        }

        #[test]
        fn whatever_follows_a_header(counts in vec(0u8..3, 4), rest in vec(ANY, 0..300)) {
            let mut bytes = vec![0, 1, 1, 0];
            counts.iter().for_each(|count| bytes.extend([0, *count]));
            bytes.extend(rest);
            check(&bytes)?;
        }

        #[test]
        fn whatever_is_changed_in_a_query(changes in vec((0usize..64, ANY), 1..6), length in 0usize..64) {
            let mut bytes = query();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            check(&bytes)?;
            bytes.truncate(length);
            check(&bytes)?;
        }
    }
}

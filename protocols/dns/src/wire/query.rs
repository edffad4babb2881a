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

//! Questions to others, and what of their answers is taken.

use domain::base::iana::{Class, OptRcode, Rtype};
use domain::base::{Header, HeaderCounts, Message};
use domain::rdata::{A, Aaaa, Cname};

use super::name::DomainName;
use super::record::{Data, body};

/// A question to another server.
pub(crate) fn ask(id: u16, name: &DomainName, qtype: Rtype) -> Vec<u8> {
    let mut header = Header::new();
    header.set_id(id);
    header.set_rd(true);
    let mut counts = HeaderCounts::new();
    counts.set_qdcount(1);
    let mut message = [header.as_slice(), counts.as_slice(), name.as_bytes()].concat();
    message.extend(qtype.to_int().to_be_bytes());
    message.extend(Class::IN.to_int().to_be_bytes());
    message
}

/// The message under another id.
pub(crate) fn with_id(id: u16, message: &mut [u8]) {
    if let Some(place) = message.first_chunk_mut() {
        *place = id.to_be_bytes();
    }
}

/// The query as of someone who takes at most so many bytes in a datagram. Who says nothing about that takes what everyone does.
pub(crate) fn with_most(bytes: u16, query: &mut [u8]) {
    let Some(at) = opt(query) else { return };
    let Some(place) = query.get_mut(at..).and_then(<[u8]>::first_chunk_mut) else { return };
    *place = u16::from_be_bytes(*place).min(bytes).to_be_bytes();
}

/// Where a query says how many bytes it takes.
fn opt(query: &[u8]) -> Option<usize> {
    /// The owner, which is the root, and the type.
    const BEFORE: usize = 3;
    let mut records = Message::from_slice(query).ok()?.additional().ok()?;
    loop {
        let at = records.pos();
        let record = records.next()?.ok()?;
        if record.rtype() == Rtype::OPT {
            return (query.get(at) == Some(&0)).then_some(at + BEFORE);
        }
    }
}

/// Whether `bytes` answer what was asked with this id.
pub(crate) fn answers(bytes: &[u8], id: u16, asked: &[u8]) -> bool {
    let (Ok(answer), Ok(asked)) = (Message::from_slice(bytes), Message::from_slice(asked)) else {
        return false;
    };
    let header = answer.header();
    let same = match (answer.sole_question(), asked.sole_question()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    };
    header.qr() && header.id() == id && same
}

/// Whether the answer settles the question; otherwise another server may know better.
pub(crate) fn settles(bytes: &[u8]) -> bool {
    let code = Message::from_slice(bytes).map(|message| message.opt_rcode());
    matches!(code, Ok(OptRcode::NOERROR | OptRcode::NXDOMAIN))
}

/// The records of an answer that lead on from `name`, and the addresses at the end, in the order in which they follow.
pub(crate) fn trail(bytes: &[u8], name: &DomainName, qtype: Rtype, most: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let Ok(message) = Message::from_slice(bytes) else { return found };
    let Ok(records) = message.answer() else { return found };
    let mut current = name.clone();
    for record in records.take(most).map_while(Result::ok) {
        let owner = spelled_out(&record.owner());
        if record.class() != Class::IN || !owner.is_some_and(|owner| owner.is(&current)) {
            continue;
        }
        let ttl = record.ttl().as_secs().min(i32::MAX.unsigned_abs());
        match record.rtype() {
            Rtype::CNAME => {
                let data = record.to_record::<Cname<_>>().ok().flatten();
                let Some(target) = data.and_then(|data| spelled_out(data.data().cname())) else { break };
                found.push(body(ttl, &Data::Cname(&target)));
                current = target;
            }
            Rtype::A if matches!(qtype, Rtype::A | Rtype::ANY) => {
                let Ok(Some(data)) = record.to_record::<A>() else { break };
                found.push(body(ttl, &Data::Address(data.data().addr().into())));
            }
            Rtype::AAAA if matches!(qtype, Rtype::AAAA | Rtype::ANY) => {
                let Ok(Some(data)) = record.to_record::<Aaaa>() else { break };
                found.push(body(ttl, &Data::Address(data.data().addr().into())));
            }
            _ => {}
        }
    }
    found
}

fn spelled_out(name: &impl domain::base::ToName) -> Option<DomainName> {
    DomainName::from_bytes(name.to_vec().as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        DomainName::parse(text).unwrap()
    }

    /// An answer with one record of each owner and data.
    fn answer(records: &[(&str, Data<'_>)]) -> Vec<u8> {
        let mut message = ask(7, &name("web.example"), Rtype::A);
        message[2] |= 0x80;
        message[7] = u8::try_from(records.len()).unwrap();
        for (owner, data) in records {
            message.extend_from_slice(name(owner).as_bytes());
            message.extend(body(60, data));
        }
        message
    }

    #[test]
    fn only_the_answer_to_this_question_is_taken() {
        let asked = ask(7, &name("web.example"), Rtype::A);
        let good = answer(&[]);
        assert!(answers(&good, 7, &asked));
        assert!(!answers(&good, 8, &asked));
        assert!(!answers(&asked, 7, &asked), "a question");
        assert!(!answers(&good, 7, &ask(7, &name("db.example"), Rtype::A)));
        assert!(!answers(&good[..10], 7, &asked));
    }

    #[test]
    fn how_much_is_taken_is_said_anew_unless_it_was_less() {
        let plain = ask(7, &name("web.example"), Rtype::A);
        let with = |size: u16| {
            let mut query = [plain.as_slice(), &[0, 0, 41], &size.to_be_bytes(), &[0; 6]].concat();
            query[11] = 1;
            query
        };
        for (said, most, expected) in [(4096, 1232, 1232), (600, 1232, 600), (65_535, 65_535, 65_535)] {
            let mut query = with(said);
            with_most(most, &mut query);
            assert_eq!(query, with(expected));
        }
        let mut silent = plain.clone();
        with_most(512, &mut silent);
        assert_eq!(silent, plain);
    }

    #[test]
    fn aliases_are_followed_and_what_is_beside_the_way_is_left() {
        let (next, address) = (name("next.example"), Data::Address("10.0.0.1".parse().unwrap()));
        let said = answer(&[
            ("other.example", address.clone()),
            ("WEB.example", Data::Cname(&next)),
            ("web.example", address.clone()),
            ("next.example", Data::Txt(b"x")),
            ("next.example", address.clone()),
        ]);
        let trail = trail(&said, &name("web.example"), Rtype::A, 32);
        assert_eq!(trail, [body(60, &Data::Cname(&next)), body(60, &address)]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_said_is_not_believed_blindly(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        ) {
            let asked = ask(7, &name("web.example"), Rtype::A);
            answers(&bytes, 7, &asked);
            settles(&bytes);
            trail(&bytes, &name("web.example"), Rtype::ANY, 32);
            with_most(512, &mut bytes.clone());
        }
    }
}

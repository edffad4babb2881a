use super::Answer;
use crate::config::Config;
use crate::wire::{Bounds, Flags, Query, Reply, Sections};

/// How an answer goes to whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// Bytes of a datagram that everyone takes.
pub(crate) const EVERYONE: u16 = Config::LEAST_BYTES;
/// Over TCP: bytes, answers, and answers that bring others along.
const TCP_BYTES: usize = 65_523;
const TCP_ANSWERS: usize = 4096;
const TCP_SERVICES: usize = 1024;
/// The smallest record with a pointer for its owner.
const SMALLEST: usize = 16;

/// Says as much of an answer as the asker can take. `domain`: bytes of the domain at the end of the name that was asked.
pub(crate) fn write(
    answer: &Answer,
    query: &Query<'_>,
    transport: Transport,
    domain: usize,
    config: &Config,
    out: &mut Vec<u8>,
) {
    let bounds = bounds(query, transport, config);
    let chosen = choose(answer, bounds);
    let sections = Sections {
        answers: Some(&answer.answers),
        authority: Some(&answer.authority),
        additional: Some(&answer.additional),
    };
    let flags = Flags { authoritative: true, recursion: !config.recursors.is_empty() };
    Reply::to(query, out)
        .network_matters(answer.for_network)
        .largest(config.udp_bytes)
        .in_domain(domain)
        .flags(flags)
        .rcode(answer.rcode)
        .sections(sections, &chosen, bounds)
        .finish();
}

/// Bytes of a message that whoever asked can take.
pub(crate) fn most_bytes(query: &Query<'_>, transport: Transport, config: &Config) -> u16 {
    match transport {
        Transport::Tcp => u16::MAX,
        Transport::Udp => query.edns.map_or(EVERYONE, |edns| edns.size).min(config.udp_bytes).max(EVERYONE),
    }
}

fn bounds(query: &Query<'_>, transport: Transport, config: &Config) -> Bounds {
    use domain::base::iana::Rtype;
    match transport {
        Transport::Tcp => {
            let answers = if query.qtype == Rtype::SRV { TCP_SERVICES } else { TCP_ANSWERS };
            Bounds { bytes: TCP_BYTES, answers, truncate: config.enable_truncate }
        }
        Transport::Udp => {
            let asked = query.edns.map_or(0, |edns| edns.size);
            let bytes = most_bytes(query, transport, config);
            let answers = match asked <= EVERYONE {
                true => config.udp_answer_limit,
                false => TCP_ANSWERS,
            };
            Bounds { bytes: usize::from(bytes), answers, truncate: config.enable_truncate }
        }
    }
}

/// Which of the answers to say, and in which order: one more than is allowed, if there is one, so that it is seen that
/// something was left out.
fn choose(answer: &Answer, bounds: Bounds) -> Vec<usize> {
    let total = answer.answers.len();
    let fit = bounds.answers.min(bounds.bytes / SMALLEST).saturating_add(1);
    let wanted = total.min(answer.most).min(fit);
    let mut places: Vec<usize> = (0..total).collect();
    if answer.shuffled {
        for place in 0..wanted.min(total.saturating_sub(1)) {
            places.swap(place, fastrand::usize(place..total));
        }
    }
    places.truncate(wanted);
    places
}
